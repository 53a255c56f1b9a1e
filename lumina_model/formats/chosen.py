"""Another transformer than the checkpoint's own, and adapters added to it: what to read, and its digests."""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import torch

from lumina_model.digests import tensors_digest
from lumina_model.errors import UserError
from lumina_model.formats.load import load_transformer, read_stored
from lumina_model.formats.lora import adapter_digest
from lumina_model.next_dit import NextDiT

OPTIONS = ("transformer", "lora")
"""Names of the options that `Chosen.of` reads."""


@dataclass(frozen=True)
class Chosen:
    """What takes the place of a checkpoint's own transformer.

    Attributes:
        own: folder of the checkpoint's own transformer.
        other: another one, in any form that `load_transformer` reads; None for the own.
        lora: adapters that are added to the weights, with their scales, in this order.
    """

    own: Path
    other: str | None = None
    lora: tuple[tuple[str, float], ...] = ()

    @classmethod
    def of(cls, own: Path, options: Mapping[str, str]) -> "Chosen":
        """Read the options `transformer` (a path) and `lora` (FILE[=SCALE], several with commas).

        Raises:
            UserError: a scale that is no number.
        """
        lora = tuple(parse_lora(item) for item in options.get("lora", "").split(",") if item)
        return cls(own, options.get("transformer"), lora)

    def __bool__(self) -> bool:
        """True if anything takes the place of the own transformer."""
        return bool(self.other or self.lora)

    @property
    def folder(self) -> Path:
        """Where the transformer is; `checkpoint.json` is looked for beside it."""
        return Path(self.other) if self.other else self.own

    @property
    def title(self) -> str:
        """What is added to the checkpoint's name in tables: ` with official + style=0.5`."""
        names = [Path(self.other).name] if self.other else []
        names += [f"{Path(path).stem}={scale:g}" for path, scale in self.lora]
        return f" with {' + '.join(names)}" if names else ""

    def reader(self, dtype: torch.dtype) -> Callable[[], NextDiT] | None:
        """What reads the transformer; None if it is the checkpoint's own."""
        return partial(load_transformer, self.other or self.own, dtype, lora=self.lora) if self else None

    def digests(self) -> dict[str, str]:
        """sha256 of each component that is not the checkpoint's own.

        That of another transformer is over its config and its tensors under our names, and so the same in
        every format; that of `lora` over the files and the scales.
        """
        digests = {}
        if self.other:
            stored = read_stored(self.other)
            told = [asdict(stored.config), tensors_digest(sorted(stored.tensors.items()))]
            digests["transformer"] = _sha256(told)
        if self.lora:
            digests["lora"] = _sha256([[adapter_digest(path), scale] for path, scale in self.lora])
        return digests


def parse_lora(item: str) -> tuple[str, float]:
    """Read `FILE` or `FILE=SCALE`.

    Raises:
        UserError: the scale is no number.
    """
    path, _, scale = item.rpartition("=")
    if not path or Path(item).exists():
        return item, 1.0
    try:
        return path, float(scale)
    except ValueError:
        raise UserError(f"expected FILE or FILE=SCALE, found {item!r}, in --lora; fix: --lora") from None


def _sha256(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
