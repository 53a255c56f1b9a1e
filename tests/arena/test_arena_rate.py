"""``lumina-eval arena rate`` as people and scripts call it."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.arena import speed
from benchmarks.arena.battles import Battle
from benchmarks.arena.ratings.aggregate import columns
from benchmarks.arena.ratings.bradley_terry import elo_scale, fit
from benchmarks.arena.vote_files import write_votes
from lumina_eval.cli import main

KEYS = ["model", "rating", "ci_low", "ci_high", "rank_low", "rank_high", "battles"]
NASTY = '<script>alert("1")</script>|[bold]=1+1'


@pytest.fixture
def rate(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Call the command; return its exit code and what it printed on both streams."""

    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["lumina-eval", "arena", "rate", *map(str, arguments)])
        monkeypatch.setenv("COLUMNS", "160")
        with pytest.raises(SystemExit) as end:
            main()
        streams = capsys.readouterr()
        return int(end.value.code or 0), streams.out, streams.err

    return call


@pytest.fixture
def votes(tmp_path: Path) -> Path:
    """A ring of three models with a clear order, in two categories, by twelve voters."""
    draw = np.random.default_rng(0)
    battles = [
        Battle(
            a,
            b,
            float(draw.random() < 0.5 + lead),
            voter=f"v{i % 12}",
            category=["art", "photo"][i % 2],
            time=i,
        )
        for i, (a, b, lead) in enumerate([("x", "y", 0.15), ("y", "z", 0.15), ("x", "z", 0.3)] * 80)
    ]
    write_votes(tmp_path / "votes.jsonl", battles)
    return tmp_path / "votes.jsonl"


def loaded(path: Path) -> list[Battle]:
    return [Battle(**json.loads(line)) for line in path.read_text().splitlines()]


def test_json_is_what_the_contract_says(rate: Any, votes: Path) -> None:
    code, out, err = rate(votes, "--json")
    answer = json.loads(out)
    assert (code, err, list(answer)) == (0, "", ["ratings", "warnings"])
    assert [list(row) for row in answer["ratings"]] == [KEYS] * 3
    table = columns(loaded(votes))
    exact = dict(zip(table.models, elo_scale(fit(table.wins())), strict=True))
    for place, row in enumerate(answer["ratings"], 1):
        assert row["rating"] == pytest.approx(exact[row["model"]])
        assert row["ci_low"] < row["rating"] < row["ci_high"]
        assert row["rank_low"] <= place <= row["rank_high"]
        assert row["battles"] == 160
    assert [row["model"] for row in answer["ratings"]] == ["x", "y", "z"]
    assert answer["warnings"] == []


def test_a_model_without_a_rating_is_null_and_warned_of(rate: Any, tmp_path: Path) -> None:
    battles = [Battle("a", "b", 1.0), Battle("b", "a", 1.0), Battle("top", "a", 1.0)]
    write_votes(tmp_path / "votes.jsonl", battles)
    answer = json.loads(rate(tmp_path / "votes.jsonl", "--json")[1])
    assert answer["ratings"][-1] == {
        **dict.fromkeys(KEYS), "model": "top", "battles": 1,
    }  # fmt: skip
    assert [(each["code"], each["models"]) for each in answer["warnings"]] == [("unbeaten", ["top"])]
    code, out, err = rate(tmp_path / "votes.jsonl")
    assert code == 0
    assert "none" in out
    assert "warning (unbeaten): top: " in err


@pytest.mark.parametrize("compat", ["fastchat", "evalica", "arena-rank"])
def test_the_other_tools_agree_to_a_twentieth_of_a_point(rate: Any, votes: Path, compat: str) -> None:
    ours = json.loads(rate(votes, "--json")[1])["ratings"]
    theirs = json.loads(rate(votes, "--json", "--compat", compat)[1])["ratings"]
    assert [row["model"] for row in ours] == [row["model"] for row in theirs]
    assert [row["rating"] for row in theirs] == pytest.approx([row["rating"] for row in ours], abs=0.05)


def test_fastchat_says_that_it_knows_no_shares(rate: Any, tmp_path: Path) -> None:
    write_votes(tmp_path / "votes.jsonl", [Battle("a", "b", 0.7), Battle("a", "b", 0.2)])
    fastchat = json.loads(rate(tmp_path / "votes.jsonl", "--json", "--compat", "fastchat")[1])
    assert [each["code"] for each in fastchat["warnings"]] == ["weights"]
    assert [row["rating"] for row in fastchat["ratings"]] == pytest.approx([1000.0, 1000.0])
    ours = json.loads(rate(tmp_path / "votes.jsonl", "--json")[1])
    assert ours["ratings"][0]["rating"] - ours["ratings"][1]["rating"] == pytest.approx(
        400 * np.log10(55 / 45)
    )


def test_anchors_bootstrap_and_seed(rate: Any, votes: Path) -> None:
    rows = json.loads(rate(votes, "--json", "--anchor", "y=1200", "--bootstrap", "40", "--seed", "5")[1])[
        "ratings"
    ]
    again = json.loads(rate(votes, "--json", "--anchor", "y=1200", "--bootstrap", "40", "--seed", "5")[1])[
        "ratings"
    ]
    other = json.loads(rate(votes, "--json", "--anchor", "y=1200", "--bootstrap", "40", "--seed", "6")[1])[
        "ratings"
    ]
    assert rows == again != other
    assert rows[1]["rating"] == rows[1]["ci_low"] == 1200.0
    mean = json.loads(rate(votes, "--json", "--anchor", "mean=1500")[1])["ratings"]
    assert np.mean([row["rating"] for row in mean]) == pytest.approx(1500)


def test_elo_goes_by_time_and_says_when_there_is_none(rate: Any, votes: Path, tmp_path: Path) -> None:
    in_order = json.loads(rate(votes, "--method", "elo", "--k", "32", "--json")[1])
    shuffled = list(reversed(loaded(votes)))
    write_votes(tmp_path / "shuffled.jsonl", shuffled)
    mixed = json.loads(rate(tmp_path / "shuffled.jsonl", "--method", "elo", "--k", "32", "--json")[1])
    assert [row["rating"] for row in mixed["ratings"]] == [row["rating"] for row in in_order["ratings"]]
    assert in_order["ratings"][0]["ci_low"] is None
    write_votes(tmp_path / "timeless.jsonl", [Battle("a", "b", 1.0)])
    warned = json.loads(rate(tmp_path / "timeless.jsonl", "--method", "elo", "--json")[1])
    assert [each["code"] for each in warned["warnings"]] == ["not-rated", "no-time"]
    assert [row["rating"] for row in warned["ratings"]] == [1002.0, 998.0]


def test_categories(rate: Any, votes: Path) -> None:
    answer = json.loads(rate(votes, "--json", "--by-category")[1])
    assert sorted(answer["categories"]) == ["art", "photo"]
    alone = json.loads(rate(votes, "--json", "--category", "art")[1])
    assert answer["categories"]["art"] == alone
    assert sum(row["battles"] for row in alone["ratings"]) == 240
    assert rate(votes, "--category", "music")[0] == 2


def test_pairs_add_chances_and_significance(rate: Any, votes: Path) -> None:
    answer = json.loads(rate(votes, "--json", "--pairs")[1])
    first = answer["pairs"][0]
    gap = answer["ratings"][0]["rating"] - answer["ratings"][1]["rating"]
    assert (first["model_a"], first["model_b"]) == ("x", "y")
    assert first["win"] == pytest.approx(1 / (1 + 10 ** (-gap / 400)))
    assert answer["pairs"][1]["p"] < 1e-4
    assert "percent" in rate(votes, "--pairs")[1]


def test_names_are_text_everywhere(rate: Any, tmp_path: Path) -> None:
    names = [NASTY, "=cmd()", "@evil\x1b[2J\ud800"]
    ring = [Battle(names[i], names[(i + 1) % 3], 1.0) for i in (0, 1, 2)]
    lines = [json.dumps({"model_a": e.model_a, "model_b": e.model_b, "winner": "model_a"}) for e in ring]
    (tmp_path / "votes.jsonl").write_text("\n".join(lines))
    table = rate(tmp_path / "votes.jsonl")[1]
    assert NASTY in table
    assert "\x1b" not in table
    markdown = rate(tmp_path / "votes.jsonl", "--markdown")[1]
    assert "<script>" not in markdown
    assert all(line.replace("\\|", "").count("|") == 6 for line in markdown.splitlines() if line)
    rows = list(csv.reader(io.StringIO(rate(tmp_path / "votes.jsonl", "--csv")[1])))
    assert rows[0] == KEYS
    assert {row[0][0] for row in rows[1:]} == {"<", "'"}
    assert {row["model"] for row in json.loads(rate(tmp_path / "votes.jsonl", "--json")[1])["ratings"]} == {
        *names
    }


def test_published_leaderboards_stand_beside(rate: Any, tmp_path: Path) -> None:
    write_votes(
        tmp_path / "votes.jsonl",
        [Battle("lumina-image-2.0", "mine", 1.0), Battle("mine", "lumina-image-2.0", 1.0)],
    )
    markdown = rate(tmp_path / "votes.jsonl", "--markdown", "--beside", "published")[1]
    assert "| Artificial Analysis | Rapidata | AGI-Eval |" in markdown
    assert any(line.endswith("| 982 | 969 | 0.4545 |") for line in markdown.splitlines())
    assert "Lumina-Image 2.0, Table 5" in rate(tmp_path / "votes.jsonl", "--beside", "published")[1]


def test_bad_rows_are_an_error_or_a_count(rate: Any, votes: Path) -> None:
    with votes.open("a") as stream:
        stream.write('{"model_a": "x", "model_b": "x", "outcome": 1}\n')
    code, out, err = rate(votes)
    assert (code, out) == (2, "")
    assert "votes.jsonl:241: expected two models, found 'x' against itself" in err
    answer = json.loads(rate(votes, "--skip-bad", "--json")[1])
    assert [each["code"] for each in answer["warnings"]] == ["skipped"]
    assert answer["warnings"][0]["message"].startswith("bad rows left out: 1;")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--anchor", "x"], "--anchor MODEL=VALUE"),
        (["--anchor", "x=high"], "--anchor MODEL=VALUE"),
        (["--anchor", "w=1000"], "unknown anchor model 'w'"),
        (["--k", "3"], "no --k for bradley-terry"),
        (["--method", "elo", "--k", "0"], "expected a number above 0 for --k, found 0; fix: --k 4"),
        (["--method", "elo", "--k", "-4"], "expected a number above 0 for --k, found -4"),
        (["--method", "elo", "--k", "nan"], "expected a number above 0 for --k, found nan"),
        (["--method", "elo", "--k", "inf"], "expected a number above 0 for --k, found inf"),
        (["--method", "elo", "--compat", "arena-rank"], "which arena-rank does not have"),
        (["--json", "--csv"], "found several"),
        (["--control", "tokens"], "no column"),
        (["--control", "tokens", "--bootstrap", "5"], "no column"),
        (
            ["--cluster", "both", "--column", "prompt=category", "--bootstrap", "5"],
            "one cluster for a bootstrap",
        ),
        (["--cluster", "both"], "votes that name their prompt for --cluster both"),
        (["--cluster", "prompt"], "fix: --column prompt=COLUMN, or leave --cluster out"),
        (["--seed", "3"], "expected --bootstrap N beside --seed"),
        (["--beside", "nowhere.toml"], "nowhere.toml"),
    ],
)
def test_mistakes_are_messages(rate: Any, votes: Path, arguments: list[str], said: str) -> None:
    code, _, err = rate(votes, *arguments)
    assert code == 2
    assert said in err
    assert "Traceback" not in err


def test_the_script_for_speed_runs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    small = ["--battles", "3000", "--models", "5", "--rounds", "20", "--repeats", "1"]
    monkeypatch.setattr("sys.argv", ["speed", *small])
    speed.main()
    out = capsys.readouterr().out
    assert "FastChat's way" in out
    assert "point estimate" in out
