"""How alike are an image and a text? The cosine of their CLIP features, by open_clip.

The facts are those of CLIPScore_eval/CLIP_similarity.py in Karine-Huang/T2I-CompBench at 1b709499, with
OpenAI's ViT-B/32; the code is our own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from PIL import Image

from benchmarks.judges.openai_clip import clip_source, load_openai
from benchmarks.judges.precision import full_float32
from benchmarks.judges.weights import device_of
from lumina_eval.digests import digest_of, sha256_file
from lumina_eval.errors import UserError, first_line

#: Raised when the same image and text get another number.
VERSION: Final = 1
#: What open_clip reads in a folder of one's own.
CONFIGURATION: Final = "open_clip_config.json"
#: Files that a model in a folder is made of.
PARTS: Final = (".json", ".safetensors", ".pt", ".bin", ".pth", ".txt")


class ClipSimilarity:
    """Cosines of CLIP features in float32 (the official code has float16 on a GPU)."""

    name = "clip"

    def __init__(self, model: str, device: str = "auto", batch_size: int = 32) -> None:
        """Check ``model``: ``NAME/TAG`` of open_clip, a folder in its form, or OpenAI's ``ViT-B-32.pt``.

        The official name stands for the fetched ``clip-vit-b-32``.

        Raises UserError if there is no such model, or if its activation is not that of the weights: OpenAI's
        were trained with QuickGELU, and open_clip loads them into the plain ViT-B-32 with no more than a
        warning.
        """
        self._folder = Path(model) if Path(model).is_dir() else None
        if not Path(model).exists():
            check_tag(model)
        elif self._folder is not None and not (self._folder / CONFIGURATION).is_file():
            raise UserError(
                f"expected {CONFIGURATION} in {model}, found none; fix: name a folder in open_clip's form, "
                "or a model of it as NAME/TAG"
            )
        self._model = model
        self._file = clip_source(model) if self._folder is None else None
        self._device = device_of(device)
        self._batch_size = batch_size

    @cached_property
    def digest(self) -> str:
        """Sha256 of the weights and of the version of this file's procedure."""
        if self._file is not None:
            content: Any = sha256_file(self._file)
        elif self._folder is None:
            content = [self._model, sha256_file(_checkpoint(self._model))]
        else:
            parts = sorted(path for path in self._folder.iterdir() if path.suffix in PARTS)
            content = [[path.name, sha256_file(path)] for path in parts]
        return digest_of({"similarity": self.name, "version": VERSION, "weights": content})

    @property
    def settings(self) -> Mapping[str, Any]:
        """What the numbers are computed in."""
        return {"dtype": "float32", "device": self._device.partition(":")[0]}

    def similarities(self, images: Sequence[Image.Image], texts: Sequence[str]) -> list[float]:
        """Return the cosine of each image and its text, -1 to 1: neither scaled nor cut at 0.

        Raises UserError for a text of more tokens than the model reads (77), as the official code does, and
        ValueError unless there is one text to each image.
        """
        import torch

        if len(images) != len(texts):
            raise ValueError(f"expected one text to each image, found {len(images)} and {len(texts)}")
        model, preprocess, tokenizer = self._loaded
        found: list[float] = []
        with full_float32():
            for start in range(0, len(texts), self._batch_size):
                part = slice(start, start + self._batch_size)
                pixels = torch.stack([preprocess(image.convert("RGB")) for image in images[part]])
                tokens = torch.stack([_tokens(tokenizer, text) for text in texts[part]])
                seen = model.encode_image(pixels.to(self._device))
                read = model.encode_text(tokens.to(self._device))
                cosines = torch.nn.functional.cosine_similarity(seen.float(), read.float())
                found += [min(1.0, max(-1.0, value)) for value in cosines.tolist()]  # rounding may pass 1
        return found

    @cached_property
    def _loaded(self) -> tuple[Any, Any, Any]:
        import open_clip

        if self._folder is None:
            name, _, tag = self._model.partition("/")
            found = {"model_name": name, "pretrained": tag}
        else:
            name = f"local-dir:{self._folder}"
            found = {"model_name": name}
        try:
            if self._file is not None:
                model, preprocess, tokenizer = load_openai(self._file, self._device)
            else:
                model, preprocess = open_clip.create_model_from_pretrained(**found, device=self._device)
                tokenizer = open_clip.get_tokenizer(name)
        except Exception as error:  # open_clip has many ways to say that a model does not load
            raise UserError(
                f"cannot load CLIP {self._model}: {first_line(error)}; "
                "fix: give the folder or the NAME/TAG of a whole model with --set judge.clip=…"
            ) from error
        if not isinstance(tokenizer, open_clip.SimpleTokenizer):
            raise UserError(
                f"expected CLIP's own tokenizer for {self._model}, found {type(tokenizer).__name__}; "
                "fix: take a model without hf_tokenizer_name"
            )
        return model.eval(), preprocess, tokenizer


def check_tag(model: str, key: str = "judge.clip", usual: str = "ViT-B-32-quickgelu/openai") -> None:
    """Raise UserError unless ``NAME/TAG`` is a pretrained model of open_clip with the weights' activation.

    ``key`` is where the protocol names it, ``usual`` what stands there; both for the message.
    """
    import open_clip

    name, _, tag = model.partition("/")
    tags = open_clip.list_pretrained_tags_by_model(name)
    if tag not in tags:
        raise UserError(
            f"expected NAME/TAG of a model of open_clip or a folder, found {model!r} (tags of {name!r}: "
            f"{', '.join(tags) or 'none'}); fix: --set {key}={usual}"
        )
    quick = bool(open_clip.get_pretrained_cfg(name, tag).get("quick_gelu"))
    if quick != bool(open_clip.get_model_config(name).get("quick_gelu")):
        raise UserError(
            f"expected a model with {'QuickGELU' if quick else 'GELU'}, as the weights {tag!r} were trained "
            f"with, found {name!r}; fix: --set {key}={'/'.join((_other(name), tag))}"
        )


def _other(name: str) -> str:
    """Return the name of the same architecture with the other activation."""
    return name.removesuffix("-quickgelu") if name.endswith("-quickgelu") else f"{name}-quickgelu"


def _checkpoint(model: str) -> Path:
    """Return the weights file of ``NAME/TAG``, fetched if it is not there."""
    import open_clip

    name, _, tag = model.partition("/")
    try:
        return Path(open_clip.download_pretrained(open_clip.get_pretrained_cfg(name, tag)))
    except Exception as error:  # the network has many ways to fail, all of them the user's to mend
        raise UserError(
            f"cannot get the weights of CLIP {model}: {first_line(error)}; fix: run it once with a "
            "network, or name a folder in open_clip's form with --set judge.clip=DIR"
        ) from error


def _tokens(tokenizer: Any, text: str) -> Any:
    """Return the tokens of a text, padded [context length]; open_clip itself cuts a long one silently."""
    most: int = tokenizer.context_length
    length = len(tokenizer.encode(text)) + 2  # its start and its end
    if length > most:
        raise UserError(
            f"expected a text of at most {most} tokens for CLIP, found {length}: {text[:60]!r}…; "
            "fix: shorten the prompt (the official code ends here too)"
        )
    return tokenizer([text])[0]
