"""Prompts of a task, drawn with a seed: of one part, and as many unseen compositions as seen ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from benchmarks.tabletop.world.splits import prompt_split
from benchmarks.tabletop.world.wishes import Wish

#: Draws after which a task that has too few prompts is taken to be exhausted.
MOST_DRAWS: Final = 4000


def draw_prompts(
    make: Callable[[np.random.Generator], Wish],
    tell: Callable[[Wish], str],
    *,
    seed: list[int],
    number: int,
    part: str,
) -> list[tuple[str, Wish]]:
    """Return up to ``number`` different prompts with their wishes, in the order drawn.

    Args:
        make: draws a wish.
        tell: puts it into words.
        seed: seed of the draw; the first prompts do not depend on ``number``'s being larger, within a split.
        number: prompts at most, half of each split (the odd one seen).
        part: ``dev``, ``test``, or ``all`` for both.
    """
    rng = np.random.default_rng(seed)
    room = {"seen": number - number // 2, "unseen": number // 2}
    found: dict[str, Wish] = {}
    for _ in range(MOST_DRAWS):
        if not any(room.values()):
            break
        wish = make(rng)
        prompt = tell(wish)
        if prompt in found or not room[wish.split] or part not in ("all", prompt_split(prompt)):
            continue
        room[wish.split] -= 1
        found[prompt] = wish
    return list(found.items())


def choose(words: tuple[str, ...], number: int, rng: np.random.Generator) -> list[str]:
    """Draw ``number`` different words, in random order."""
    return [words[int(i)] for i in rng.permutation(len(words))[:number]]
