"""``lumina-eval run`` on a fake world: records, resuming, coverage, gates, errors."""

from __future__ import annotations

import json
import math
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from fake_world import Cli, Done, FakeBenchmark, RedJudge, the_run, with_model

from lumina_eval import files
from lumina_eval.errors import UserError
from lumina_eval.runs import RunFolder, find_runs, read_manifest

SAME = (
    "items.jsonl", "plan.jsonl", "verdicts.jsonl", "results.jsonl", "scores.jsonl", "summary.txt",
    "metrics.json",
)  # fmt: skip
KEYS = {
    "schema", "benchmark", "protocol", "suite", "subset", "model", "checkpoint", "digest", "stage", "step",
    "metrics", "coverage", "seconds", "run_dir", "mlflow_run_id", "warnings",
}  # fmt: skip


def bytes_of(out: Path) -> dict[str, bytes]:
    found = {name: (the_run(out) / name).read_bytes() for name in SAME}
    images = [path for kind in ("png", "json") for path in (out / "images").rglob(f"[!.]*.{kind}")]
    return {**found, **{path.name: path.read_bytes() for path in images}}


def test_a_run_ends_with_records_a_table_and_one_json_line(
    call: Cli, run_words: list[Any], tmp_path: Path
) -> None:
    done = call(*run_words, "--json")
    assert done.code == 0, done.stderr
    (record,) = done.records
    assert record.keys() >= KEYS
    assert record["coverage"] == {"expected": 12, "generated": 12, "judged": 12, "failed": 0, "excluded": 0}
    assert (record["suite"], record["subset"], record["mlflow_run_id"]) == ("standard", None, None)
    (overall,) = record["metrics"]
    results = [
        json.loads(line) for line in (the_run(tmp_path / "out") / "results.jsonl").read_text().splitlines()
    ]
    assert overall["value"] == pytest.approx(sum(r["correct"] for r in results) / len(results))
    assert record["seconds"]["generate"] > 0
    assert "overall" in done.stderr
    on_disk = json.loads((the_run(tmp_path / "out") / "metrics.json").read_text())
    timeless = {**record, "seconds": {"generate": None, "judge": None}, "run_dir": None}
    assert on_disk == timeless


def test_people_get_the_table_on_stdout(call: Cli, run_words: list[Any]) -> None:
    done = call(*run_words)
    assert "overall" in done.stdout
    assert "12 of 12" in done.stdout


def test_the_same_command_does_nothing_twice(
    call: Cli, run_words: list[Any], tmp_path: Path, world: FakeBenchmark
) -> None:
    call(*run_words)
    first, calls = bytes_of(tmp_path / "out"), world.the_judge.calls
    manifest = (the_run(tmp_path / "out") / "manifest.json").read_text()
    call(*run_words)
    assert bytes_of(tmp_path / "out") == first
    assert world.the_judge.calls == calls
    assert (the_run(tmp_path / "out") / "manifest.json").read_text() == manifest


def test_a_spoilt_image_is_made_again_as_it_was(call: Cli, run_words: list[Any], tmp_path: Path) -> None:
    call(*run_words)
    first = bytes_of(tmp_path / "out")
    images = sorted((tmp_path / "out" / "images").rglob("*.png"))
    images[0].write_bytes(images[0].read_bytes()[:20])
    images[5].unlink()
    untouched = images[1].stat().st_mtime_ns
    done = call(*run_words, "--json")
    assert done.code == 0
    assert bytes_of(tmp_path / "out") == first
    assert images[1].stat().st_mtime_ns == untouched


def test_suites_limits_and_changes_are_other_runs_and_are_marked(
    call: Cli, run_words: list[Any], tmp_path: Path
) -> None:
    quick = call(*run_words, "--suite", "quick", "--json").records[0]
    limited = call(*run_words, "--limit", 1, "--images-per-prompt", 3, "--json").records[0]
    changed = call(*run_words, "--set", "threshold=0.9", "--json").records[0]
    assert quick["coverage"]["expected"] == 4
    assert "2 per task" in quick["subset"]
    assert limited["coverage"]["expected"] == 6
    assert "of 2 images" not in limited["subset"]
    assert changed["subset"] is None
    fewer = call(*run_words, "--images-per-prompt", 1, "--json").records[0]
    assert fewer["subset"] == "1 of 2 images per prompt"
    assert changed["changed"] == ["threshold=0.9"]
    assert len({r["run_dir"] for r in (quick, limited, changed)}) == 3


def test_a_rule_that_changes_makes_no_new_image(call: Cli, run_words: list[Any], tmp_path: Path) -> None:
    call(*run_words)
    images = {p: p.stat().st_mtime_ns for p in (tmp_path / "out" / "images").rglob("*.png")}
    call(*run_words, "--set", "threshold=0.9")
    assert {p: p.stat().st_mtime_ns for p in (tmp_path / "out" / "images").rglob("*.png")} == images


def test_two_folders_get_the_same_bytes(call: Cli, run_words: list[Any], tmp_path: Path) -> None:
    call(*run_words)
    call(*run_words, "--out", tmp_path / "other")
    assert bytes_of(tmp_path / "out") == bytes_of(tmp_path / "other")
    assert the_run(tmp_path / "out").name == the_run(tmp_path / "other").name


def test_the_run_id_has_the_documented_form(
    call: Cli, run_words: list[Any], model_file: Path, tmp_path: Path
) -> None:
    call(*with_model(run_words, f"{model_file}:always"))
    name = the_run(tmp_path / "out").name
    assert name.startswith("fake-plain-always-hq-")
    assert len(name.rsplit("-", 1)[1]) == 12


@pytest.mark.parametrize(("function", "generated"), [("broken", 0), ("gappy", 10)])
def test_missing_images_are_said_and_never_blank(
    call: Cli, run_words: list[Any], model_file: Path, tmp_path: Path, function: str, generated: int
) -> None:
    done = call(*with_model(run_words, f"{model_file}:{function}"), "--json")
    assert done.code == 4
    (record,) = done.records
    assert record["coverage"]["generated"] == record["coverage"]["judged"] == generated
    assert record["coverage"]["failed"] == 12 - generated
    assert record["warnings"]
    assert len(list((tmp_path / "out" / "images").rglob("*.png"))) == generated
    failures = (the_run(tmp_path / "out") / "failures.jsonl").read_text().splitlines()
    assert len(failures) == 12 - generated
    if function == "broken":
        assert record["metrics"][0]["value"] is None
        assert "out of memory" in done.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["run", "fak"], "did you mean fake"),
        (["run", "fake", "--protocol", "plian"], "did you mean plain"),
        (["run", "fake", "--protocol", "plain", "--suite", "quik"], "did you mean quick"),
        (["run", "fake", "--protocol", "plain", "--set", "treshold=1"], "did you mean threshold"),
        (["run", "fake", "--protocol", "plain", "--model", "folde:x"], "did you mean folder"),
        (["run", "fake", "--protocol", "plain", "--model", "folder:/nowhere"], "found no folder"),
        (["run", "fake", "--protocol", "plain", "--model", "/nowhere.py:f"], "found no file"),
        (["run", "fake", "--protocol", "plain", "--model", "models.py"], "FILE.py:function"),
        (["run", "fake", "--protocol", "plain", "--device", "gpu"], "auto, cpu or cuda"),
        (["run", "fake", "--protocol", "plain", "--device", "gpu"], "fix: --device auto, or cuda"),
        (["run", "fake", "--protocol", "plain", "--device", "mps"], "fix: --device cpu; other"),
        (["run", "fake", "--protocol", "plain", "--device", "cup"], "fix: --device auto"),
        (["run", "fake", "--protocol", "plain", "--limit", "0"], "limit"),
        (["judge", "fake", "--protocol", "plain"], "--features FILE.npz), found neither"),
        (["judge", "fake", "--images", "a", "--verdicts", "b"], "one of --images and --verdicts, found both"),
        (
            ["run", "fake", "--protocol", "plain", "--min-overall", "50"],
            "from 0 to 1, the range of this",
        ),
        (["report", "/nowhere"], "found nothing at /nowhere"),
        (["list", "modles"], "did you mean models"),
    ],
)
def test_a_mistake_is_a_message_and_exit_code_2(call: Cli, words: list[str], message: str) -> None:
    done = call(*words)
    assert done.code == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize("command", ["report", "compare"])
@pytest.mark.parametrize(
    ("name", "content"),
    [("metrics.json", "{"), ("metrics.json", "{}"), ("scores.jsonl", "nonsense\n")],
)
def test_a_broken_record_is_made_again_by_the_command_that_is_told(
    call: Cli, run_words: list[Any], tmp_path: Path, command: str, name: str, content: str
) -> None:
    (run,) = call(*run_words, "--json").records
    file = Path(run["run_dir"]) / name
    whole = file.read_bytes()
    other = shutil.copytree(file.parent, tmp_path / "other" / "runs" / file.parent.name)
    file.write_text(content)
    broken = call(command, other, file.parent)
    assert broken.code == 2
    told = broken.stderr.rpartition("; fix: lumina-eval ")[2].partition(" (it goes on")[0]
    assert call(*shlex.split(told)).code == 0
    assert file.read_bytes() == whole
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"images", "runs"}  # as it was called


def test_the_batch_size_is_that_of_the_images(call: Cli, run_words: list[Any], tmp_path: Path) -> None:
    def told() -> int:
        size: int = json.loads((the_run(tmp_path / "out") / "manifest.json").read_text())["batch_size"]
        return size

    call(*run_words, "--batch-size", 4)
    call(*run_words, "--batch-size", 3)
    assert told() == 4  # none was made
    next((tmp_path / "out" / "images").rglob("*.png")).unlink()
    call(*run_words, "--batch-size", 3)
    assert told() == 3


def test_a_broken_measurement_is_not_gone_on_with(call: Cli, run_words: list[Any], tmp_path: Path) -> None:
    call(*run_words)
    run = the_run(tmp_path / "out")
    manifest = json.loads((run / "manifest.json").read_text())
    words = ["lumina-eval", "efficiency", "run", "--model", "m", "--out", "elsewhere", "--no-mlflow"]
    changed = {**manifest, "judge_kind": "clock", "argv": words}
    (run / "manifest.json").write_text(json.dumps(changed))
    (run / "metrics.json").write_text("{")
    fix = call("report", run).stderr.strip().rpartition("; fix: ")[2]
    again = f"lumina-eval efficiency run --model m --no-mlflow --out {tmp_path / 'out'}"
    assert fix == f"rm -r {run}, and measure again: {again}"


def test_runs_are_listed_newest_last(call: Cli, run_words: list[Any], tmp_path: Path) -> None:
    call(*run_words)
    (first,) = find_runs(tmp_path / "out")
    for name, finished in (
        ("a-newest", "2026-03-01T00:00:00+00:00"),
        ("z-oldest", "2020-01-01T00:00:00+00:00"),
    ):
        copy = first.parent / name
        shutil.copytree(first, copy)
        manifest = read_manifest(copy).model_copy(update={"finished": finished})
        RunFolder(copy).write_manifest(manifest)
    middle = read_manifest(first).model_copy(update={"finished": "2025-01-01T00:00:00+00:00"})
    RunFolder(first).write_manifest(middle)
    listed = call("list", "runs", "--out", tmp_path / "out", "--json").records
    assert [row["name"] for row in listed] == ["z-oldest", first.name, "a-newest"]


def test_a_function_that_is_not_there_is_told_with_the_near_ones(
    call: Cli, run_words: list[Any], model_file: Path
) -> None:
    done = call(*with_model(run_words, f"{model_file}:redish"))
    assert done.code == 2
    assert "did you mean reddish" in done.stderr


def test_a_folder_that_cannot_be_written_is_told(call: Cli, run_words: list[Any], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    done = call(*run_words, "--out", tmp_path / "file" / "out")
    assert done.code == 2
    assert "cannot write" in done.stderr
    assert (tmp_path / "file").read_text() == "mine"


def test_a_disk_that_fills_up_loses_nothing(
    call: Cli, run_words: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    call(*run_words, "--out", tmp_path / "undisturbed")
    real, written = files.os.fsync, [0]

    def filling(handle: int) -> None:
        written[0] += 1
        if written[0] >= 20:
            raise OSError(28, "No space left on device")
        real(handle)

    with monkeypatch.context() as patch:
        patch.setattr(files.os, "fsync", filling)
        done = call(*run_words)
    assert done.code == 2
    assert "no space left" in done.stderr
    assert not list((tmp_path / "out").rglob("*.tmp"))
    assert list((tmp_path / "out" / "images").rglob("*.png"))
    assert call(*run_words).code == 0
    assert bytes_of(tmp_path / "out") == bytes_of(tmp_path / "undisturbed")


def test_an_error_of_a_plug_in_for_the_user_needs_no_import_of_ours(
    call: Cli, run_words: list[Any], tmp_path: Path
) -> None:
    path = tmp_path / "strict.py"
    path.write_text(
        "class Broken(Exception):\n    is_user_error = True\n"
        "def model(prompts, seeds):\n    raise Broken('tensor x_embedder.weight has NaN')\n"
    )
    done = call(*run_words, "--model", f"{path}:model")
    assert done.code == 2
    assert "error: tensor x_embedder.weight has NaN" in done.stderr


def test_a_dry_run_says_what_it_would_do_and_does_nothing(
    call: Cli, run_words: list[Any], tmp_path: Path
) -> None:
    done = call(*run_words, "--dry-run", "--json")
    assert done.code == 0
    assert done.records[0]["images"] == done.records[0]["missing"] == 12
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("command", ["run", "generate"])
def test_options_that_no_model_takes_are_refused(call: Cli, run_words: list[Any], command: str) -> None:
    words = [command, *run_words[1:]] if command == "run" else [command, *run_words[1:-2]]
    done = call(*words, "--option", "steps=4")
    assert done.code == 2
    assert "expected a model that takes options, found --option steps" in " ".join(done.stderr.split())


def test_numbers_that_are_unknown_are_null(call: Cli, run_words: list[Any], model_file: Path) -> None:
    done: Done = call(*with_model(run_words, f"{model_file}:broken"), "--json")

    def refuse(word: str) -> float:
        raise AssertionError(f"{word} in JSON")

    record = json.loads(done.stdout, parse_constant=refuse)
    assert record["metrics"][0]["ci_seeds"] is None
    assert math.isfinite(record["coverage"]["failed"])


def test_a_judge_that_lacks_its_weights_stops_before_any_image(
    call: Cli, run_words: list[Any], tmp_path: Path, world: FakeBenchmark, monkeypatch: pytest.MonkeyPatch
) -> None:
    def absent(protocol: object) -> RedJudge:
        raise UserError("judge weights are missing")

    monkeypatch.setattr(world, "judge", absent)
    assert call(*run_words, "--dry-run").code == 2
    assert call(*run_words).code == 2
    assert not list((tmp_path / "out").rglob("*.png"))


def test_a_fault_of_the_program_is_no_failed_gate(
    call: Cli, run_words: list[Any], world: FakeBenchmark, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(world, "items", lambda protocol: 1 / 0)
    done = call(*run_words)
    assert done.code == 70
    assert "ZeroDivisionError" in done.stderr
    assert "failed, as written above; what was written before is kept" in done.stderr


def test_a_reader_that_has_had_enough_ends_the_prompts_quietly(tmp_path: Path) -> None:
    words = [sys.executable, str(Path(__file__).with_name("fake_world.py"))]
    words += ["prompts", "fake", "--protocol", "plain", "--set", "prompts=20000"]
    with subprocess.Popen(
        words,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "FAKE_FOLDER": str(tmp_path)},
    ) as running:
        assert running.stdout is not None
        assert running.stderr is not None
        assert b"prompt 0" in running.stdout.readline()
        running.stdout.close()
        assert running.stderr.read() == b""
        assert running.wait() == 0
