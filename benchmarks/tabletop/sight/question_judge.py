"""The judge of DPG-Bench in the embedded world: yes or no to each question, from pixels alone.

What a question means is read from the item's ``facts``, not from its words.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from PIL import Image

from benchmarks.tabletop.sight import scene_reading
from benchmarks.tabletop.sight.scene_reading import read_scene
from lumina_eval.errors import UserError
from lumina_eval.records import Item


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
        return scene_reading.digest_with("tabletop/sight/question_judge.py")

    @property
    def settings(self) -> Mapping[str, Any]:
        """What counts as a thing."""
        return scene_reading.settings()

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
    scene = read_scene(image)
    facts = metadata["facts"]
    return {
        "answers": {
            row["text"]: "yes" if scene.fulfils(facts[str(row["id"])]) else "no"
            for row in metadata["questions"]
        },
        "seen": scene.rows(),
    }
