"""What a comparison is about: the one place that knows which metric, with which weights, and what is better.

A benchmark says what its metrics are, not how they are made of scores. So the weights are found: those with
which the scores of every run give the metric that stands in its ``metrics.json``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from lumina_eval.errors import UserError
from lumina_eval.records import Metric, RunResult, Score
from lumina_eval.statistics.clusters import Clusters
from lumina_eval.statistics.means import BOUNDS, LOWER_IS_BETTER, Bounds, Weights, metric, moments, reach_of

Pairs = Literal["prompts", "groups of prompts"]

MEAN_OF_CATEGORIES: Final = "mean of categories"
_WEIGHTS: Final[tuple[Weights, ...]] = ("equal", "images", "prompts")


@dataclass(frozen=True)
class Endpoint:
    """The primary endpoint of a comparison."""

    name: str = "overall"
    unit: str = "fraction"
    weights: Weights = "equal"
    published: bool = True
    """A metric of the benchmark; else a mean that the comparison makes, because the benchmark has none."""
    units: Mapping[str, str] = field(default_factory=dict)
    """Unit of a task where it is not that of the endpoint."""
    order: tuple[str, ...] = ()
    """Names of the metrics as the benchmark has them; tasks are told in this order."""
    pairs: Pairs = "prompts"
    """What a score is of, and so what is paired: a measure of whole sets has one for a group of prompts."""

    @property
    def bounds(self) -> Bounds | None:
        """Range of a score, None if it has none."""
        return BOUNDS.get(self.unit)

    @property
    def reach(self) -> float | None:
        """The largest difference of two scores."""
        return reach_of(self.unit)

    @property
    def lower_is_better(self) -> bool:
        """The scores are distances."""
        return self.unit in LOWER_IS_BETTER

    @property
    def plannable(self) -> bool:
        """It is a mean over prompts between bounds, so that a number of prompts can be named for it."""
        return self.pairs == "prompts" and self.bounds is not None

    def in_order(self, tasks: Sequence[str]) -> list[int]:
        """Places of `tasks` in the benchmark's order; those that are no metric come last, as they stand."""
        known = {name: place for place, name in enumerate(self.order)}
        return sorted(range(len(tasks)), key=lambda place: known.get(tasks[place], len(known)))

    def of_task(self, task: str) -> Endpoint:
        """The endpoint that is the mean of one task alone."""
        return Endpoint(task, self.units.get(task, self.unit))


def primary_metric(result: RunResult) -> str | None:
    """Return the name of the metric that stands for a run: ``overall``, else the first; None without metrics.

    It is the mean of categories where the metrics are those of categories: each is over images of its own,
    and together they are over all that were judged. So a record without scores tells it too.
    """
    names = [one.name for one in result.metrics]
    if "overall" in names or not names:
        return "overall" if names else None
    parts = [one.n_images for one in result.metrics if "/" not in one.name and one.value is not None]
    apart = len(parts) > 1 and sum(parts) == result.coverage.judged
    return MEAN_OF_CATEGORIES if apart else names[0]


def mean_of_categories(result: RunResult, scores: Sequence[Score]) -> Metric:
    """Return the metric that a run without a score over all categories is compared by, with its intervals.

    Raises UserError where the run's metrics are no means of categories.
    """
    endpoint = endpoint_of([(result, scores)])
    return metric(MEAN_OF_CATEGORIES, scores, endpoint.unit, endpoint.weights)


def endpoint_of(runs: Sequence[tuple[RunResult, Sequence[Score]]]) -> Endpoint:
    """Return what runs of one protocol are compared by: ``overall``, else the first metric.

    Where the first metric is that of one category among several, as in T2I-CompBench, the benchmark has no
    score over all of them; the endpoint is then the unweighted mean of the categories, and says so.

    Raises UserError if a run has no value, or if its value is no mean of its scores.
    """
    first = runs[0][0]
    names = [metric.name for metric in first.metrics]
    if not names:
        raise UserError(
            f"expected a metric to compare, found none in {first.run_dir}; fix: judge the images first"
        )
    name = "overall" if "overall" in names else names[0]
    unit, values, pairs = "fraction", [], _pairs(first, name, runs[0][1])
    for result, scores in runs:
        metric = result.metric(name)
        if metric is None or metric.value is None or not scores:
            raise UserError(
                f"expected a value for {name} in every run, found none in {result.run_dir}; "
                "fix: run it again with more prompts, or compare other runs"
            )
        unit = metric.unit
        values.append(metric.value)
    clusters = [Clusters.of_scores(scores) for _, scores in runs]
    for weights in _WEIGHTS:
        if all(_same(float(moments(c, weights).value), v) for c, v in zip(clusters, values, strict=True)):
            return Endpoint(name, unit, weights, order=tuple(names), pairs=pairs)
    tasks = sorted({score.task for _, scores in runs for score in scores})
    units = {metric.name: metric.unit for metric in first.metrics if metric.name in tasks}
    if len(tasks) > 1 and set(units) == set(tasks):
        widest = "signed_fraction" if "signed_fraction" in units.values() else unit
        return Endpoint(MEAN_OF_CATEGORIES, widest, "equal", False, units, tuple(names), pairs)
    raise UserError(
        f"expected {name} to be a mean of the scores of single images, found that it is none, in "
        f"{first.run_dir}; fix: compare the intervals of the runs' own metrics"
    )


def _pairs(result: RunResult, name: str, scores: Sequence[Score]) -> Pairs:
    """Scores are of images, at least one of each; fewer than there are images are of groups of prompts."""
    metric = result.metric(name)
    return "groups of prompts" if metric is not None and len(scores) < metric.n_images else "prompts"


def _same(one: float, other: float) -> bool:
    return math.isclose(one, other, rel_tol=1e-6, abs_tol=1e-9)
