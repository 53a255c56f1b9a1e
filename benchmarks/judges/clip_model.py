"""A CLIP of open_clip by its name, a folder or OpenAI's file: checked, pinned by its digest, loaded once."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any, Final

from benchmarks.judges.offline import refuse_offline
from benchmarks.judges.openai_clip import ASSETS, clip_source, load_openai
from lumina_eval.digests import sha256_file
from lumina_eval.errors import UserError, first_line

#: What open_clip reads in a folder of one's own.
CONFIGURATION: Final = "open_clip_config.json"
#: Where open_clip keeps what it fetched from plain addresses (``download_pretrained_from_url``).
CACHE: Final = Path("~/.cache/clip")
#: Files that a model in a folder is made of.
PARTS: Final = (".json", ".safetensors", ".pt", ".bin", ".pth", ".txt")


class ClipModel:
    """Both towers in float32, with the image transform and the tokenizer that belong to them."""

    def __init__(
        self, model: str, device: str, key: str = "judge.clip", usual: str = "ViT-B-32-quickgelu/openai"
    ) -> None:
        """Check ``model``: ``NAME/TAG`` of open_clip, a folder in its form, or OpenAI's ``ViT-B-32.pt``.

        An official name stands for the fetched asset. ``device`` is one of torch; ``key`` is where the
        protocol names the model and ``usual`` what stands there, both for messages.

        Raises UserError if there is no such model, or if its activation is not that of the weights: OpenAI's
        were trained with QuickGELU, and open_clip loads them into the plain ViT-B-32 with no more than a
        warning.
        """
        self._folder = Path(model) if Path(model).is_dir() else None
        if not Path(model).exists():
            check_tag(model, key, usual)
        elif self._folder is not None and not (self._folder / CONFIGURATION).is_file():
            raise UserError(
                f"expected {CONFIGURATION} in {model}, found none; fix: --set {key}={usual}, or a folder in "
                "open_clip's form"
            )
        self.name, self.device, self._key, self._usual = model, device, key, usual
        self._file = clip_source(model) if self._folder is None else None

    @cached_property
    def weights(self) -> Any:
        """What the weights are, as a JSON value that goes into a digest."""
        if self._file is not None:
            return sha256_file(self._file)
        if self._folder is None:
            return [self.name, sha256_file(self._checkpoint())]
        parts = sorted(path for path in self._folder.iterdir() if path.suffix in PARTS)
        return [[path.name, sha256_file(path)] for path in parts]

    @cached_property
    def loaded(self) -> tuple[Any, Any, Any]:
        """Model, image transform and tokenizer. Raises UserError if open_clip cannot load them."""
        import open_clip

        if self._folder is None:
            if self._file is None:
                refuse_fetching(self.name, self._key)
            name, _, tag = self.name.partition("/")
            found = {"model_name": name, "pretrained": tag}
        else:
            name = f"local-dir:{self._folder}"
            found = {"model_name": name}
        try:
            if self._file is not None:
                model, preprocess, tokenizer = load_openai(self._file, self.device)
            else:
                model, preprocess = open_clip.create_model_from_pretrained(**found, device=self.device)
                tokenizer = open_clip.get_tokenizer(name)
        except Exception as error:  # open_clip has many ways to say that a model does not load
            raise UserError(
                f"cannot load CLIP {self.name}: {first_line(error)}; fix: lumina-eval data fetch "
                f"{ASSETS[self._usual]} and --set {self._key}={self._usual}, or name a folder that is whole"
            ) from error
        if not isinstance(tokenizer, open_clip.SimpleTokenizer):
            raise UserError(
                f"expected CLIP's own tokenizer for {self.name}, found {type(tokenizer).__name__}; "
                "fix: take a model without hf_tokenizer_name"
            )
        return model.eval(), preprocess, tokenizer

    def _checkpoint(self) -> Path:
        """Return the weights file of ``NAME/TAG``, fetched if it is not there."""
        import open_clip

        refuse_fetching(self.name, self._key)
        name, _, tag = self.name.partition("/")
        try:
            return Path(open_clip.download_pretrained(open_clip.get_pretrained_cfg(name, tag)))
        except Exception as error:  # the network has many ways to fail, all of them the user's to mend
            raise UserError(
                f"cannot get the weights of CLIP {self.name}: {first_line(error)}; fix: run it once with a "
                f"network, or name a folder in open_clip's form with --set {self._key}=DIR"
            ) from error


def refuse_fetching(model: str, key: str) -> None:
    """Raise UserError if open_clip would fetch ``NAME/TAG`` from a plain address while offline.

    What comes from Hugging Face's hub is that package's own to refuse, which it does.
    """
    import open_clip

    name, _, tag = model.partition("/")
    found = open_clip.get_pretrained_cfg(name, tag)
    address = "" if found.get("hf_hub") else str(found.get("url", ""))
    if address and not (CACHE / address.rpartition("/")[2]).expanduser().is_file():
        refuse_offline(f"CLIP {model}", address, f"--set {key}=DIR, a folder in open_clip's form")


def check_tag(model: str, key: str, usual: str) -> None:
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
