"""Which runs may stand in one table: those that answered the same questions and were judged alike."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Final

from lumina_eval.records import Metric
from lumina_eval.statistics.endpoint import MEAN_OF_CATEGORIES, primary_metric
from lumina_eval.statistics.means import LOWER_IS_BETTER
from lumina_eval.timed import holds_times
from lumina_eval.units import COSTS
from reports.loading import RunView
from reports.numbers import count
from reports.table import Direction

#: Stages of training in their order; others follow in the order given.
STAGES: Final = ("low_res", "high_res", "hq_tuning")

#: Metric names that are a split of another one, by what stands before their slash.
SPLITS: Final = ("seen", "unseen")

NOTE_MEAN: Final = "The benchmark has no score over all categories; this is their unweighted mean."


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
        if run.rewriting is not None:
            badges.append(("warn", run.rewriting.in_words))
        badges += [("warn", f"changed: {change}") for change in run.changed]
        badges += [("plain", f"{name}: {value}") for name, value in self._timing]
        return tuple(badges)

    @property
    def mark(self) -> str:
        """What every table of the group is marked with, so that a copied one still says it."""
        run = self.first.result
        marks = [f"subset: {run.subset}"] if run.subset is not None else []
        marks += [run.rewriting.in_words] if run.rewriting is not None else []
        marks += [f"changed: {change}" for change in run.changed]
        marks += [f"against {what}" for what in run.against]
        marks += [f"{name}: {value}" for name, value in self._timing]
        return "; ".join(marks)

    @property
    def _timing(self) -> tuple[tuple[str, str], ...]:
        """Of measurements of time: where they were taken, and what their score is a score of."""
        if not self.timed:
            return ()
        device = str(self.first.manifest.judge_settings.get("device", "unknown"))
        score = self.first.score_of
        return (("device", device), *((("score", score),) if score is not None else ()))

    @property
    def milestones(self) -> tuple[RunView, ...]:
        """The last checkpoint of each stage; of a single stage the first checkpoint and the last."""
        last = {run.title: run for run in self.stages}
        if len(last) == 1 and len(self.stages) > 1:
            return (self.stages[0], self.stages[-1])
        return tuple(last.values())

    def label(self, run: RunView) -> str:
        """A run's name in tables and figures, as short as it can be and different for every run.

        The stage alone where all have the same model line, with the step where a stage has several
        checkpoints, and with the first digits of the run's digest where even that is not enough.
        """
        name, _, spec = run.title.partition(":")
        same = [one for one in self.runs if one.title == run.title]
        if run.is_ceiling:
            text = run.title
        else:
            lines = {one.title.partition(":")[0] for one in self.stages}
            text = spec if spec and lines == {name} else run.title
        if len({one.result.step for one in same}) > 1:
            text += f" @ {count(run.result.step)}"
        if sum(one.result.step == run.result.step for one in same) > 1:
            text += f" #{run.manifest.run_digest[:6]}"
        return text

    @property
    def primary(self) -> str:
        """Name of the metric that decides: ``overall``, the mean of categories, else the first one."""
        if self.timed:
            return self.first.result.metrics[0].name
        known = [name for run in self.runs if (name := primary_metric(run.result)) is not None]
        decisive = [name for name in known if name in ("overall", MEAN_OF_CATEGORIES)]
        return next(iter([*decisive, *known]), "overall")

    @property
    def notes(self) -> tuple[str, ...]:
        """What the primary metric is, where it is none of the benchmark's own."""
        return (NOTE_MEAN,) if self.primary == MEAN_OF_CATEGORIES else ()

    @property
    def unit(self) -> str:
        """Unit of the primary metric."""
        return self.unit_of(self.primary)

    def unit_of(self, name: str) -> str:
        """Unit of a metric; ``fraction`` if no run has it."""
        known = (_metric(run, name) for run in self.runs)
        return next((metric.unit for metric in known if metric is not None), "fraction")

    def direction(self, name: str) -> Direction:
        """Which way a metric is better: a matter of its unit, whatever a plug-in calls it."""
        return "lower" if self.unit_of(name) in LOWER_IS_BETTER | COSTS else "higher"

    def metric_names(self) -> list[str]:
        """Names of all metrics of all runs, in order of first appearance."""
        return list(dict.fromkeys(metric.name for run in self.runs for metric in run.result.metrics))

    def parts(self) -> list[str]:
        """Metrics beside the primary one, without the splits."""
        shown = (self.primary, *self.beside())
        return [name for name in self.metric_names() if name not in shown and split_of(name) is None]

    @property
    def parts_by(self) -> str:
        """What the metrics beside the primary one are told apart by."""
        return "by measure" if self.timed else "by category"

    @property
    def timed(self) -> bool:
        """These are measurements of seconds: there is no image to look at, and no prompt to be paired by."""
        return holds_times(self.first.manifest)

    def beside(self) -> list[str]:
        """Metrics that stand beside the primary one everywhere: no speed is shown without a score."""
        return ["score"] if self.timed else []

    def splits(self) -> list[str]:
        """Splits of the primary metric that some run has, e.g. ``seen/overall``."""
        known = self.metric_names()
        return [name for name in (f"{split}/{self.primary}" for split in SPLITS) if name in known]


def split_of(name: str) -> str | None:
    """Return ``seen`` for ``seen/overall``, None for a metric over all prompts."""
    head, slash, _ = name.partition("/")
    return head if slash and head in SPLITS else None


def metric_of(run: RunView, name: str) -> Metric | None:
    """Return a run's metric if it has a value; the mean of categories is made of the run's scores."""
    found = _metric(run, name)
    return found if found is not None and found.value is not None else None


def _metric(run: RunView, name: str) -> Metric | None:
    return run.mean_of_categories if name == MEAN_OF_CATEGORIES else run.result.metric(name)


def value_of(metric: Metric) -> float:
    """Return the value of a metric that :func:`metric_of` found."""
    if metric.value is None:
        raise ValueError(f"metric {metric.name!r} has no value")
    return metric.value


def group_runs(runs: Sequence[RunView]) -> tuple[Group, ...]:
    """Part runs into groups. A subset never shares a group with a whole protocol, nor with another subset;
    runs with rewritten prompts share one with those alone that were given the same texts, distances from one
    reference stand in no table with those from another, and a speed in none with a speed whose score is of
    something else.

    Groups of whole protocols come first. Within a group, model lines stand in the order given, the
    checkpoints of each in the order of training: a shell hands folders over by name.
    """
    found: dict[tuple[object, ...], list[RunView]] = {}
    for run in runs:
        made, result = run.manifest, run.result
        key = (
            (made.benchmark, made.protocol, made.protocol_digest, tuple(result.changed))
            + (made.judge, made.judge_digest, result.subset, tuple(result.against))
            + ((result.suite,) if run.is_subset else ())
            + ((result.rewriting.template, result.rewriting.outputs) if result.rewriting else ())
            + ((run.score_of,) if holds_times(made) else ())
        )
        found.setdefault(key, []).append(run)
    groups = [Group(tuple(in_training_order(members))) for members in found.values()]
    return tuple(sorted(groups, key=lambda group: group.first.is_subset))


def in_training_order(runs: Sequence[RunView]) -> list[RunView]:
    """Sort runs by model line in the order given, then by stage and step."""
    lines = list(dict.fromkeys(run.manifest.model for run in runs))
    stages = [*STAGES, *dict.fromkeys(run.result.stage for run in runs)]

    def place(run: RunView) -> tuple[int, int, int, int, str]:
        step = -1 if run.result.step is None else run.result.step
        size = len(run.title) if run.is_ceiling else 0  # 64 before 128
        return (lines.index(run.manifest.model), stages.index(run.result.stage), step, size, run.title)

    return sorted(runs, key=place)
