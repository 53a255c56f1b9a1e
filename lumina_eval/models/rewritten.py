"""A model that is given rewritten texts in place of the prompts; all else about it stays.

The plan takes seeds from the original prompts, so that images with and without rewriting pair, and keys from
the final text, so that each image is named by what the model really saw.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from PIL import Image

from lumina_eval.digests import sha256_bytes
from lumina_eval.plan import Planned
from lumina_eval.plugins import Model
from lumina_eval.records import Rewriting


class RewrittenModel:
    """A model behind a table from prompts to texts."""

    def __init__(self, model: Model, texts: Mapping[str, str], rewriting: Rewriting) -> None:
        """Take the model, the text for every prompt that it will be asked, and where the texts are from."""
        self._model, self._texts, self.rewriting = model, texts, rewriting
        self.name, self.checkpoint = model.name, model.checkpoint
        self.stage, self.step = model.stage, model.step
        self.device, self.sampler_version = model.device, model.sampler_version
        self.title: str | None = getattr(model, "title", None)
        self.cost_per_image: float | None = getattr(model, "cost_per_image", None)
        if hasattr(model, "generate_each"):
            self.generate_each = self._generate_each
        if hasattr(model, "begin"):
            self.begin = self._begin
        if hasattr(model, "best_batch"):
            self.best_batch = self._best_batch

    @property
    def lines(self) -> list[str]:
        """The lines of ``rewritten.jsonl``; they can be given to ``--rewrite`` again."""
        return rewritten_lines(self._texts)

    def components(self) -> Mapping[str, str]:
        """Return the model's own components."""
        return self._model.components()

    def sampling(self) -> Mapping[str, Any]:
        """Return the model's own sampling."""
        return self._model.sampling()

    def environment(self) -> Mapping[str, Any]:
        """Return what the model writes beside an image."""
        found: Callable[[], Mapping[str, Any]] = getattr(self._model, "environment", dict)
        return found()

    def final_text(self, prompt: str) -> str:
        """Return the model's final text for the rewritten prompt."""
        return self._model.final_text(self._texts[prompt])

    def bind(self, images: Sequence[Planned]) -> None:
        """Show the model the plan with the texts that it will be given."""
        bind: Callable[[Sequence[Planned]], None] | None = getattr(self._model, "bind", None)
        if bind is not None:
            bind([dataclasses.replace(one, item=self._renamed(one)) for one in images])

    def generate(
        self, prompts: Sequence[str], seeds: Sequence[int]
    ) -> Sequence[Image.Image | Exception | None]:
        """Return the model's images for the rewritten prompts."""
        return self._model.generate([self._texts[prompt] for prompt in prompts], seeds)

    def _generate_each(
        self, prompts: Sequence[str], seeds: Sequence[int]
    ) -> Iterator[tuple[int, Image.Image | Exception | None]]:
        each: Callable[..., Iterator[tuple[int, Image.Image | Exception | None]]]
        each = self._model.generate_each  # type: ignore[attr-defined]
        yield from each([self._texts[prompt] for prompt in prompts], seeds)

    def _begin(
        self, prompts: Sequence[str], seeds: Sequence[int]
    ) -> Callable[[], Sequence[Image.Image | Exception | None]]:
        begin: Callable[..., Callable[[], Sequence[Image.Image | Exception | None]]]
        begin = self._model.begin  # type: ignore[attr-defined]
        return begin([self._texts[prompt] for prompt in prompts], seeds)

    def _best_batch(self, prompts: Sequence[str]) -> Mapping[str, Any]:
        best: Callable[..., Mapping[str, Any]] = self._model.best_batch  # type: ignore[attr-defined]
        return best([self._texts[prompt] for prompt in prompts])

    def _renamed(self, image: Planned) -> Any:
        return image.item.model_copy(update={"prompt": self._texts[image.item.prompt]})


def rewritten_lines(texts: Mapping[str, str]) -> list[str]:
    """Return a JSON object a line, with ``prompt`` and ``rewritten``, in order."""
    return [
        json.dumps({"prompt": prompt, "rewritten": text}, ensure_ascii=False)
        for prompt, text in texts.items()
    ]


def outputs_digest(texts: Mapping[str, str]) -> str:
    """Return the sha256 of ``rewritten.jsonl``."""
    return sha256_bytes("".join(f"{line}\n" for line in rewritten_lines(texts)).encode())
