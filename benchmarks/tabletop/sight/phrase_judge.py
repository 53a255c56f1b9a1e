"""The judge of T2I-CompBench in the embedded world: what its official rules read, from pixels alone.

What a noun phrase means, and the words with their parts of speech, are read from the item; a detector's boxes
come in the official scale.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

from PIL import Image

from benchmarks.tabletop.sight import scene_reading
from benchmarks.tabletop.sight.scene_reading import read_scene
from lumina_eval.errors import UserError
from lumina_eval.records import Item

#: Side of the picture that boxes are given for: the official detector scales to it, and the rule for "next
#: to" has its distance in these pixels.
SIDE: Final = 480


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
        return scene_reading.digest_with("tabletop/sight/phrase_judge.py")

    @property
    def settings(self) -> Mapping[str, Any]:
        """What counts as a thing, and the scale of the boxes."""
        return {**scene_reading.settings(), "side": SIDE}

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
    scene = read_scene(image)
    scale = SIDE / scene.side
    return {
        "phrases": [
            {"text": phrase["text"], "yes_probability": float(scene.fulfils(phrase["fact"]))}
            for phrase in metadata["phrases"]
        ],
        "tokens": metadata["tokens"],
        "detections": [
            [*(round(scale * value, 2) for value in one.box), 1.0, one.shape] for one in scene.seen
        ],
        "seen": scene.rows(),
    }
