"""Two models timed in turns, so that a busy moment of the machine hits both alike."""

from __future__ import annotations

import functools
import itertools
import statistics
from collections.abc import Sequence

from benchmarks.efficiency.timing import seconds_of
from lumina_eval.plugins import Model


def times_faster(slow: Model, fast: Model, prompts: Sequence[str], batch: int, repeats: int) -> float:
    """Return how many times faster ``fast`` draws the same batch: the median over rounds of both.

    One round before them warms both up.
    """
    chosen = list(itertools.islice(itertools.cycle(prompts), batch))
    seeds = list(range(batch))
    draws = [functools.partial(model.generate, chosen, seeds) for model in (slow, fast)]
    rounds = [[seconds_of(draw, model.device) for draw, model in zip(draws, (slow, fast), strict=True)]
              for _ in range(repeats + 1)]  # fmt: skip
    return statistics.median(before / after for before, after in rounds[1:])
