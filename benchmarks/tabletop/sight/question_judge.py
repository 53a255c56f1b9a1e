"""The judge of DPG-Bench in the embedded world: yes or no to each question, from pixels alone.

What a question means is read from the item's ``facts``, not from its words.
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

#: The files that a verdict depends on, beside those of the eye.
_SOURCES: Final = (
    *(f"tabletop/sight/{name}.py" for name in ("question_judge", "scene_graph")),
    *(f"tabletop/world/{name}.py" for name in ("facts", "statements")),
)


def open_judge(options: Mapping[str, Any]) -> QuestionJudge:
    """Return the judge; it has no options."""
    return QuestionJudge()


class QuestionJudge:
    """Reads the scene graph back from the picture, and looks up in it what each question asks."""

    kind: Literal["question"] = "question"
    name = "tabletop-questions"

    @property
    def digest(self) -> str:
        """Sha256 of the judge's source files."""
        return source_digest(*judge.SOURCES, *_SOURCES)

    @property
    def settings(self) -> Mapping[str, Any]:
        """What counts as a thing."""
        return {**judge.TabletopJudge().settings, "least": scene_graph.LEAST}

    def judge(self, images: Sequence[Image.Image], items: Sequence[Item]) -> list[dict[str, Any]]:
        """Return ``answers``, "yes" or "no" by the text of the question, and ``seen``, what the eye saw.

        Raises:
            UserError: an item has questions without facts: they were not asked of this world.
        """
        return [_answered(image, item) for image, item in zip(images, items, strict=True)]


def _answered(image: Image.Image, item: Item) -> dict[str, Any]:
    metadata = item.metadata or {}
    if "facts" not in metadata:
        raise UserError(
            f"expected questions with their facts, found none for item {item.id!r}: this judge knows the "
            "embedded world only; fix: take a protocol 'tabletop', or another judge"
        )
    picture = np.asarray(image.convert("RGB"))
    seen = scene_graph.counted(see(picture))
    things = [scene_graph.thing_of(one, len(picture)) for one in seen]
    facts = {number: Fact.from_json(record) for number, record in metadata["facts"].items()}
    return {
        "answers": {
            row["text"]: "yes" if holds(facts[str(row["id"])], things) else "no"
            for row in metadata["questions"]
        },
        "seen": scene_graph.rows(seen, things),
    }
