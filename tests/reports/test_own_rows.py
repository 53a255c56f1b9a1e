"""The reader's runs beside published rows: which compete, which stand apart and why, how far off they are."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lumina_eval.errors import UserError
from lumina_eval.records import Metric, Rewriting
from reports.paper.checkpoint_facts import amount, magnitude
from reports.paper.published import Settings
from reports.paper.published_files import published
from reports.paper.tables import tables
from reports.table import Row, Table

MakeRun = Callable[..., Path]


def measured(**values: float) -> Callable[[list[Metric]], list[Metric]]:
    """Metrics of these values, with an interval of ± 0.02 (or ± 2 %) over the noise."""

    def make(found: list[Metric]) -> list[Metric]:
        metrics = []
        for name, value in values.items():
            unit, half = ("percent", 2.0) if value > 1 else ("fraction", 0.02)
            bounds = (value - half, value + half)
            metrics.append(
                Metric(name=name, value=value, ci_seeds=bounds, n_prompts=553, n_images=2212, unit=unit)
            )
        return metrics

    return make


@pytest.fixture
def official(make_run: MakeRun) -> MakeRun:
    """A run of GenEval as a paper would have it; every keyword changes one thing."""

    def make(stage: str = "hq_tuning", step: int = 5000, overall: float = 0.81, **changed: Any) -> Path:
        settings: dict[str, Any] = {
            "model": "mine", "benchmark": "geneval", "protocol": "official",
            "images": 4, "keep_images": False,
            "judge": "mask2former-clip@0123456789ab", "metrics": measured(overall=overall, two_object=0.9),
        }  # fmt: skip
        return make_run(stage, step, **settings | changed)

    return make


def own(table: Table, section: str = "your runs") -> list[Row]:
    return [row for row in table.rows if row.section == section]


def names(rows: list[Row]) -> list[str | None]:
    return [row.cells[0].text for row in rows]


OVERALL = 5


def test_an_official_run_is_a_row_that_competes(official: MakeRun) -> None:
    found = tables("table4", [official()])["table4"]
    (row,) = own(found)
    assert (row.kind, row.cells[0].text, row.cells[0].marks) == ("measured", "mine:hq_tuning", ())
    assert row.cells[OVERALL].value == 0.81
    (seeds,) = row.cells[OVERALL].intervals
    assert (seeds.name, seeds.low, seeds.high) == ("seeds", pytest.approx(0.79), pytest.approx(0.83))
    ranks = found.ranks()
    assert ranks[found.rows.index(row)][OVERALL] == 1
    assert found.shown(6)[-1] == "—"  # DPG was not run
    assert any("protocol geneval/official" in line.lower() for line in found.provenance)


def test_runs_of_one_checkpoint_on_several_benchmarks_are_one_row(official: MakeRun) -> None:
    dpg = official(benchmark="dpg", judge="question@0123456789ab", metrics=measured(overall=88.0))
    found = tables("table4", [official(), dpg, official("low_res", 1000, 0.5)])["table4"]
    low, high = own(found)
    assert names([low, high]) == ["mine:low_res", "mine:hq_tuning"]
    assert (high.cells[OVERALL].value, high.cells[9].value) == (0.81, 88.0)
    assert low.cells[9].value is None
    assert high.run is not None
    assert ", " in high.run


APART: dict[str, tuple[dict[str, Any], str]] = {
    "corrected": ({"protocol": "corrected"}, "protocol corrected, not official"),
    "subset": ({"subset": "2 per task", "suite": "quick"}, "subset: 2 per task"),
    "changed": ({"changed": ["threshold=0.5"]}, "changed: threshold=0.5"),
    "incomplete": ({"failed": 8}, "incomplete: 48 of 56 images judged"),
    "images": ({"images": 2}, "2 images per prompt, not 4"),
    "one image": ({"images": 1}, "1 image per prompt, not 4"),
    "rewritten": (
        {"rewriting": Rewriting(source="file", name="t.jsonl", outputs="b" * 64)},
        "prompts rewritten from t.jsonl (texts bbbbbbbb)",
    ),
}


@pytest.mark.parametrize(("changed", "reason"), APART.values(), ids=APART)
def test_other_conditions_stand_below_a_rule_with_their_reason(
    official: MakeRun, changed: dict[str, Any], reason: str
) -> None:
    found = tables("table4", [official(**changed)])
    (row,) = own(found["table4"], "your runs under other conditions: not comparable")
    assert row.kind == "apart"
    (mark,) = row.cells[0].marks
    assert {note.mark: note.text for note in found["table4"].footnotes}[mark] == reason
    assert set(found["table4"].ranks()[-1]) == {None}
    assert list(found) == ["table4"]  # nothing to compare


@pytest.mark.parametrize("changed", [{"protocol": "tabletop"}, {"judge": "tabletop-questions@0123456789ab"}])
@pytest.mark.parametrize("name", ["table4", "table8"])
def test_the_drawn_world_never_stands_among_published_numbers(
    official: MakeRun, changed: dict[str, Any], name: str
) -> None:
    found = tables(name, [official(overall=0.99, **changed)])
    (row,) = own(found[name], "tabletop world: not comparable")
    assert row.kind == "apart"
    assert set(found[name].ranks()[-1]) == {None}
    assert list(found) == [name]


def test_two_versions_of_the_official_rules_do_not_share_a_column(official: MakeRun) -> None:
    runs = [official("low_res", 1000, 0.5), official(protocol_digest="e" * 64)]
    found = tables("table4", runs)["table4"]
    assert names(own(found)) == ["mine:low_res"]
    (row,) = own(found, "your runs under other conditions: not comparable")
    notes = {note.mark: note.text for note in found.footnotes}
    assert notes[row.cells[0].marks[0]].startswith("protocol digest eeeeeeeeeeee, where mine:low_res has ")


def test_the_difference_comes_with_the_combined_standard_error(official: MakeRun) -> None:
    """By hand: published 0.73 of 2212 images, at most √(.73 · .27 / 2212); own 0.02 / 1.96."""
    found = tables("table4", [official(), official("low_res", 1000, 0.74)])["table4-difference"]
    error = math.hypot(math.sqrt(0.73 * 0.27 / 2212), 0.02 / 1.959964)
    low, high = found.rows
    place = [column.name for column in found.columns].index("GenEval Overall")
    assert high.cells[place].value == pytest.approx(0.08)
    assert high.cells[place].text == f"+0.080 ± {error:.3f}"
    assert (high.cells[place].marks, low.cells[place].marks) == (("*",), ())
    assert found.shown([column.name for column in found.columns].index("DPG Overall")) == ["—", "—"]
    assert "settings unknown" in found.notes[1]
    assert "Lumina-Image 2.0 as published" in found.caption


def test_known_settings_that_a_run_does_not_share_are_marked(
    official: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = published("table4").model_copy(
        update={"settings": Settings(steps=50, guidance=4.0, rewritten=True)}
    )
    monkeypatch.setattr("reports.paper.tables.published", lambda name: known)
    found = tables("table4", [official()])
    assert (
        "settings: whether prompts were rewritten yes, steps 50, guidance 4.0"
        in found["table4"].footnotes[0].text
    )
    texts = {note.mark: note.text for note in found["table4-difference"].footnotes}
    assert [texts[mark] for mark in found["table4-difference"].rows[0].cells[0].marks] == [
        "whether prompts were rewritten: published yes, here no",
        "steps: published 50, here 24",
    ]


def test_stages_are_rows_with_their_steps(official: MakeRun) -> None:
    runs = [official(), official("low_res", 1500, 0.5), official("high_res", 38_000, 0.6)]
    found = tables("table8", runs)["table8"]
    assert [[cell.text for cell in row.cells[:2]] for row in own(found)] == [
        ["mine:low_res", "1.5"], ["mine:high_res", "38"], ["mine:hq_tuning", "5"],
    ]  # fmt: skip
    assert "HQ Tuning [Training Steps (K): 5]" in tables("table8", runs)["table8-difference"].caption


def test_runs_that_have_nothing_of_a_table_are_named(make_run: MakeRun, tmp_path: Path) -> None:
    (tmp_path / "ratings.json").write_text('{"ratings": [{"model": "a", "rating": 1}]}')
    found = tables("table4", [make_run(), tmp_path / "ratings.json"])["table4"]
    assert any("embedded:low_res on discs/tabletop, ratings.json" in note for note in found.notes)


def test_a_checkpoint_that_is_there_is_a_row_of_configurations(make_run: MakeRun, tmp_path: Path) -> None:
    folder = checkpoint(tmp_path / "train" / "stages" / "low_res")
    run = make_run("low_res", 4000, checkpoint=str(folder))
    (shape,) = own(tables("table2", [run])["table2"], "your checkpoints")
    assert [cell.text for cell in shape.cells] == [
        "embedded:low_res", "1.5M", "2", "192", "4", "2", "8", "yes", "M-RoPE",
    ]  # fmt: skip
    assert shape.cells[1].value == 1_500_000
    (trained,) = own(tables("table3", [run, run])["table3"], "your checkpoints")
    assert [cell.text for cell in trained.cells] == [
        "embedded:low_res", "64x64", "48K", "6", "256", "0.0015", None, "AdamW, Muon",
    ]  # fmt: skip


def test_a_folder_that_went_on_training_says_nothing_of_the_run(make_run: MakeRun, tmp_path: Path) -> None:
    folder = checkpoint(tmp_path / "train" / "stages" / "low_res")
    found = tables("table2", [make_run("low_res", 3000, checkpoint=str(folder))])["table2"]
    assert own(found, "your checkpoints") == []
    assert "Not shown" in found.notes[-1]


@pytest.mark.parametrize("broken", ["", "{", "[]", '{"recipe": 3}', '{"recipe": {"size": "x", "loop": []}}'])
def test_a_strange_record_is_no_reason_to_fail(make_run: MakeRun, tmp_path: Path, broken: str) -> None:
    folder = checkpoint(tmp_path / "train" / "stages" / "low_res")
    (folder / "checkpoint.json").write_text(broken)
    (folder / "transformer" / "model.safetensors").write_bytes(b"\xff" * 20)
    run = make_run("low_res", 4000, checkpoint=str(folder))
    (row,) = own(tables("table2", [run])["table2"], "your checkpoints")
    assert (row.cells[1].text, row.cells[3].text) == (None, "192")
    assert own(tables("table3", [run])["table3"], "your checkpoints") == []


def checkpoint(folder: Path) -> Path:
    """A checkpoint as the trainer writes it, its weights without their data."""
    (folder / "transformer").mkdir(parents=True)
    config = {
        "_class_name": "Lumina2Transformer2DModel", "patch_size": 2, "hidden_size": 192,
        "num_attention_heads": 4, "num_kv_heads": 2, "num_layers": 8,
    }  # fmt: skip
    (folder / "transformer" / "config.json").write_text(json.dumps(config))
    head = {"a": {"shape": [1000, 1000]}, "b": {"shape": [500_000]}, "__metadata__": {"format": "pt"}}
    text = json.dumps(head).encode()
    (folder / "transformer" / "model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text)
    recipe = {
        "size": 64,
        "examples": 48_000,
        "batch": 256,
        "loop": {"lr": 0.0015, "matrix_lr": 0.006, "steps": 6000},
    }
    (folder / "checkpoint.json").write_text(json.dumps({"stage": "low_res", "step": 4000, "recipe": recipe}))
    return folder


@pytest.mark.parametrize("text", ["2.6B", "732M", "48K", "1.5M", "900"])
def test_a_count_that_was_written_reads_back(text: str) -> None:
    assert magnitude(amount(text) or 0) == text


def test_ratings_stand_apart_on_a_scale_of_their_own(tmp_path: Path) -> None:
    file = tmp_path / "mine.json"
    rated = [
        {"model": "mine", "rating": 1300.5, "ci_low": 1250.0, "ci_high": 1350.0, "battles": 40},
        {"model": "never lost", "rating": None, "ci_low": None, "ci_high": None, "battles": 3},
    ]
    file.write_text(json.dumps({"ratings": rated, "warnings": []}))
    found = tables("table5", [file])["table5"]
    first, second = own(found, "your ratings (mine.json): a scale of their own, not comparable")
    assert (first.kind, first.cells[1].value, first.cells[2].value) == ("apart", 1300.5, None)
    assert (first.cells[1].intervals[0].low, first.cells[1].intervals[0].high) == (1250.0, 1350.0)
    assert (second.cells[0].text, second.cells[1].value) == ("never lost", None)
    assert any("as arena rate gives them" in note for note in found.notes)
    ranks = {row.cells[0].text: rank[1] for row, rank in zip(found.rows, found.ranks(), strict=True)}
    assert (ranks["FLUX1.1 [pro]"], ranks["mine"]) == (1, None)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "expected JSON, found"),
        ("[]", r'expected {"ratings": \[…\]}, found none, in .*x.json; fix: lumina-eval arena rate'),
        ('{"ratings": []}', "found none"),
        ('{"ratings": [{"rating": 1}]}', "expected an object with a model"),
        ('{"ratings": [{"model": "a", "rating": "1"}]}', "expected a number or null for rating, found '1'"),
        ('{"ratings": [{"model": "a", "rating": NaN}]}', "expected a number or null for rating, found nan"),
    ],
)
def test_a_file_that_holds_no_ratings_is_refused(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(UserError, match=said):
        tables("table6", [tmp_path / "x.json"])
