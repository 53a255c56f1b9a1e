"""What a table of measurements says: of what its scores are, on which device, in which units."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lumina_eval.records import Metric
from lumina_eval.runs import read_result
from reports.document import Section, document
from reports.page import html
from reports.renderers.csv import csv_table
from reports.renderers.latex import latex_table
from reports.renderers.markdown_report import page
from reports.stored import StoredImages

Measured = Callable[..., Path]
GENEVAL = "geneval tabletop overall"
SUBSET = "1 per task (6 of 354 prompts)"


def rewritten(folder: Path, file: str, **changes: Any) -> Path:
    """Change fields of a record of a run."""
    path = folder / file
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    return folder


@pytest.fixture
def two_scored(scored_run: Path) -> tuple[Path, Path]:
    """A run of GenEval, and one of DPG by other weights, in percent."""
    other = scored_run.with_name("other")
    shutil.copytree(scored_run, other)
    metric = Metric(name="overall", value=42.8, n_prompts=2, n_images=2, unit="percent")
    told = {"benchmark": "dpg", "digest": "2" * 64}
    rewritten(other, "manifest.json", **told, run_id="other")
    rewritten(other, "metrics.json", **told, metrics=[metric.model_dump(mode="json")])
    return scored_run, other


def speeds(*folders: Path) -> list[Section]:
    return [section for section in document(folders, None).sections if section.group.timed]


def score_of(section: Section) -> tuple[float | None, str]:
    """Return the score of the first row, and its unit."""
    columns = [column.label for column in section.overview.columns]
    place = columns.index("score")
    return section.overview.rows[0].cells[place].value, section.overview.columns[place].unit


def test_scores_of_two_benchmarks_stand_in_no_column_together(
    measured: Measured, two_scored: tuple[Path, Path]
) -> None:
    one = measured()
    other = rewritten(measured(seconds_median=0.4), "manifest.json", digest="2" * 64)
    first, second = speeds(one, other, *two_scored)
    assert (score_of(first), score_of(second)) == ((0.625, "fraction"), (42.8, "percent"))
    assert f"score: {GENEVAL}" in first.overview.mark
    assert "score: dpg tabletop overall" in second.overview.mark


def test_a_score_of_its_own_and_one_that_was_matched_are_named_alike(
    measured: Measured, scored_run: Path
) -> None:
    own = measured(scored_run, score_of=GENEVAL)
    (section,) = speeds(own, measured(seconds_median=0.4), scored_run)
    assert len(section.overview.rows) == 2
    part = measured(scored_run, score_of=f"{GENEVAL} ({SUBSET})")
    assert [len(one.overview.rows) for one in speeds(own, part)] == [1, 1]


def test_a_copied_table_says_of_what_its_score_is_and_on_which_device(
    measured: Measured, scored_run: Path
) -> None:
    said = f"{GENEVAL} ({SUBSET})"
    own = measured(scored_run, score_of=said, peak_memory_bytes=2**31, joules_per_image=3.0)
    (section,) = speeds(own)
    for table in section.tables():
        assert said in csv_table(table)
        assert f"score: {said}" in latex_table(table)
        assert "device: a machine" in latex_table(table)
    labels = [column.label for table in section.parts for column in table.columns]
    assert {"peak memory (GiB)", "energy (joules)", "gflop", "images per second"} <= set(labels)


def test_an_interval_keeps_the_version_of_its_rules(measured: Measured, scored_run: Path) -> None:
    rewritten(scored_run, "metrics.json", intervals_version=41)
    assert read_result(measured(scored_run)).intervals_version == 41
    (section,) = speeds(measured(), scored_run)
    assert section.group.first.result.intervals_version == 41


def test_seconds_stand_for_a_measurement_whatever_its_counts_add_up_to(measured: Measured) -> None:
    folder = measured(repeats=1, batches={"1": 2.0, "2": 3.0, "4": 5.0, "8": 4.0})
    assert read_result(folder).coverage.complete
    images = sum(one.n_images for one in read_result(folder).metrics if one.value is not None)
    cover = {"expected": images, "generated": images, "judged": images, "failed": 0, "excluded": 0}
    for one in (folder, rewritten(folder, "metrics.json", coverage=cover)):
        (section,) = speeds(one)
        assert section.group.primary == "seconds_per_image"
        assert "coverage" not in section.lead
        assert "coverage" not in [column.label for column in section.overview.columns]


def test_headings_and_notes_are_those_of_measures(measured: Measured, scored_run: Path) -> None:
    (section,) = speeds(measured(scored_run, repeats=1))
    assert section.lead.endswith("Timed on 1 prompt, 1 image; the score is of 2 prompts, 2 images.")
    labels = [column.label for column in section.overview.columns]
    assert labels[-2:] == ["prompts timed", "images timed"]
    (unscored,) = speeds(measured(repeats=1))
    assert unscored.lead.endswith("Timed on 1 prompt, 1 image.")
    assert any("ci_prompts" in note for note in section.overview.notes)
    assert not any("ci_prompts" in note for table in section.parts for note in table.notes)
    text, _ = page(document([scored_run.parent / section.group.first.folder.name], None))
    assert "### By measure" in text
    assert "ategory" not in text


def test_a_page_has_no_wall_of_images_for_measurements(measured: Measured, scored_run: Path) -> None:
    stored = StoredImages(scored_run.parent.parent / "images")
    text = html.page(document([measured(scored_run), scored_run], None), stored)
    assert text.count('<div class="wall"') == 1
