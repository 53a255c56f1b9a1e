"""The judge of T2I-CompBench in the embedded world: what its official rules read, from pixels alone.

What a noun phrase means, and the words with their parts of speech, are read from the item; a detector's boxes
come in the official scale.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

import numpy as np
from PIL import Image

from benchmarks.tabletop.sight import judge, scene_graph
from benchmarks.tabletop.sight.perception import see
from benchmarks.tabletop.sources import source_digest
from benchmarks.tabletop.world.facts import Fact, holds
from lumina_eval.errors import UserError
from lumina_eval.records import Item

#: Side of the picture that boxes are given for: the official detector scales to it, and the rule for "next
#: to" has its distance in these pixels.
SIDE: Final = 480

#: The files that a verdict depends on, beside those of the eye.
_SOURCES: Final = (
    *(f"tabletop/sight/{name}.py" for name in ("phrase_judge", "scene_graph")),
    *(f"tabletop/world/{name}.py" for name in ("facts", "statements")),
)


def open_judge(options: Mapping[str, Any]) -> PhraseJudge:
    """Return the judge; it has no options."""
    return PhraseJudge()


class PhraseJudge:
    """Reads the scene graph back from the picture; says what it has of each phrase, and what lies where."""

    kind: Literal["detect"] = "detect"
    name = "tabletop-phrases"

    @property
    def digest(self) -> str:
        """Sha256 of the judge's source files."""
        return source_digest(*judge.SOURCES, *_SOURCES)

    @property
    def settings(self) -> Mapping[str, Any]:
        """What counts as a thing, and the scale of the boxes."""
        return {**judge.TabletopJudge().settings, "least": scene_graph.LEAST, "side": SIDE}

    def judge(self, images: Sequence[Image.Image], items: Sequence[Item]) -> list[dict[str, Any]]:
        """Return ``phrases``, ``tokens``, ``detections`` as the rules read them, and ``seen`` for people.

        A phrase has probability 1 if some thing on the table is so, else 0; a detection has score 1: what is
        less than half visible, or less than half sure, is none.

        Raises:
            UserError: an item does not say what its phrases mean: it is not of this world.
        """
        return [_told(image, item) for image, item in zip(images, items, strict=True)]


def _told(image: Image.Image, item: Item) -> dict[str, Any]:
    metadata = item.metadata or {}
    if "tokens" not in metadata:
        raise UserError(
            f"expected words with their parts of speech, found none for item {item.id!r}: this judge knows "
            "the embedded world only; fix: take protocol tabletop, or another judge"
        )
    picture = np.asarray(image.convert("RGB"))
    seen = scene_graph.counted(see(picture))
    things = [scene_graph.thing_of(one, len(picture)) for one in seen]
    scale = SIDE / len(picture)
    return {
        "phrases": [
            {"text": phrase["text"], "yes_probability": float(holds(Fact.from_json(phrase["fact"]), things))}
            for phrase in metadata["phrases"]
        ],
        "tokens": metadata["tokens"],
        "detections": [[*(round(scale * value, 2) for value in one.box), 1.0, one.shape] for one in seen],
        "seen": scene_graph.rows(seen, things),
    }
