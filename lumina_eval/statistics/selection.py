"""The best of many checkpoints, without the luck of the best.

The highest of K noisy scores is too high. So the checkpoint is chosen on one half of the prompts of each task
and its score is reported on the other half, which had no say.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lumina_eval.digests import digest_of
from lumina_eval.errors import UserError
from lumina_eval.records import Score
from lumina_eval.statistics.endpoint import Endpoint
from lumina_eval.statistics.means import Estimate, stratified_mean
from lumina_eval.statistics.pairing import pair_runs


@dataclass(frozen=True)
class Choice:
    """The chosen candidate and its score on the half that did not choose it."""

    name: str
    reported: Estimate
    chosen_on: Mapping[str, float]
    """Score of every candidate on the choosing half: for the record, not for a table."""


def best_of(
    candidates: Mapping[str, Sequence[Score]], endpoint: Endpoint | None = None, seed: int = 0
) -> Choice:
    """Choose on one half, report on the other; the first of equals is chosen.

    The halves depend on the prompts' ids and `seed` alone, so a candidate more does not move them. Raises
    UserError if the candidates did not answer the same prompts, or if a task has a single prompt.
    """
    if not candidates:
        raise UserError("expected candidates to choose from, found none; fix: name two runs or more")
    about = endpoint or Endpoint()
    (first, scores), *others = candidates.items()
    for name, other in others:
        pair_runs(scores, other, (first, name))
    choosing = _half(scores, seed)
    chosen_on = {
        name: stratified_mean(
            [s for s in found if (s.task, s.item_id) in choosing], 0.95, about.bounds, about.weights
        ).value
        for name, found in candidates.items()
    }
    best = (min if about.lower_is_better else max)(chosen_on, key=lambda name: chosen_on[name])
    rest = [score for score in candidates[best] if (score.task, score.item_id) not in choosing]
    return Choice(best, stratified_mean(rest, 0.95, about.bounds, about.weights), chosen_on)


def _half(scores: Sequence[Score], seed: int) -> set[tuple[str, str]]:
    """Half of the prompts of each task, by the order of their hashes."""
    tasks: defaultdict[str, set[str]] = defaultdict(set)
    for score in scores:
        tasks[score.task].add(score.item_id)
    half = set()
    for task, items in tasks.items():
        if len(items) < 2:
            raise UserError(f"expected two prompts or more in each task to halve, found one in {task}")
        ranked = sorted(items, key=lambda item: digest_of([seed, task, item]))
        half |= {(task, item) for item in ranked[: len(ranked) // 2]}
    return half
