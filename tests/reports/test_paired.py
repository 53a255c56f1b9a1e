"""Paired tables: which number is compared, and on how many prompts it was won."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from lumina_eval.records import Item, Metric
from reports.document import document
from reports.groups import NOTE_MEAN, group_runs
from reports.loading import load_runs
from reports.page.across import across
from reports.paired import paired
from reports.renderers.json import json_table
from reports.renderers.markdown import markdown_table

MakeRun = Callable[..., Path]


def without_overall(found: list[Metric]) -> list[Metric]:
    """Categories alone, as T2I-CompBench has them."""
    return [one for one in found if "overall" not in one.name]


def test_prompts_won_lost_and_tied_add_up(stages: list[Path]) -> None:
    (group,) = group_runs(load_runs(stages))
    (primary, *_), problems = paired(group)
    assert not problems
    places = [place for place, column in enumerate(primary.columns) if column.group == "pairs"]
    assert [primary.columns[place].label for place in places] == ["won", "lost", "tied"]
    prompts = len(group.first.items)
    for row in primary.rows:
        assert sum(row.cells[place].value or 0 for place in places) == prompts


def test_without_a_score_over_all_the_mean_of_categories_is_compared_and_it_is_said(
    make_run: MakeRun,
) -> None:
    runs = [
        make_run("low_res", 100, 0.3, metrics=without_overall),
        make_run("hq", 900, 0.9, metrics=without_overall),
    ]
    (group,) = group_runs(load_runs(runs))
    (primary, parts), problems = paired(group)
    assert not problems
    assert primary.caption.endswith("mean of categories")
    assert NOTE_MEAN in primary.notes
    assert [column.label for column in parts.columns[1:]] == ["single object", "counting", "colors"]
    (row,), (by_category,) = primary.rows, parts.rows
    differences = [cell.value or 0 for cell in by_category.cells[1:]]
    assert row.cells[3].value == pytest.approx(sum(differences) / 3)


def test_the_mean_that_is_compared_is_the_headline_everywhere(make_run: MakeRun) -> None:
    runs = [
        make_run("low_res", 100, 0.3, metrics=without_overall),
        make_run("hq", 900, 0.9, metrics=without_overall),
    ]
    other = [make_run("hq", 900, 0.9, benchmark="geneval")]
    found = document([*runs, *other], None)
    section = found.sections[0]
    row = section.paired[0].rows[0]
    after = row.cells[2].value
    assert after is not None
    assert f"mean of categories {after:.3f}; " in section.lead
    assert section.overview.rows[0].cells[2].value == pytest.approx(row.cells[1].value)
    assert section.overview.rows[1].cells[2].value == pytest.approx(after)
    assert section.overview.rows[1].cells[2].intervals
    assert NOTE_MEAN in section.overview.notes
    assert [column.label for column in section.parts[0].columns[1:]] == [
        "single object",
        "counting",
        "colors",
    ]
    table = across(found.sections)
    assert table is not None
    assert "mean of categories" in table.columns[1].label
    assert table.rows[1].cells[1].value == pytest.approx(after)


def test_a_detectable_difference_beyond_the_range_is_told_in_words(make_run: MakeRun) -> None:
    items = [Item(id=f"{n:05d}", prompt=f"disc {n}", task="counting", metadata={}) for n in range(2)]
    runs = [make_run("low_res", 100, 0.0, items=items), make_run("hq", 901, 0.5, items=items)]
    (group,) = group_runs(load_runs(runs))
    (primary, *_), _ = paired(group)
    place = [column.label for column in primary.columns].index("detectable")
    cell = primary.rows[0].cells[place]
    assert cell.value is not None
    assert cell.value > 1
    assert primary.columns[place].shows(cell) == "more than 1"
    assert json.loads(json_table(primary))["rows"][0]["cells"][place]["value"] == cell.value
    assert "| more than 1 |" in markdown_table(primary)
