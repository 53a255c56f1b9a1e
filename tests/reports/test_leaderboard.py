"""The leaderboard: who is ranked with whom, where, and a folder of files that is the same each time."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
import sys
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from lumina_eval import cli
from lumina_eval.errors import UserError
from lumina_eval.records import Metric, Rewriting
from reports.leaderboard.boards import boards
from reports.leaderboard.command import TITLE
from reports.leaderboard.entries import gather
from reports.leaderboard.ranking import rank_ranges
from reports.leaderboard.site import write_site


@pytest.fixture(autouse=True)
def _nothing_to_find(monkeypatch: pytest.MonkeyPatch) -> None:
    """The runs of these tests are made up, and no rules give their numbers."""
    monkeypatch.setattr("reports.leaderboard.entries.check_receipt", lambda *_: [])


def metric(value: float, half: float | None) -> Metric:
    ends = None if half is None else (value - half, value + half)
    return Metric(name="overall", value=value, ci_prompts=ends, n_prompts=9, n_images=9)


def files_of(site: Path) -> dict[str, bytes]:
    return {
        path.relative_to(site).as_posix(): path.read_bytes() for path in site.rglob("*") if path.is_file()
    }


def build(places: list[Path], site: Path) -> dict[str, bytes]:
    write_site(gather(places, site)[0], site, "Title")
    return files_of(site)


class Links(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [str(value) for name, value in attrs if name in ("href", "src")]


def test_ranks_are_ranges_of_places() -> None:
    close = [metric(0.9, 0.01), metric(0.6, 0.1), metric(0.55, 0.1), metric(0.1, 0.01)]
    assert rank_ranges(close, higher=True) == [(1, 1), (2, 3), (2, 3), (4, 4)]
    assert rank_ranges(close, higher=False) == [(4, 4), (2, 3), (2, 3), (1, 1)]
    chain = [metric(0.3, 0.1), metric(0.2, 0.1), metric(0.05, 0.1)]  # the first and the last do not touch
    assert rank_ranges(chain, higher=True) == [(1, 2), (1, 3), (2, 3)]
    assert rank_ranges([metric(0.9, 0.01), metric(0.1, None)], higher=True) == [(1, 2), (1, 2)]
    assert rank_ranges([], higher=True) == []


def test_only_comparable_runs_share_a_board(make_run: Callable[..., Path], tmp_path: Path) -> None:
    texts = Rewriting(source="file", name="t.jsonl", outputs="a" * 64)
    runs = [
        make_run("low_res"),
        make_run("high_res"),
        make_run("low_res", subset="2 per task", suite="quick"),
        make_run("low_res", 3, changed=["threshold=0.4"]),
        make_run("low_res", 4, judge_digest="b" * 64),
        make_run("low_res", 5, protocol_digest="c" * 64),
    ]
    rewritten = make_run("low_res", 6, rewriting=texts)
    record = json.loads((rewritten / "metrics.json").read_text())
    record["rewriting"] = texts.model_dump()
    (rewritten / "metrics.json").write_text(json.dumps(record))
    found = boards(gather([*runs, rewritten], tmp_path / "site")[0])
    assert sorted(len(board.table.rows) for board in found) == [1, 1, 1, 1, 1, 2]
    assert len({board.slug for board in found}) == 6
    marks = " ".join(board.table.mark for board in found)
    assert "subset: 2 per task" in marks
    assert "threshold=0.4" in marks
    assert "rewritten" in marks


def test_the_best_is_first_and_what_does_not_compete_is_last(
    make_run: Callable[..., Path], tmp_path: Path
) -> None:
    good = [make_run(stage, n, n / 3) for n, stage in enumerate(("low_res", "high_res", "hq_tuning"), 1)]
    ceiling = make_run(None, None, 1.0, model="tabletop-truth", title="ceiling 64 px")
    gappy = make_run("low_res", 9, 1.0, failed=3)
    (board,) = boards(gather([*good, ceiling, gappy], tmp_path / "site")[0])
    rows = [(row.cells[1].text, row.kind) for row in board.table.rows]
    assert rows[0][0] == "embedded:hq_tuning"
    assert [kind for _, kind in rows] == ["measured"] * 3 + ["ceiling", "apart"]
    values = [row.cells[3].value for row in board.table.rows[:3]]
    assert values == sorted(values, reverse=True)
    assert board.table.rows[-1].section == "Incomplete coverage: not ranked"
    assert [row.cells[0].text is None for row in board.table.rows] == [False] * 3 + [True] * 2
    assert board.claim is not None
    assert "nothing about photographs" in board.claim


def test_without_a_score_over_all_categories_nobody_is_ranked(
    make_run: Callable[..., Path], tmp_path: Path
) -> None:
    runs = [
        make_run(stage, step, ability, metrics=lambda all_: [m for m in all_ if "overall" not in m.name])
        for stage, step, ability in (("low_res", 1, 0.9), ("high_res", 2, 0.2))
    ]
    (board,) = boards(
        gather([*runs, make_run("low_res", 3, failed=2, metrics=lambda m: m[1:4])], tmp_path)[0]
    )
    names = [column.label for column in board.table.columns]
    assert names == ["rank", "model", "step", "images", "coverage", "single object", "counting", "colors"]
    assert [row.cells[0].text for row in board.table.rows] == [None] * 3
    assert [row.kind for row in board.table.rows] == ["measured", "measured", "apart"]
    assert "no score over all categories" in board.table.notes[0]
    assert not board.ranked
    assert b"aria-sort" not in build(runs, tmp_path / "site")["index.html"]


def test_the_note_on_ranks_says_by_what(stages: list[Path], tmp_path: Path) -> None:
    (board,) = boards(gather(stages, tmp_path / "site")[0])
    assert board.table.notes[0].startswith("Rank by overall: ")


def test_no_field_of_the_data_begins_a_formula(make_run: Callable[..., Path], tmp_path: Path) -> None:
    for start in ("=", "\t=", "\r=", "\n="):
        name = f"{start}1+1"
        runs = [make_run("low_res", title=name)]
        found = build(runs, tmp_path / f"site{ord(start[0])}")["data/leaderboard.csv"].decode()
        (row,) = list(csv.DictReader(io.StringIO(found, newline="")))[:1]
        assert row["model"] == f"'{name}"


@pytest.mark.parametrize("name", ["fid", "of_a_plugin"])
def test_less_is_better_for_distances(make_run: Callable[..., Path], tmp_path: Path, name: str) -> None:
    def distance(value: float) -> Callable[[list[Metric]], list[Metric]]:
        return lambda found: [
            Metric(name=name, value=value, n_prompts=9, n_images=9, unit="distance"),
        ]

    runs = [make_run("low_res", metrics=distance(9.0)), make_run("high_res", metrics=distance(3.0))]
    (board,) = boards(gather(runs, tmp_path / "site")[0])
    assert [row.cells[3].value for row in board.table.rows] == [3.0, 9.0]
    assert {row.cells[0].text for row in board.table.rows} == {"1–2"}


def test_the_same_runs_are_the_same_bytes_in_any_order(stages: list[Path], tmp_path: Path) -> None:
    one = build(stages, tmp_path / "one")
    assert build(stages, tmp_path / "one") == one
    assert build([*reversed(stages), stages[0]], tmp_path / "two") == one
    assert build([stages[0].parent.parent], tmp_path / "three") == one
    receipts = sorted((tmp_path / "one" / "receipts").iterdir())
    assert build(receipts, tmp_path / "four") == one  # receipts alone are enough


def test_runs_may_come_later_and_go(stages: list[Path], tmp_path: Path) -> None:
    site = tmp_path / "site"
    whole = build(stages, tmp_path / "whole")
    few = build(stages[:2], site)
    (site / "notes.txt").write_text("mine")
    again = build([*sorted((site / "receipts").iterdir()), *stages[2:]], site)
    assert again.pop("notes.txt") == b"mine"
    assert again == whole
    back = build(stages[:2], site)
    assert back.pop("notes.txt") == b"mine"
    assert back == few


def test_every_link_is_relative_and_leads_somewhere(stages: list[Path], tmp_path: Path) -> None:
    site = tmp_path / "site"
    build(stages, site)
    pages = list(site.rglob("*.html"))
    assert len(pages) == 5
    for page in pages:
        text = page.read_text()
        assert "http" not in re.sub(r"<dd>.*?</dd>", "", text)
        for link in Links(text).found:
            path, _, anchor = link.partition("#")
            if link.startswith("data:"):
                continue
            target = (page.parent / path).resolve() if path else page
            assert target.is_file(), link
            assert target.is_relative_to(site.resolve())
            assert not anchor or f'id="{anchor}"' in target.read_text()


def test_data_say_what_the_pages_say(stages: list[Path], tmp_path: Path) -> None:
    site = tmp_path / "site"
    build(stages, site)
    index = json.loads((site / "data/leaderboard.json").read_text())
    assert sorted(index["files"]) == sorted(files_of(site))
    lines = list(csv.DictReader((site / "data/leaderboard.csv").open()))
    for stage in stages:
        stated = json.loads((stage / "metrics.json").read_text())
        mine = {line["metric"]: line for line in lines if line["run"] == stage.name}
        assert {name: float(line["value"]) for name, line in mine.items()} == {
            one["name"]: one["value"] for one in stated["metrics"]
        }
        assert float(mine["overall"]["ci_prompts_low"]) == stated["metrics"][0]["ci_prompts"][0]
    (board,) = index["boards"]
    assert json.loads((site / board["json"]).read_text())["rows"][0]["run"] == board["runs"][0]


def test_names_are_text_everywhere(make_run: Callable[..., Path], tmp_path: Path) -> None:
    hostile = '<script>alert(1)</script>"&\u202e=1+1'
    run = make_run(None, None, model="odd", title=hostile, warnings=["<img src=x onerror=alert(1)>"])
    site = tmp_path / "site"
    build([run], site)
    for page in site.rglob("*.html"):
        assert "<script>alert" not in page.read_text()
        assert "<img" not in page.read_text()
        assert "\u202e" not in page.read_text()
    formula = make_run(None, 1, model="odd", title="=cmd()")
    build([formula], site)
    assert "'=cmd()" in (site / "data/leaderboard.csv").read_text()


def test_what_cannot_stand_on_it_is_told(stages: list[Path], tmp_path: Path) -> None:
    site = tmp_path / "site"
    build(stages[:1], site)
    (receipt,) = (site / "receipts").iterdir()
    value = json.loads(receipt.read_text())
    other = tmp_path / "other.json"

    def write(**changes: Any) -> Path:
        other.write_text(json.dumps({**value, **changes}))
        return other

    evil = {**value["manifest"], "run_id": "../../evil"}
    with pytest.raises(UserError, match="run id of letters"):
        gather([write(manifest=evil)], tmp_path / "b")
    with pytest.raises(UserError, match="found nothing at"):
        gather([tmp_path / "nowhere"], tmp_path / "b")
    altered = tmp_path / "copy" / "runs" / stages[0].name
    shutil.copytree(stages[0], altered)
    metrics = altered / "metrics.json"
    metrics.write_text(metrics.read_text().replace('"judged": 24', '"judged": 23'))
    with pytest.raises(UserError, match="two that differ"):
        gather([stages[0], altered], tmp_path / "b")
    (site / "data/leaderboard.json").write_text("{}")
    with pytest.raises(UserError, match="index of a leaderboard"):
        build(stages[:1], site)


def test_the_command(
    stages: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def call(*words: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["lumina-eval", *map(str, words)])
        with pytest.raises(SystemExit) as end:
            cli.main()
        streams = capsys.readouterr()
        return int(end.value.code or 0), streams.out, streams.err

    site = tmp_path / "site"
    code, out, _ = call("leaderboard", stages[0], "--out", site, "--json", "--title", "Ours & theirs")
    assert (code, json.loads(out)["runs"]) == (0, [stages[0].name])
    code, out, _ = call("leaderboard", "--out", site, "--add", stages[1], "--json")
    assert (code, len(json.loads(out)["runs"])) == (0, 2)
    assert "<title>Ours &amp; theirs</title>" in (site / "index.html").read_text()
    code, out, _ = call("leaderboard", stages[2], "--out", site)
    assert code == 0
    assert "1 runs" in out
    assert f"<title>{TITLE}</title>" in (site / "index.html").read_text()
    (stages[2] / "results.jsonl").unlink()
    code, out, err = call("leaderboard", stages[0].parent.parent, "--out", site, "--json")
    assert (code, len(json.loads(out)["runs"])) == (4, 3)
    assert "passed over: expected results.jsonl" in err
    code, _, err = call("leaderboard", "--out", site / "empty")
    assert code == 2
    assert "lumina-eval leaderboard lumina-runs" in err
