"""Verdicts on part of the images: marked as a run with as few is, and in no table with whole ones."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.geneval.adapter import GenEval
from lumina_eval import cli
from lumina_eval.evaluation import find_protocol
from reports.groups import group_runs
from reports.loading import load_runs


@pytest.fixture
def judged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Judge a file with so many verdicts on each prompt of the official set."""

    def run(count: int, *more: object) -> tuple[int, dict[str, Any], str]:
        file = tmp_path / f"of{count}.jsonl"
        items = GenEval().items(find_protocol(GenEval(), "official"))
        lines = [
            {"filename": f"{item.id}/samples/{index:04d}.png", "metadata": item.metadata, "detections": {}}
            for item in items
            for index in range(count)
        ]
        file.write_text("".join(json.dumps(line) + "\n" for line in lines))
        words = ["judge", "geneval", "--protocol", "official", "--verdicts", file, "--out", tmp_path / "out"]
        monkeypatch.setattr(sys, "argv", ["lumina-eval", *map(str, [*words, "--json", *more])])
        with pytest.raises(SystemExit) as end:
            cli.main()
        told = capsys.readouterr()
        return int(end.value.code or 0), json.loads(told.out) if told.out else {}, told.err

    return run


def test_one_image_per_prompt_stands_in_no_table_with_four(judged: Any) -> None:
    (code, one, _), (_, four, _) = judged(1), judged(4)
    assert (code, one["subset"], four["subset"]) == (0, "1 of 4 images per prompt", None)
    assert one["coverage"]["expected"] == 553
    groups = group_runs(load_runs([Path(one["run_dir"]), Path(four["run_dir"])]))
    assert [[run.result.subset for run in group.runs] for group in groups] == [[None], [one["subset"]]]


def test_a_number_below_that_of_the_file_is_refused(judged: Any) -> None:
    code, _, said = judged(4, "--images-per-prompt", 1)
    assert code == 2
    assert "found image 1 of item 00000 and 1658 more" in said
    assert "of4.jsonl; fix: --images-per-prompt 4" in said
