"""``diffusers:DIR_OR_ID[@REVISION]``: any text-to-image pipeline of diffusers.

Options (``--option KEY=VALUE``) are arguments of the pipeline's own call, such as ``num_inference_steps=30``,
plus ``dtype`` (``float32``, ``bfloat16``, ``float16``) and ``device``. What the call leaves open is filled in
from its defaults, so that the sampling is whole.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from PIL import Image

from lumina_eval.digests import digest_of
from lumina_eval.errors import UserError, first_line, nearest
from lumina_eval.models.pinned import folder_digest, pinned_folder
from lumina_eval.plugins import Model

DTYPES: Final = ("float32", "bfloat16", "float16")
#: Arguments of a pipeline's call that are not sampling: set here, or of no effect on the pixels.
RESERVED: Final = (
    "self",
    "prompt",
    "generator",
    "latents",
    "output_type",
    "return_dict",
    "num_images_per_prompt",
)


def open_models(spec: str, options: Mapping[str, str]) -> list[Model]:
    """Find the pipeline's folder, fetching a published one at the revision named, and return it."""
    if not spec:
        raise UserError(
            "expected --model diffusers:DIR or diffusers:OWNER/NAME@REVISION, found no name; fix: add one"
        )
    folder = pinned_folder(spec, "a diffusers pipeline", "model_index.json", "--model diffusers:")
    return [DiffusersModel(folder, spec, options)]


class DiffusersModel:
    """A pipeline with its sampling; it is loaded when the first image is asked for."""

    stage: str | None = None
    step: int | None = None

    def __init__(self, folder: Path, spec: str, options: Mapping[str, str]) -> None:
        from lumina_eval.models import device_kind

        self._folder = folder
        self._options = {key: value for key, value in options.items() if key not in ("device", "dtype")}
        self._dtype = options.get("dtype", "float32")
        if self._dtype not in DTYPES:
            raise UserError(f"unknown dtype {self._dtype!r}; {nearest(self._dtype, DTYPES)}")
        self.device = device_kind(options.get("device", "auto"))
        self.name = Path(spec.partition("@")[0]).name
        self.checkpoint = spec
        self.sampler_version = 1
        self._read_stage()

    def components(self) -> Mapping[str, str]:
        """Return one digest per sub-folder of the pipeline, over its weights and configurations, and one of
        ``model_index.json``: the class of each part, such as the scheduler, and what the pipeline is told.
        """
        return self._components

    @cached_property
    def _index(self) -> Mapping[str, Any]:
        file = self._folder / "model_index.json"
        try:
            return dict(json.loads(file.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError) as error:
            raise UserError(f"expected a JSON object, found {error}, in {file}; fix: restore it") from error

    @cached_property
    def _components(self) -> Mapping[str, str]:
        parts = {name: self._folder / name for name in self._index if (self._folder / name).is_dir()}
        digests = {name: folder_digest(path) for name, path in sorted(parts.items())}
        # Other private keys say who wrote the folder, with which version, and change no pixel.
        said = {key: self._index[key] for key in self._index if key == "_class_name" or key[:1] != "_"}
        return {**digests, "model_index": digest_of(said)}

    def sampling(self) -> Mapping[str, Any]:
        """Return pipeline class, dtype, and every argument of its call as it will be."""
        return {"pipeline": self._kind.__name__, "dtype": self._dtype, **self._arguments}

    def final_text(self, prompt: str) -> str:
        """Return the prompt; the pipeline's system prompt is an argument, and so in the sampling."""
        return prompt

    def generate(self, prompts: Sequence[str], seeds: Sequence[int]) -> Sequence[Image.Image]:
        """Run the pipeline with a CPU generator for each image."""
        import torch

        noise = [torch.Generator("cpu").manual_seed(seed) for seed in seeds]
        given = {key: value for key, value in self._arguments.items() if key in self._given}
        images: Sequence[Image.Image] = self._pipeline(prompt=list(prompts), generator=noise, **given).images
        return images

    @cached_property
    def _kind(self) -> type[Any]:
        """The pipeline's class, so that the sampling is known before any weight is loaded."""
        import diffusers

        name = self._index.get("_class_name")
        kind = getattr(diffusers, str(name), None)
        if not isinstance(kind, type):
            raise UserError(
                f"expected a pipeline of diffusers, found {name!r}, in {self._folder}/model_index.json; "
                "fix: pip install --upgrade diffusers if it is a newer one, or name another pipeline"
            )
        return kind

    @cached_property
    def _pipeline(self) -> Any:
        import torch
        from diffusers import DiffusionPipeline

        try:
            pipeline = DiffusionPipeline.from_pretrained(
                self._folder, torch_dtype=getattr(torch, self._dtype)
            )
        except (OSError, ValueError, RuntimeError) as error:
            raise UserError(
                f"{self._folder} does not load: {first_line(error)}; fix: fetch or save the folder anew"
            ) from error
        pipeline.set_progress_bar_config(disable=True)
        return pipeline.to(self.device)

    @cached_property
    def _given(self) -> dict[str, Any]:
        known = [name for name in inspect.signature(self._kind.__call__).parameters if name not in RESERVED]
        for key in self._options:
            if key not in known:
                raise UserError(f"unknown --option {key!r} for {self.name}; {nearest(key, known)}")
        return {key: _value(text) for key, text in self._options.items()}

    @cached_property
    def _arguments(self) -> dict[str, Any]:
        parameters = inspect.signature(self._kind.__call__).parameters
        defaults = {
            name: parameter.default
            for name, parameter in parameters.items()
            if name not in RESERVED and isinstance(parameter.default, str | int | float | bool | None)
        }
        return {**defaults, **self._given}

    def _read_stage(self) -> None:
        try:
            record = json.loads((self._folder / "checkpoint.json").read_text(encoding="utf-8"))
            self.stage, self.step = str(record["stage"]), int(record["step"])
        except (OSError, ValueError, KeyError, TypeError):
            self.stage, self.step = None, None  # a pipeline of others: it need not have the record


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
