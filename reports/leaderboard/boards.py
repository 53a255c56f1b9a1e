"""A board for each group of comparable runs: best first, ranges of ranks, coverage, what does not compete."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from typing import Final

from lumina_eval.digests import digest_of
from lumina_eval.receipts.places import without_places
from lumina_eval.records import Metric
from lumina_eval.statistics.endpoint import MEAN_OF_CATEGORIES
from reports import caveats
from reports.groups import Group, group_runs, metric_of, split_of, value_of
from reports.leaderboard.entries import Entry
from reports.leaderboard.ranking import rank_ranges
from reports.loading import RunView
from reports.numbers import count
from reports.provenance import rules
from reports.stage_tables import coverage_cell, metric_cell
from reports.table import Cell, Column, Row, RowKind, Table

#: Why runs with images missing have no rank: which ones are missing may be anybody's choice.
INCOMPLETE: Final = "Incomplete coverage: not ranked"
#: The rules, or something that they need, are not at hand where the pages were made.
UNCHECKED: Final = "Numbers or intervals not derived again from the receipt: not ranked"
NOTE_RANK: Final = (
    "Rank by {metric}: the places that a run may have, since a run is behind another only where their 95 % "
    "intervals over prompts do not overlap. To decide between two runs compare them by prompt: "
    "lumina-eval compare."
)
NOTE_NO_RANK: Final = (
    "No rank: the benchmark has no score over all categories, and a receipt has no scores of images to make "
    "one of with its interval. To decide between two runs compare them by prompt: lumina-eval compare."
)
NOTE_RANKED: Final = "Best in bold, second underlined, by the value alone."


@dataclasses.dataclass(frozen=True)
class Board:
    """A group of runs that may be ranked together, as a table whose rows are in order."""

    slug: str
    """Name of its data files, and its anchor."""
    title: str
    badges: tuple[tuple[str, str], ...]
    claim: str | None
    table: Table
    ranked: bool
    """Its rows are in the order of the metric behind their names."""


def boards(entries: Sequence[Entry]) -> list[Board]:
    """Return a board for each group of comparable runs, whole protocols first."""
    groups = group_runs([entry.view for entry in entries])
    return [_board(group, _underived(group, entries)) for group in groups]


def page_of(run_id: str) -> str:
    """Return the address of a run's page from the site's root."""
    return f"runs/{run_id}.html"


def _underived(group: Group, entries: Sequence[Entry]) -> frozenset[str]:
    """Return the runs whose rank would hang on numbers that did not come out of their verdicts again."""
    return frozenset(entry.run_id for entry in entries if entry.open or group.primary in entry.moved)


def _board(group: Group, unchecked: frozenset[str]) -> Board:
    first = group.first
    badges = (
        *group.badges,
        ("plain", f"judge {first.manifest.judge.partition('@')[0]}"),
        ("plain", f"rules {first.manifest.protocol_digest[:8]}"),
        *((("warn", "embedded world, no photographs"),) if caveats.claims(group) else ()),
    )
    name = re.sub(r"[^a-z0-9]+", "-", f"{first.result.benchmark} {first.result.protocol}".lower()).strip("-")
    return Board(
        f"{name}-{_key(group)}",
        group.title,
        badges,
        caveats.claims(group),
        _table(group, unchecked),
        _has_whole(group),
    )


def _key(group: Group) -> str:
    """Return a few letters that other groups of the same protocol do not have, whoever is in this one."""
    made, result = group.first.manifest, group.first.result
    texts = (result.rewriting.template, result.rewriting.outputs) if result.rewriting else None
    part = (result.subset, result.suite) if result.subset else None
    rules_of = [made.protocol_digest, made.judge, made.judge_digest, result.changed, result.against]
    return digest_of([*rules_of, part, texts])[:8]


def _table(group: Group, unchecked: frozenset[str]) -> Table:
    names = [*group.splits(), *group.parts()]
    whole = _has_whole(group)
    columns = [
        Column("rank", numeric=False),
        Column("model", numeric=False),
        Column("step", unit="count"),
        *([_column(group, group.primary)] if whole else []),
        Column("images", unit="count"),
        Column("coverage"),
        *(_column(group, name) for name in names),
    ]
    checked = [run for run in group.runs if run.manifest.run_id not in unchecked]
    complete = [run for run in group.stages if run.result.coverage.complete and run in checked]
    ranked = [run for run in complete if metric_of(run, group.primary)] if whole else []
    ranked.sort(key=lambda run: _order(group, run))
    ranges = rank_ranges([_primary(group, run) for run in ranked], group.direction(group.primary) == "higher")
    rows = [_row(group, run, names, _places(*places)) for run, places in zip(ranked, ranges, strict=True)]
    level = [] if whole else complete  # they compete in each category alone
    rows += [_row(group, run, names, "") for run in level]
    rows += [_row(group, run, names, "", "ceiling") for run in group.ceilings if run in checked]
    others = [run for run in group.stages if run not in [*ranked, *level] and run in checked]
    rows += [_row(group, run, names, "", "apart", INCOMPLETE) for run in others]
    rest = [run for run in group.runs if run not in checked]
    rows += [_row(group, run, names, "", "apart", UNCHECKED) for run in rest]
    return Table(
        caption=group.title,
        columns=tuple(columns),
        rows=tuple(rows),
        notes=_notes(group, len(ranked)),
        provenance=(rules(group.runs, group.label),),
        mark=group.mark,
    )


def _has_whole(group: Group) -> bool:
    """Tell whether there is a metric to rank by: the mean of categories would need the scores of images."""
    return group.primary != MEAN_OF_CATEGORIES


def _notes(group: Group, ranked: int) -> tuple[str, ...]:
    if not _has_whole(group):
        return (NOTE_NO_RANK, NOTE_RANKED)
    return (NOTE_RANK.format(metric=group.primary.replace("_", " ")), NOTE_RANKED) if ranked > 1 else ()


def _column(group: Group, name: str) -> Column:
    text = (split_of(name) or name).replace("_", " ")
    return Column(text, group.direction(name), group.unit_of(name), note=name)


def _row(
    group: Group,
    run: RunView,
    names: Sequence[str],
    rank: str,
    kind: RowKind = "measured",
    section: str = "",
) -> Row:
    result = run.result
    checkpoint = None if result.checkpoint is None else without_places(result.checkpoint)
    return Row(
        (
            Cell(rank or None),
            Cell(_name(group, run), note=checkpoint, link=page_of(run.manifest.run_id)),
            Cell(value=result.step),
            *([metric_cell(metric_of(run, group.primary))] if _has_whole(group) else []),
            Cell(value=result.coverage.judged),
            coverage_cell(run),
            *(metric_cell(metric_of(run, name)) for name in names),
        ),
        kind=kind,
        section=section,
        run=run.manifest.run_id,
    )


def _name(group: Group, run: RunView) -> str:
    """Return the run's title, with the first digits of its digest where title and step are another's too."""
    alike = [one for one in group.runs if (one.title, one.result.step) == (run.title, run.result.step)]
    return run.title if len(alike) == 1 else f"{run.title} #{run.manifest.run_digest[:6]}"


def _order(group: Group, run: RunView) -> tuple[float, str]:
    value = value_of(_primary(group, run))
    return (value if group.direction(group.primary) == "lower" else -value, run.manifest.run_id)


def _primary(group: Group, run: RunView) -> Metric:
    found = metric_of(run, group.primary)
    assert found is not None
    return found


def _places(best: int, worst: int) -> str:
    return count(best) if best == worst else f"{count(best)}–{count(worst)}"
