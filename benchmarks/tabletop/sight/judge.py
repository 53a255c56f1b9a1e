"""The judge of the embedded world: what lies on the table, from pixels alone, without weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

import numpy as np
from PIL import Image

from benchmarks.tabletop.sight import perception
from benchmarks.tabletop.sight.perception import Seen, see
from benchmarks.tabletop.sources import source_digest
from lumina_eval.records import Item

#: The files that a verdict depends on.
SOURCES: Final = (
    *(f"tabletop/sight/{name}.py" for name in
      ("judge", "perception", "grouping", "segmentation", "matching", "surface", "templates")),
    *(f"tabletop/world/{name}.py" for name in ("renderer", "scene", "vocabulary")),
)  # fmt: skip


def open_judge(options: Mapping[str, Any]) -> TabletopJudge:
    """Return the judge; it has no options."""
    return TabletopJudge()


class TabletopJudge:
    """Reads boxes, classes, colours and textures; a score is visible fraction times the fit's confidence."""

    kind: Literal["detect"] = "detect"
    name = "tabletop"

    @property
    def digest(self) -> str:
        """Sha256 of the judge's source files."""
        return source_digest(*SOURCES)

    @property
    def settings(self) -> Mapping[str, Any]:
        """The constants that decide what counts as a thing."""
        return {
            "smallest": perception.SMALLEST,
            "deviation": [perception.SURE, perception.UNSURE],
            "opacity": [perception.SOLID, perception.FAINT],
            "diameter": [perception.LARGE, perception.SPECK],
            "purity": [perception.PURE, perception.MOTLEY],
        }

    def judge(self, images: Sequence[Image.Image], items: Sequence[Item]) -> list[dict[str, Any]]:
        """Return ``detections``, ``colors`` and ``textures`` by class for each image; reads no prompt."""
        return [output_of(see(np.asarray(image.convert("RGB")))) for image in images]


def output_of(things: Sequence[Seen]) -> dict[str, Any]:
    """Write things as a ``detect`` verdict: per class, best score first, numbers rounded to 4 decimals."""
    output: dict[str, dict[str, list[Any]]] = {"detections": {}, "colors": {}, "textures": {}}
    for thing in things:
        row = [round(value, 4) for value in (*thing.box, thing.score)]
        output["detections"].setdefault(thing.shape, []).append(row)
        output["colors"].setdefault(thing.shape, []).append(thing.color)
        output["textures"].setdefault(thing.shape, []).append(thing.texture)
    return output
