"""Ranks that say how sure they are: each run's best and worst place, as its interval allows."""

from __future__ import annotations

from collections.abc import Sequence

from lumina_eval.records import Metric


def rank_ranges(metrics: Sequence[Metric], higher: bool) -> list[tuple[int, int]]:
    """Return (best, worst) place of each metric among all, 1 the first.

    A run stands behind those alone whose interval over prompts (``ci_prompts``, else ``ci_seeds``) lies
    wholly on the better side of its own. Intervals of two runs that overlap may still differ when compared
    prompt by prompt, so a range is never too narrow for lack of that. Without an interval any place is
    possible.
    """
    spans = [
        _span(metric) if higher else tuple(-end for end in reversed(_span(metric))) for metric in metrics
    ]
    found = []
    for low, high in spans:
        better = sum(other_low > high for other_low, _ in spans)
        worse = sum(other_high < low for _, other_high in spans)
        found.append((1 + better, len(spans) - worse))
    return found


def _span(metric: Metric) -> tuple[float, float]:
    return metric.ci_prompts or metric.ci_seeds or (-float("inf"), float("inf"))
