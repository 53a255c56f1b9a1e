"""Which runs may stand in one table: those that answered the same questions and were judged alike."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Final

from lumina_eval.records import Metric
from reports.loading import RunView

#: Metric names that are a split of another one, by what stands before their slash.
SPLITS: Final = ("seen", "unseen")

#: Metrics of which less is better (distances between sets of images).
LOWER_IS_BETTER: Final = frozenset({"fid", "fid_infinity", "kid", "clip_fid", "fd_dinov2", "cmmd"})


@dataclasses.dataclass(frozen=True)
class Group:
    """Runs of one benchmark, protocol, part of it and judge, in the order in which they were given."""

    runs: tuple[RunView, ...]

    @property
    def first(self) -> RunView:
        """Any run of the group, for what all have in common."""
        return self.runs[0]

    @property
    def stages(self) -> tuple[RunView, ...]:
        """Runs that compete: all but the ceiling."""
        return tuple(run for run in self.runs if not run.is_ceiling)

    @property
    def ceilings(self) -> tuple[RunView, ...]:
        """Ground-truth renders judged by the same judge."""
        return tuple(run for run in self.runs if run.is_ceiling)

    @property
    def title(self) -> str:
        """Name of benchmark and protocol for people."""
        return self.first.protocol.title

    @property
    def badges(self) -> tuple[tuple[str, str], ...]:
        """What the numbers are numbers of, as (kind, text); kind ``warn`` must not be overlooked."""
        run = self.first.result
        badges = [("plain", f"benchmark {run.benchmark}"), ("plain", f"protocol {run.protocol}")]
        if run.suite:
            badges.append(("plain", f"suite {run.suite}"))
        if run.subset is not None:
            badges.append(("warn", f"subset: {run.subset}"))
        badges += [("warn", f"changed: {change}") for change in run.changed]
        return tuple(badges)

    @property
    def mark(self) -> str:
        """What every caption of the group ends with, so that a copied table still says it."""
        run = self.first.result
        marks = [f"subset: {run.subset}"] if run.subset is not None else []
        marks += [f"changed: {change}" for change in run.changed]
        return f" — {'; '.join(marks)}" if marks else ""

    @property
    def primary(self) -> str:
        """Name of the metric that decides: ``overall``, else the first one."""
        names = self.metric_names()
        return "overall" if "overall" in names or not names else names[0]

    def metric_names(self) -> list[str]:
        """Names of all metrics of all runs, in order of first appearance."""
        return list(dict.fromkeys(metric.name for run in self.runs for metric in run.result.metrics))

    def parts(self) -> list[str]:
        """Metrics beside the primary one, without the splits."""
        return [name for name in self.metric_names() if name != self.primary and split_of(name) is None]

    def splits(self) -> list[str]:
        """Splits of the primary metric that some run has, e.g. ``seen/overall``."""
        known = self.metric_names()
        return [name for name in (f"{split}/{self.primary}" for split in SPLITS) if name in known]


def split_of(name: str) -> str | None:
    """Return ``seen`` for ``seen/overall``, None for a metric over all prompts."""
    head, slash, _ = name.partition("/")
    return head if slash and head in SPLITS else None


def metric_of(run: RunView, name: str) -> Metric | None:
    """Return a run's metric if it has a value."""
    found = run.result.metric(name)
    return found if found is not None and found.value is not None else None


def value_of(metric: Metric) -> float:
    """Return the value of a metric that :func:`metric_of` found."""
    if metric.value is None:
        raise ValueError(f"metric {metric.name!r} has no value")
    return metric.value


def group_runs(runs: Sequence[RunView]) -> tuple[Group, ...]:
    """Part runs into groups. A subset never shares a group with a whole protocol, nor with another subset.

    Groups of whole protocols come first; apart from that the order is the one in which runs were given.
    """
    found: dict[tuple[object, ...], list[RunView]] = {}
    for run in runs:
        manifest, result = run.manifest, run.result
        key = (
            manifest.benchmark, manifest.protocol, manifest.protocol_digest, tuple(result.changed),
            result.subset, manifest.judge, manifest.judge_digest, result.suite if run.is_subset else None,
        )  # fmt: skip
        found.setdefault(key, []).append(run)
    groups = [Group(tuple(members)) for members in found.values()]
    return tuple(sorted(groups, key=lambda group: group.first.is_subset))
