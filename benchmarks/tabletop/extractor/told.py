"""What the extractor reads about a scene: a right caption and wrong ones, in the same words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from benchmarks.tabletop.extractor.wrong_captions import KINDS, altered
from benchmarks.tabletop.world.languages.en import ENGLISH
from benchmarks.tabletop.world.planning import plan
from benchmarks.tabletop.world.scene import Scene
from benchmarks.tabletop.world.statements import Statement

#: Most words that are told; the tokenizer adds a beginning and an end.
MOST_WORDS: Final = 26
#: Shares of the captions' levels. A detailed caption is longer than what is read: two sentences of one.
_LEVELS: Final = (("short", 0.35), ("medium", 0.35), ("tag", 0.1), ("detailed", 0.2))


def right_statements(scene: Scene, rng: np.random.Generator) -> list[Statement]:
    """Draw what a caption says, all of it true of the scene."""
    level = _LEVELS[int(rng.choice(len(_LEVELS), p=[share for _, share in _LEVELS]))][0]
    said = plan(scene, level, rng)  # type: ignore[arg-type]
    if level == "detailed":
        telling = [statement for statement in said if statement.a]
        chosen = sorted(rng.permutation(len(telling))[:2])
        said = [telling[int(place)] for place in chosen]
    return said


def told(
    scene: Scene, rng: np.random.Generator, wrong: int, kinds: Sequence[str] = KINDS
) -> tuple[str, list[tuple[str, str]]]:
    """Return a right caption, and up to ``wrong`` wrong ones, each with what is wrong about it.

    Args:
        scene: what is on the table.
        rng: draws what is said, in which words, and what is wrong.
        wrong: most wrong captions, each of another kind.
        kinds: kinds of what may be wrong.
    """
    while True:
        said = right_statements(scene, rng)
        seed = int(rng.integers(2**32))
        right = _tell(said, seed)
        if len(right.split()) <= MOST_WORDS:
            break
    found: list[tuple[str, str]] = []
    for place in rng.permutation(len(kinds)):
        if len(found) == wrong:
            break
        new = altered(said, kinds[int(place)], scene, rng)
        if new is not None and (text := _tell(new, seed)) != right:
            found.append((kinds[int(place)], text))
    return right, found


def _tell(said: Sequence[Statement], seed: int) -> str:
    """Tell statements with the same choice of sentences wherever the seed is the same."""
    return ENGLISH.tell(said, np.random.default_rng(seed))
