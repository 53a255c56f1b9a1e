"""A measurement as a run like any other: its records, its report with a score beside it, what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from measured_world import MEASURED
from typer.testing import CliRunner, Result

from benchmarks.efficiency.adapter import metrics_of, numbers_of
from benchmarks.efficiency.measurement import Measurement, Work
from benchmarks.efficiency.recording import ALONE
from lumina_eval.cli import make_app
from lumina_eval.errors import UserError
from lumina_eval.evaluation import find_protocol
from lumina_eval.plugins import benchmark
from lumina_eval.publishing import send
from lumina_eval.run_lists import sift
from lumina_eval.runs import RunFolder, read_manifest, read_result
from reports.document import document


def call(*words: object) -> Result:
    return CliRunner().invoke(make_app([]), [str(word) for word in words])


def test_metrics_are_those_of_the_measurement_and_the_unknown_is_null() -> None:
    found = {one.name: one for one in metrics_of(Measurement(**MEASURED), None)}
    assert list(found) == [
        "seconds_per_image", "seconds_per_image_p90", "images_per_second", "best_batch", "nfe", "gflop",
        "matmul_share", "peak_memory", "energy", "score",
    ]  # fmt: skip
    known = {name: one.value for name, one in found.items() if one.value is not None}
    assert known == {
        "seconds_per_image": 0.5, "seconds_per_image_p90": 0.58, "images_per_second": 5.0, "best_batch": 4,
    }  # fmt: skip
    more = {"work": Work(nfe=36, flops=2.5e9), "peak_memory_bytes": 2**31, "joules_per_image": 3.0}
    values = {one.name: one.value for one in metrics_of(Measurement(**{**MEASURED, **more}), None)}
    assert (values["nfe"], values["gflop"], values["peak_memory"], values["energy"]) == (36, 2.5, 2, 3)


def test_a_measurement_is_a_whole_run_and_the_next_one_another(measured: Callable[..., Path]) -> None:
    folder = measured()
    assert sift([folder]) == ([folder], [])
    assert folder.name.startswith("efficiency-device-m-low_res-")
    manifest, result = read_manifest(folder), read_result(folder)
    assert manifest.judge_settings == {"device": "a machine", "threads": 1}
    assert manifest.batch_size == 4
    assert (result.coverage.generated, result.coverage.judged) == ((1 + 2 + 4) * 3, 0)
    assert result.warnings == [ALONE]
    assert json.loads((folder / "results.jsonl").read_text()) == Measurement(**MEASURED).model_dump(
        mode="json"
    )
    again = measured(seconds=[0.5, 0.4, 0.61])
    assert again != folder
    assert (folder / "metrics.json").is_file()
    other = measured(device="another machine")
    assert read_manifest(other).judge != manifest.judge == read_manifest(again).judge


def test_a_report_never_shows_a_speed_without_the_score_that_was_given(
    measured: Callable[..., Path], scored_run: Path
) -> None:
    folder = measured()
    (alone,) = document([folder], None).sections
    (cells,) = [row.cells for row in alone.overview.rows]
    columns = [column.label for column in alone.overview.columns]
    assert cells[columns.index("score")].value is None
    assert any(ALONE in text for text in alone.warnings)
    assert "score not measured" in alone.lead
    speed = next(s for s in document([folder, scored_run], None).sections if s.title == "Efficiency")
    (cells,) = [row.cells for row in speed.overview.rows]
    assert cells[columns.index("score")].value == 0.625
    assert cells[columns.index("seconds per image")].value == 0.5
    assert any("the score is geneval tabletop overall" in text for text in speed.warnings)
    assert not speed.paired
    assert "seconds per image 0.500; score 0.625" in speed.lead
    direction = {column.label: column.direction for column in speed.overview.columns}
    assert direction["seconds per image"] == "lower"
    assert direction["score"] == "higher"


def test_two_machines_stand_in_no_table_together(measured: Callable[..., Path]) -> None:
    folders = [measured(), measured(seconds_median=0.4), measured(device="another machine")]
    assert sorted(len(section.overview.rows) for section in document(folders, None).sections) == [1, 2]


def test_a_score_of_other_settings_is_not_taken(measured: Callable[..., Path], scored_run: Path) -> None:
    manifest = read_manifest(scored_run)
    RunFolder(scored_run).write_manifest(manifest.model_copy(update={"sampling": {"steps": 2}}))
    speed = next(s for s in document([measured(), scored_run], None).sections if s.title == "Efficiency")
    assert any(ALONE in text for text in speed.warnings)


def test_a_measurement_goes_to_mlflow(measured: Callable[..., Path], tmp_path: Path) -> None:
    from mlflow import MlflowClient

    folder = measured()
    line, warnings = send([folder], [], tmp_path, None)
    assert (line is not None, warnings) == (True, [])
    client = MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}")
    run = client.get_run(str(read_manifest(folder).mlflow_run_id))
    assert run.data.metrics["efficiency/seconds_per_image"] == 0.5
    assert "efficiency/energy" not in run.data.metrics


def test_what_cannot_be_done_with_times_is_refused(measured: Callable[..., Path]) -> None:
    one, other = measured(), measured(seconds_median=0.4)
    for words, told in (
        (["receipt", "make", one], "whose numbers follow from verdicts"),
        (["compare", one, other], "expected runs with a score for every image"),
        (["run", "efficiency", "--model", "embedded:low_res"], "lumina-eval efficiency measure"),
        (
            ["judge", "efficiency", "--verdicts", one / "verdicts.jsonl", "--out", one],
            "lumina-eval efficiency measure",
        ),
    ):
        done = call(*words)
        assert isinstance(done.exception, UserError), (words, done.output)
        assert told in str(done.exception)


def test_it_is_listed_with_its_protocol() -> None:
    assert "efficiency" in call("list", "benchmarks").output
    assert "efficiency device" in call("list", "protocols").output


def test_prompts_are_of_all_tasks_and_settings_that_are_none_are_told() -> None:
    found = benchmark("efficiency")
    items = found.items(find_protocol(found, "official"))
    assert len(items) == 8
    assert len({item.task for item in items}) >= 5
    with pytest.raises(UserError, match="for prompts, found 0"):
        found.items(find_protocol(found, "device", ["prompts=0"]))
    for change in ("repeats=true", "most=0", "peak_seconds=-1"):
        with pytest.raises(UserError, match=change.partition("=")[0]):
            numbers_of(find_protocol(found, "device", [change]))


def test_runs_are_listed_by_the_metric_that_stands_for_them(
    measured: Callable[..., Path], scored_run: Path
) -> None:
    folder = measured()
    root = scored_run.parent.parent
    lines = call("list", "runs", "--out", root).output.splitlines()
    assert any(f"{folder}  seconds_per_image 0.500" in line for line in lines)
    assert any(f"{scored_run}  overall 0.625" in line for line in lines)
    rows = [json.loads(line) for line in call("list", "runs", "--out", root, "--json").stdout.splitlines()]
    told = {row["name"]: (row["overall"], row["metric"], row["value"], row["unit"]) for row in rows}
    assert told[folder.name] == (None, "seconds_per_image", 0.5, "seconds")
    assert told["scored"] == (0.625, "overall", 0.625, "fraction")
