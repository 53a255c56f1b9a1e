"""What a leaderboard does with receipts in which something is wrong, and with those it cannot check."""

from __future__ import annotations

import json
import shlex
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
from receipt_forging import altered

from lumina_eval import cli
from lumina_eval.errors import UserError
from lumina_eval.receipts import record
from lumina_eval.receipts.making import write_receipt
from lumina_eval.runs import find_runs
from reports.leaderboard.boards import UNCHECKED, boards
from reports.leaderboard.entries import gather
from reports.leaderboard.site import write_site


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small run that is what it says."""
    out = tmp_path_factory.mktemp("run")
    words = (
        "run geneval --protocol tabletop --limit 1 --images-per-prompt 1 --model tabletop-scripted:0.7 "
        f"--no-mlflow --no-report --out {out}"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["lumina-eval", *words.split()])
        with pytest.raises(SystemExit):
            cli.main()
    (found,) = find_runs(out)
    return found


def test_a_wrong_receipt_is_refused_before_the_right_one_is_touched(run_dir: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    write_site(gather([run_dir], site)[0], site, "Title")
    (genuine,) = (site / "receipts").iterdir()
    before = genuine.read_bytes()
    copy = tmp_path / "r.json"
    shutil.copy(genuine, copy)

    def better(value: dict[str, object]) -> None:
        value["result"]["metrics"][0]["value"] = 0.99  # type: ignore[index]

    for seal, what in ((True, "overall"), (False, "receipt")):
        with pytest.raises(UserError, match=f"is not .{what}: .*lumina-eval receipt check"):
            gather([altered(copy, better, seal)], site)
        assert genuine.read_bytes() == before
        assert [path.name for path in (site / "receipts").iterdir()] == [genuine.name]


def test_the_fix_of_a_run_whose_record_is_wrong_mends_it(
    run_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a rule was mended: receipts of the run are wrong however often they are made."""
    out = shutil.copytree(run_dir.parent.parent, tmp_path / "out")
    (run,) = find_runs(out)
    record_file = run / "metrics.json"
    whole = record_file.read_bytes()
    value = json.loads(whole)
    value["metrics"][0]["value"] = 0.99
    record_file.write_text(json.dumps(value))
    with pytest.raises(
        UserError, match=r"is not .overall: .*fix: lumina-eval run geneval .* \(it adds up"
    ) as told:
        gather([run], tmp_path / "site")
    fix = str(told.value).rpartition("; fix: ")[2].partition(" (it adds up")[0]
    monkeypatch.setattr(sys, "argv", shlex.split(fix))
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert not end.value.code
    assert record_file.read_bytes() == whole
    gather([run], tmp_path / "site")


def test_a_record_that_stands_in_the_site_is_taken_out_and_not_left_out(
    run_dir: Path, tmp_path: Path
) -> None:
    site = tmp_path / "site"
    gather([run_dir], site)
    (standing,) = (site / "receipts").iterdir()

    def other(value: dict[str, Any]) -> None:
        value["manifest"]["finished"] = "2020-01-01T00:00:00+00:00"

    altered(standing, other).replace(standing)
    with pytest.raises(UserError, match="two that differ") as told:
        gather([standing, run_dir], site)
    assert f"fix: leave {run_dir} out, or rm {standing} and the same command again" in str(told.value)
    standing.unlink()
    assert len(gather([run_dir], site)[0]) == 1


def test_files_beside_have_the_names_of_the_run(
    run_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(record, "INSIDE", 200)
    file = write_receipt(run_dir, tmp_path / "r")
    (entry,), *_ = gather([file], tmp_path / "site")
    assert f"receipts/{run_dir.name}.verdicts.jsonl" in entry.files
    assert all((tmp_path / "site" / name).is_file() for name in entry.files)

    def other(value: dict[str, object]) -> None:
        value["verdicts"]["file"] = "index.html"  # type: ignore[index]

    (tmp_path / "r" / "index.html").write_text("mine")
    with pytest.raises(UserError, match=r"verdicts.jsonl as the file of verdicts.*receipt make RUN --out"):
        gather([altered(file, other)], tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_what_cannot_be_checked_has_no_rank(run_dir: Path, tmp_path: Path) -> None:
    file = write_receipt(run_dir, tmp_path / "r")
    checked = gather([file], tmp_path / "site")[0]
    assert boards(checked)[0].table.rows[0].section == ""

    def unknown(value: dict[str, dict[str, object]]) -> None:
        value["manifest"]["benchmark"] = value["result"]["benchmark"] = "absent"
        value["manifest"]["argv"] = []
        value["command"] = (  # type: ignore[assignment]
            "lumina-eval run absent --protocol tabletop --model tabletop-scripted:0.7@64 --suite standard "
            "--limit 1"
        )

    entries, *_ = gather([altered(file, unknown)], tmp_path / "two")
    (row,) = boards(entries)[0].table.rows
    assert (row.section, row.kind, row.cells[0].text) == (UNCHECKED, "apart", None)
    write_site(entries, tmp_path / "two", "Title")
    assert "not all derived again" in next((tmp_path / "two" / "runs").iterdir()).read_text()
    index = json.loads((tmp_path / "two" / "data/leaderboard.json").read_text())
    assert "unknown benchmark" in " ".join(index["runs"][0]["unchecked"])


def test_intervals_of_other_code_give_no_rank(run_dir: Path, tmp_path: Path) -> None:
    file = write_receipt(run_dir, tmp_path / "r")

    def surer(value: dict[str, dict[str, Any]]) -> None:
        first = value["result"]["metrics"][0]
        first["ci_prompts"] = [first["value"], first["value"]]
        value["manifest"]["provenance"]["git_sha"] = "d" * 40
        value["result"]["intervals_version"] = 1

    entries, *_ = gather([altered(file, surer)], tmp_path / "site")
    assert entries[0].moved == ("overall",)
    assert "made under intervals of version 1" in " ".join(entries[0].notes)
    assert boards(entries)[0].table.rows[0].section == UNCHECKED
