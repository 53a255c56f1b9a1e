"""The reader's own checkpoints beside published rows: which runs make one row, and what keeps it apart.

A run may compete with published numbers only if it answered the official questions, all of them, as they are,
under the official rules. Any other stands below a rule, with the reasons, and competes with none; so does one
of the drawn world, and one whose rules or judge are of another version than those of its neighbour.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Final, Literal

from lumina_eval.digests import canonical_json
from reports.caveats import TABLETOP, of_tabletop
from reports.groups import metric_of
from reports.loading import RunView
from reports.numbers import count, counted
from reports.paper.published import MetricRef, PublishedTable
from reports.table import RowKind

#: The protocol whose rules are those of the papers.
OFFICIAL: Final = "official"

Standing = Literal["like", "other", "tabletop"]
#: Line above the rows of each standing.
SECTIONS: Final[dict[Standing, str]] = {
    "like": "your runs",
    "other": "your runs under other conditions: not comparable",
    "tabletop": "tabletop world: not comparable",
}


@dataclasses.dataclass(frozen=True)
class Entrant:
    """One row: runs of one checkpoint with one sampling on different benchmarks."""

    runs: tuple[RunView, ...]
    standing: Standing
    reasons: tuple[str, ...]
    label: str

    @property
    def kind(self) -> RowKind:
        """How its row competes."""
        return "measured" if self.standing == "like" else "apart"

    def run_for(self, ref: MetricRef) -> RunView | None:
        """The run that has the number of a column."""
        return next((run for run in self.runs if has_metric(run, ref)), None)


@dataclasses.dataclass(frozen=True)
class _Key:
    """What runs of one row have in common."""

    standing: Standing
    reasons: tuple[str, ...]
    images: tuple[object, ...]
    """All that the images depend on, as far as the records tell."""


def has_metric(run: RunView, ref: MetricRef) -> bool:
    """Tell whether a run has a value for the number of a column."""
    return run.manifest.benchmark == ref.benchmark and metric_of(run, ref.name) is not None


def entrants(runs: Sequence[RunView], table: PublishedTable) -> tuple[Entrant, ...]:
    """Put runs together to rows: those like the published ones first, the drawn world last."""
    rules: dict[tuple[str, ...], RunView] = {}
    rows: list[tuple[_Key, list[RunView]]] = []
    for run in runs:
        standing, reasons = conditions(run, table)
        first = rules.setdefault((standing, run.manifest.benchmark, run.manifest.protocol), run)
        if (differing := _differing(first, run)) and standing != "tabletop":
            standing = "other"
        made = run.manifest
        images = (
            run.title,
            made.digest or made.checkpoint,
            made.step,
            canonical_json(made.sampling),
            made.base_seed,
        )
        key = _Key(standing, (*reasons, *differing), images)
        row = next((found for known, found in rows if known == key and not _has(found, run)), None)
        if row is None:
            rows.append((key, [run]))
        else:
            row.append(run)
    labels = _labels([found for _, found in rows])
    made_rows = [
        Entrant(tuple(found), key.standing, key.reasons, label)
        for (key, found), label in zip(rows, labels, strict=True)
    ]
    order = list(SECTIONS)
    return tuple(sorted(made_rows, key=lambda entrant: order.index(entrant.standing)))


def conditions(run: RunView, table: PublishedTable) -> tuple[Standing, tuple[str, ...]]:
    """Return how a run stands to published numbers, and everything that sets it apart from them."""
    made, result, cover = run.manifest, run.result, run.result.coverage
    ours = of_tabletop(made)
    reasons = [] if made.protocol in (OFFICIAL, TABLETOP) else [f"protocol {made.protocol}, not {OFFICIAL}"]
    if result.subset is not None:
        reasons.append(f"subset: {result.subset}")
    if result.rewriting is not None:
        reasons.append(result.rewriting.in_words)
    reasons += [f"changed: {change}" for change in result.changed]
    asked = _images_asked(made.benchmark, table)
    if not ours and asked not in (None, made.images_per_prompt):
        reasons.append(f"{counted(made.images_per_prompt, 'image')} per prompt, not {asked}")
    if not cover.complete:
        reasons.append(f"incomplete: {count(cover.judged)} of {count(cover.expected)} images judged")
    standing: Standing = "tabletop" if ours else "other" if reasons else "like"
    return standing, tuple(reasons)


def _images_asked(benchmark: str, table: PublishedTable) -> int | None:
    refs = (column.metric for column in table.columns if column.metric)
    return next((ref.images_per_prompt for ref in refs if ref.benchmark == benchmark), None)


def _differing(first: RunView, run: RunView) -> tuple[str, ...]:
    """Say what differs in rules and judge from the first run of the same protocol in this table."""
    one, other = first.manifest, run.manifest
    pairs = (
        ("protocol", one.protocol_digest, other.protocol_digest),
        ("judge", one.judge_digest, other.judge_digest),
    )
    return tuple(
        f"{name} digest {there[:12]}, where {first.title} has {here[:12]}: another version"
        for name, here, there in pairs
        if here != there
    )


def _has(row: Sequence[RunView], run: RunView) -> bool:
    return any(run.manifest.benchmark == one.manifest.benchmark for one in row)


def _labels(rows: Sequence[Sequence[RunView]]) -> list[str]:
    """Titles, with step and digest where a title alone would name several rows."""
    titles = [row[0].title for row in rows]
    stepped = [
        f"{title} @ {count(row[0].result.step)}" if titles.count(title) > 1 and row[0].result.step else title
        for title, row in zip(titles, rows, strict=True)
    ]
    return [
        f"{label} #{row[0].manifest.run_digest[:6]}" if stepped.count(label) > 1 else label
        for label, row in zip(stepped, rows, strict=True)
    ]
