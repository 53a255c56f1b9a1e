"""``report --table`` and ``--figure`` from the command line."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from fake_world import Cli

from lumina_eval.plugins import injected


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to be in."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def test_a_published_table_needs_no_run(call: Cli, here: Path) -> None:
    done = call("report", "--table", "table8", "--out", "o")
    assert done.code == 0
    assert "| HQ Tuning<sup>a</sup> | 5 | <ins>87.2</ins> | **0.73** |" in done.stdout
    kinds = ("csv", "html", "json", "md", "tex")
    assert sorted(path.name for path in (here / "o").iterdir()) == [f"table8.{kind}" for kind in kinds]


def test_several_names_and_json(call: Cli, here: Path) -> None:
    done = call("report", "--table", "table7", "--figure", "figure11", "--table", "table7", "--json")
    assert done.code == 0
    answer = json.loads(done.stdout)
    assert [Path(file).name for file in answer["files"]] == [
        "table7.md", "table7.tex", "table7.csv", "table7.json", "table7.html", "figure11.svg", "figure11.pdf",
    ]  # fmt: skip
    assert all((here / file).is_file() for file in answer["files"])
    assert (answer["runs"], answer["warnings"]) == ([], [])
    assert "HunyuanDiT" in done.stderr


def test_figures_are_named_in_both_forms(call: Cli, here: Path) -> None:
    done = call("report", "--figure", "figure11", "--out", "o")
    assert done.stdout.split() == ["figure", "o/figure11.svg", "figure", "o/figure11.pdf"]


def test_tables_are_listed_with_their_titles(call: Cli) -> None:
    with injected("tables", mine=lambda inputs, out: []):
        listed = {row["name"]: row["title"] for row in call("list", "tables", "--json").records}
        people = call("list", "tables").stdout
    assert (listed["table8"], listed["mine"]) == ("Performance of the training stages", None)
    assert "Performance of the training stages" in people


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--table", "table44"], "unknown table 'table44'; did you mean table4"),
        (
            ["--table", "table9"],
            "There are table2, table3, table4, table5, table6, table7, table8; fix: --table",
        ),
        (["--table", "table4", "--figure", "figure1"], "unknown figure 'figure1'; did you mean figure1"),
        (["nowhere", "--table", "table4"], "found nothing at nowhere"),
        ([], "expected a run folder"),
    ],
)
def test_a_mistake_is_said_before_anything_is_written(
    arguments: Sequence[str], said: str, call: Cli, here: Path
) -> None:
    done = call("report", *arguments)
    assert (done.code, done.stdout) == (2, "")
    assert said in done.stderr
    assert list(here.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_told_once_and_before_any_work(
    call: Cli, run_words: Sequence[object], tmp_path: Path
) -> None:
    (run,) = call(*run_words, "--json").records
    (tmp_path / "file").write_text("mine")
    written: list[Path] = []

    def write(run_dirs: Sequence[Path], out: Path, store: Path) -> list[Path]:
        written.append(out)
        return []

    with injected("reporters", mine=write):
        done = call("report", run["run_dir"], "--out", tmp_path / "file" / "report")
        assert call("report", run["run_dir"], "--out", tmp_path / "folder").code == 0
    assert (done.code, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    file = tmp_path / "file"
    assert line == (
        f"error: expected a folder for the report, {file / 'report'}, found a file at {file}; "
        "fix: --out DIR, in a folder that can be written"
    )
    assert written == [tmp_path / "folder"]


def test_what_is_no_run_is_given_to_the_plug_in_as_it_is(call: Cli, here: Path) -> None:
    seen: list[Path] = []

    def write(inputs: Sequence[Path], out: Path) -> list[Path]:
        seen.extend(inputs)
        out.mkdir(parents=True)
        (out / "mine.md").write_text("what I say\n")
        return [out / "mine.md"]

    (here / "ratings.json").write_text("{}")
    (here / "folder").mkdir()
    with injected("tables", mine=write):
        done = call("report", "ratings.json", "folder", "--table", "mine")
    assert done.code == 0
    assert "what I say" in done.stdout
    assert seen == [Path("ratings.json"), Path("folder")]
