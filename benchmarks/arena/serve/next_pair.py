"""What a voter sees next: the most telling pair of models, on a prompt that this voter has not seen."""

from __future__ import annotations

import random
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Literal

import numpy as np

from benchmarks.arena.choice import Matrix, gains, ranked_pairs, strengths
from benchmarks.arena.layouts import Shown
from benchmarks.arena.manifest import BlindMatchUp

Way = Literal["active", "random"]
#: Models on the left and right, wins of the left with ties half, votes.
Tally = tuple[str, str, float, int]
#: Seconds for which a pair that was shown counts as a vote to come.
PATIENCE: Final = 600


class Chooser:
    """Chooses match-ups of an arena; ``active`` by what they tell, ``random`` evenly."""

    def __init__(self, shown: Sequence[Shown], who: Mapping[str, BlindMatchUp], way: Way = "active") -> None:
        self._way = way
        self._number = {
            name: k for k, name in enumerate(sorted({n for m in who.values() for n in (m.left, m.right)}))
        }
        self._of_pair: dict[tuple[int, int], list[Shown]] = defaultdict(list)
        for one in shown:
            models = who[one.id]
            self._of_pair[self._place(models.left, models.right)].append(one)

    def next(
        self,
        seen: set[str],
        category: str | None,
        tallies: Iterable[Tally],
        waiting: Iterable[tuple[str, str]],
        times: Mapping[str, int],
    ) -> Shown | None:
        """Return a match-up that is not in ``seen``; of those that tell most, one that was shown least.

        ``tallies`` are the votes so far, ``waiting`` the models of pairs shown and not voted on yet,
        ``times`` how often each match-up was shown. None if the voter has seen all.
        """
        for pair in self._ranked(tallies, waiting):
            left = [
                one for one in self._of_pair[pair] if one.id not in seen and category in (None, one.category)
            ]
            if left:
                least = min(times.get(one.id, 0) for one in left)
                return random.choice([one for one in left if times.get(one.id, 0) == least])
        return None

    def _ranked(self, tallies: Iterable[Tally], waiting: Iterable[tuple[str, str]]) -> list[tuple[int, int]]:
        size = len(self._number)
        wins: Matrix = np.zeros((size, size))
        open_pairs: Matrix = np.zeros((size, size))
        for left, right, won, votes in tallies:
            a, b = self._number[left], self._number[right]
            wins[a, b] += won
            wins[b, a] += votes - won
        for first, second in waiting:
            a, b = self._place(first, second)
            open_pairs[a, b] += 1
            open_pairs[b, a] += 1
        counts = wins + wins.T + open_pairs
        worth = gains(strengths(wins), counts) if self._way == "active" else -counts
        return ranked_pairs(worth, np.random.default_rng())

    def _place(self, first: str, second: str) -> tuple[int, int]:
        a, b = self._number[first], self._number[second]
        return (a, b) if a < b else (b, a)


def still_open() -> float:
    """Return the time since which a shown pair is still waited for."""
    return time.time() - PATIENCE
