"""Which compositions are never trained on, and which prompts no choice may be made on.

Everything here follows from SHA-256 digests of the vocabulary's words, so it is the same on every machine and
does not change when a word is added at the end of another table. A composition that is held out is absent
from training scenes altogether, not only from their captions.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import combinations
from typing import Any, Final, Literal

from benchmarks.tabletop.world.scene import Scene
from benchmarks.tabletop.world.vocabulary import COLORS, SHAPES


def _digest(purpose: str, word: str) -> str:
    return hashlib.sha256(f"tabletop/{purpose}/{word}".encode()).hexdigest()


def _ranked(purpose: str, words: Iterable[str]) -> list[str]:
    """Return the words in an order that looks random and depends on the words and the purpose alone."""
    return sorted(words, key=lambda word: _digest(purpose, word))


#: 8 of the 80 (colour, shape) pairs: every shape once, no colour twice.
HELD_OUT_COLORED: Final = frozenset(zip(_ranked("colored", COLORS), SHAPES, strict=False))

_MATCHED = _ranked("pair", SHAPES)
#: 4 of the 28 unordered pairs of shapes: every shape once.
HELD_OUT_PAIRS: Final = frozenset(frozenset(pair) for pair in zip(_MATCHED[::2], _MATCHED[1::2], strict=True))

#: 4 of the 24 (shape, count) pairs with counts 2 to 4: no shape twice, every count at least once.
HELD_OUT_COUNTS: Final = frozenset(zip(_ranked("count", SHAPES), (2, 3, 4, 3), strict=False))


def _held_out(colored: Iterable[tuple[str, str]], counts: Mapping[str, int]) -> bool:
    return (
        any(pair in HELD_OUT_COLORED for pair in colored)
        or any(item in HELD_OUT_COUNTS for item in counts.items())
        or any(frozenset(pair) in HELD_OUT_PAIRS for pair in combinations(counts, 2))
    )


def is_unseen(scene: Scene) -> bool:
    """Tell whether a scene contains a held-out composition; training sets hold only scenes that do not.

    Held out are a thing of a held-out colour and shape, two shapes of a held-out pair on one table (whatever
    else lies there), and a held-out number of things of one shape (likewise).
    """
    return _held_out(
        ((thing.color, thing.shape) for thing in scene.things),
        Counter(thing.shape for thing in scene.things),
    )


def is_unseen_prompt(metadata: Mapping[str, Any]) -> bool:
    """Tell whether a prompt asks for a held-out composition.

    Args:
        metadata: GenEval's object for one prompt; read are the ``class``, ``count`` (1 if absent) and
            ``color`` (any if absent) of its ``include`` clauses.
    """
    counts: Counter[str] = Counter()
    colored = []
    for clause in metadata["include"]:
        counts[clause["class"]] += clause.get("count", 1)
        if clause.get("color") is not None:
            colored.append((clause["color"], clause["class"]))
    return _held_out(colored, counts)


def prompt_split(prompt: str) -> Literal["dev", "test"]:
    """Assign a prompt to ``dev`` (a third, for choosing checkpoints and settings) or to ``test``."""
    return "dev" if int(_digest("prompt", prompt), 16) % 3 == 0 else "test"
