"""Benchmarks ask what was fetched, and say how to fetch it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from fake_world import Cli

QUESTIONS = """\
item_id,text,keywords,proposition_id,dependency,category_broad,category_detailed,tuple,question_natural_language
a,a red kite,,1,0,entity,whole,entity - whole (kite),Is there a kite?
a,a red kite,,2,1,attribute,color,"attribute - color (kite, red)",Is the kite red?
"""


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LUMINA_EVAL_DATA", str(tmp_path / "data"))
    return tmp_path / "data"


def test_dpg_takes_the_fetched_questions(call: Cli, data: Path, tmp_path: Path) -> None:
    done = call("prompts", "dpg")
    assert done.code == 2
    assert "fix: lumina-eval data fetch dpg-questions" in done.stderr
    folder = data / "dpg-questions"
    folder.mkdir(parents=True)
    (folder / "dpg_bench.csv").write_text(QUESTIONS)
    assert "a red kite" in call("prompts", "dpg").stdout
    other = tmp_path / "own.csv"
    other.write_text(QUESTIONS.replace("a red kite", "a blue kite"))
    assert "a blue kite" in call("prompts", "dpg", "--questions", other).stdout


def test_t2i_compbench_takes_the_fetched_prompts(call: Cli, data: Path, shared: Path) -> None:
    done = call("prompts", "t2i_compbench")
    assert done.code == 2
    assert "fix: lumina-eval data fetch t2i_compbench-prompts" in done.stderr
    source = shared / "data" / "t2i_compbench" / "examples" / "dataset"
    folder = data / "t2i_compbench-prompts"
    folder.mkdir(parents=True)
    for file in source.glob("*_val*.txt"):
        shutil.copy(file, folder)
    assert len(call("prompts", "t2i_compbench").stdout.splitlines()) == 2400
    assert call("data", "verify", "t2i_compbench-prompts").code == 0
