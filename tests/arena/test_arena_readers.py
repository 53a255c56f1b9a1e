"""Votes as each arena writes them, read; and what is wrong with a file, said with its line."""

from __future__ import annotations

import csv
import json
import sqlite3
from pathlib import Path
from typing import Any

import datasets
import pandas as pd
import pytest

from benchmarks.arena.battles import Battle
from benchmarks.arena.readers.leaderboards import read_leaderboards
from benchmarks.arena.readers.opening import HowToRead, read_battles
from benchmarks.arena.readers.reading import Reading
from benchmarks.arena.vote_files import write_votes
from lumina_eval.errors import UserError


def read(path: Path, **how: Any) -> Reading:
    return read_battles(path, HowToRead(**how))


def as_json(path: Path, rows: list[Any]) -> Path:
    path.write_text(json.dumps(rows), encoding="utf-8")
    return path


def as_lines(path: Path, rows: list[Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


GENAI = {
    "model_a_conv_id": "1",
    "model_b_conv_id": "2",
    "inputs": {"prompt": "a cat"},
    "model_a": "x",
    "model_b": "y",
    "vote_type": "leftvote",
    "winner": "model_a",
    "judge": "arena_user_7",
    "anony": True,
    "tstamp": 1700000000.5,
}
RAPIDATA = {
    "prompt": "a cat",
    "model1": "x",
    "model2": "y",
    "weighted_results_image1_preference": 0.75,
    "weighted_results_image2_preference": 0.25,
    "detailed_results_preference": json.dumps(
        [{"votedFor": "x"}, {"votedFor": "image2"}, {"votedFor": "x", "userDetails": {"country": "DE"}}]
    ),
    "weighted_results_image1_coherence": 0.5,
    "weighted_results_image2_coherence": 0.5,
    "detailed_results_coherence": "[]",
}


def test_a_record_of_genai_arena(tmp_path: Path) -> None:
    rows = [{**GENAI, "winner": word} for word in ("model_a", "model_b", "tie", "tie (bothbad)", "both_bad")]
    reading = read(as_json(tmp_path / "battles.json", rows))
    assert [each.outcome for each in reading.battles] == [1.0, 0.0, 0.5, 0.5, 0.5]
    assert reading.battles[0] == Battle(
        "x", "y", 1.0, 1.0, "a cat", "arena_user_7", 1700000000.5, None, "fastchat"
    )


def test_votes_on_models_that_were_named_are_left_out_and_counted(tmp_path: Path) -> None:
    file = as_lines(tmp_path / "battles.jsonl", [GENAI, {**GENAI, "anony": False}, {**GENAI, "anony": False}])
    assert (len(read(file).battles), read(file).named) == (1, 2)
    assert (len(read(file, keep_named=True).battles), read(file, keep_named=True).named) == (3, 0)


def test_the_raw_log_of_fastchat(tmp_path: Path) -> None:
    states = [{"model_name": "x"}, {"model_name": "y"}]
    rows = [
        {"type": "chat", "models": ["", ""], "states": states, "ip": "1", "tstamp": 1.0},
        {"type": "rightvote", "models": ["", ""], "states": states, "ip": "1", "tstamp": 2.0},
        {"type": "bothbad_vote", "models": ["p", "q"], "states": states, "ip": "2", "tstamp": 3.0},
    ]
    found = read(as_lines(tmp_path / "log.jsonl", rows)).battles
    assert [(e.model_a, e.model_b, e.outcome, e.voter) for e in found] == [
        ("x", "y", 0.0, "1"),
        ("p", "q", 0.5, "2"),
    ]


def test_style_counts_of_lmarena(tmp_path: Path) -> None:
    counts = {f"{name}_{side}": 3 for name in ("list_count",) for side in "ab"}
    heads = {"header_count_a": {"h1": 1, "h2": 2}, "header_count_b": {"h1": 0}}
    bold = {"bold_count_a": {"**": 4}, "bold_count_b": {"**": 1, "__": 1}}
    tokens = {"sum_assistant_a_tokens": 100, "sum_assistant_b_tokens": 50}
    row = {**GENAI, "conv_metadata": counts | heads | bold | tokens}
    reading = read(as_json(tmp_path / "battles.json", [row]), controls=["style"])
    assert reading.features == [((100.0, 50.0), (3.0, 0.0), (3.0, 3.0), (4.0, 2.0))]


@pytest.mark.parametrize(
    ("conversion", "outcomes"), [("majority", [1.0]), ("share", [0.75]), ("per-vote", [1.0, 0.0, 1.0])]
)
def test_the_three_conversions_of_rapidata(tmp_path: Path, conversion: str, outcomes: list[float]) -> None:
    picture = {"image1": {"bytes": b"\x89PNG", "path": None}, "raw": b"\x00"}
    pd.DataFrame([{**RAPIDATA, **picture}]).to_parquet(tmp_path / "set.parquet")
    found = read(tmp_path / "set.parquet", conversion=conversion).battles
    assert [each.outcome for each in found] == outcomes
    assert {(each.model_a, each.model_b, each.prompt, each.source) for each in found} == {
        ("x", "y", "a cat", "rapidata:preference")
    }


def test_rapidata_by_another_criterion_older_counts_and_saved_data_sets(tmp_path: Path) -> None:
    datasets.Dataset.from_list([RAPIDATA, RAPIDATA]).save_to_disk(str(tmp_path / "saved"))
    tie = read(tmp_path / "saved", conversion="majority", criterion="coherence").battles
    assert [each.outcome for each in tie] == [0.5, 0.5]
    old = {"prompt": "p", "model1": "x", "model2": "y", "votes_image1": 1, "votes_image2": 3}
    file = as_lines(tmp_path / "old.jsonl", [old])
    assert [each.outcome for each in read(file, conversion="per-vote").battles] == [1.0, 0.0, 0.0, 0.0]
    assert [each.outcome for each in read(file, conversion="share").battles] == [0.25]
    with pytest.raises(UserError, match=r"--conversion .*majority, share, per-vote"):
        read(file)
    with pytest.raises(UserError, match="votes by 'beauty', found preference, coherence"):
        read(tmp_path / "saved", conversion="share", criterion="beauty")


def test_a_vote_for_neither_side_is_an_error(tmp_path: Path) -> None:
    row = {**RAPIDATA, "detailed_results_preference": json.dumps([{"votedFor": "z"}])}
    with pytest.raises(UserError, match=r"set.jsonl:1: expected a vote for x or .*, found \"z\""):
        read(as_lines(tmp_path / "set.jsonl", [row]), conversion="per-vote")


def test_own_votes_come_back_as_they_were_written(tmp_path: Path) -> None:
    battles = [Battle("x", "y", 0.25, 2.0, "p", "v", 3.5, "c", "s"), Battle("y", "x", 1.0)]
    write_votes(tmp_path / "votes.jsonl", battles)
    assert read(tmp_path / "votes.jsonl").battles == battles
    with sqlite3.connect(tmp_path / "arena.db") as database:
        database.execute("CREATE TABLE battles (model_a, model_b, outcome, weight, prompt, voter, time)")
        database.execute("INSERT INTO battles VALUES ('x', 'y', 1.0, 1.0, 'p', 'v', 2.0)")
    database.close()
    assert read(tmp_path / "arena.db").battles == [Battle("x", "y", 1.0, 1.0, "p", "v", 2.0)]


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl", ".parquet"])
def test_a_table_whose_columns_are_named(tmp_path: Path, suffix: str) -> None:
    rows = [
        {"left": "x", "right": "y", "choice": "left", "who": "v", "when": "2025-02-23T00:00:00"},
        {"left": "x", "right": "z", "choice": "z", "who": "", "when": "2025-02-23T01:00:00+01:00"},
    ]
    path = tmp_path / f"votes{suffix}"
    if suffix == ".parquet":
        pd.DataFrame(rows).to_parquet(path)
    elif suffix == ".jsonl":
        as_lines(path, rows)
    else:
        pd.DataFrame(rows).to_csv(path, index=False, sep="\t" if suffix == ".tsv" else ",")
    found = read(
        path, columns=["model_a=left,model_b=right", "outcome=choice", "voter=who", "time=when"]
    ).battles
    assert found == [
        Battle("x", "y", 1.0, voter="v", time=1740268800.0),
        Battle("x", "z", 0.0, time=1740268800.0),
    ]


def test_unknown_columns_say_which_are_there(tmp_path: Path) -> None:
    path = tmp_path / "votes.csv"
    path.write_text("model_a,model_B,winner\nx,y,model_a\n")
    with pytest.raises(UserError, match="column 'model_b', found model_a, model_B, winner"):
        read(path)
    with pytest.raises(UserError, match="column 'verdict', found model_a, model_B, winner"):
        read(path, columns=["model_b=model_B,outcome=verdict"])
    with pytest.raises(UserError, match="unknown field of a battle 'modell_b'; did you mean model_b"):
        read(path, columns=["modell_b=model_B"])
    assert read(path, columns=["model_b=model_B"]).battles == [Battle("x", "y", 1.0)]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            {"winner": "model_c"},
            'expected an outcome (model_a, model_b, tie, both_bad, or 0 to 1), found "model_c"',
        ),
        ({"winner": None}, "expected an outcome from 0 to 1, found null"),
        ({"winner": 2}, "expected an outcome from 0 to 1, found 2"),
        ({"model_b": "x"}, "expected two models, found 'x' against itself"),
        ({"model_a": ""}, 'expected a name for model_a, found ""'),
        ({"tstamp": "yesterday"}, 'expected a number for the time, found "yesterday"'),
    ],
)
def test_what_is_wrong_with_a_row(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    file = as_lines(tmp_path / "battles.jsonl", [GENAI, {**GENAI, **change}])
    with pytest.raises(UserError) as error:
        read(file)
    assert str(error.value).startswith(f"{file}:2: {said}")
    assert "--skip-bad" in str(error.value)
    reading = read(file, skip_bad=True)
    assert (len(reading.battles), reading.skipped) == (1, 1)


@pytest.mark.parametrize("suffix", [".jsonl", ".csv"])
def test_a_broken_line_among_many(tmp_path: Path, suffix: str) -> None:
    lines = 20_000
    path = tmp_path / f"votes{suffix}"
    with path.open("w", newline="") as stream:
        if suffix == ".csv":
            stream.write("model_a,model_b,winner\n")
        for number in range(2 if suffix == ".csv" else 1, lines + 1):
            good = "a,b,model_a\n" if suffix == ".csv" else '{"model_a":"a","model_b":"b","winner":"tie"}\n'
            stream.write(good[: len(good) // 2].rstrip(",") + "\n" if number == 12_345 else good)
    with pytest.raises(UserError, match=f"votes{suffix}:12345: "):
        read(path)
    reading = read(path, skip_bad=True)
    assert reading.skipped == 1
    assert "12345" in reading.first_skipped
    assert len(reading.battles) == lines - (2 if suffix == ".csv" else 1)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("empty.json", "", "found an empty file"),
        ("none.json", "[]", "expected votes, found none"),
        ("blank.jsonl", "\n\n", "expected votes, found none"),
        ("head.csv", "model_a,model_b,winner\n", "expected votes, found none"),
        ("votes.pkl", "x", "found a pickle"),
        ("votes.xlsx", "x", "found .*votes.xlsx"),
        (
            "cut.json",
            '[{"model_a": "x"',
            "cut.json:1: broken JSON: expected ',' or the end of the list or object at column 17, "
            "found the end; fix: mend the file",
        ),
        (
            "two.json",
            '[{"model_a": "x",\n "model_b": "y" "winner"',
            """two.json:2: .* at column 17, found '"winner"'; fix: mend the file""",
        ),
        ("word.json", "hello", "word.json:1: broken JSON: expected a value at column 1, found 'hello'; fix"),
        ("name.json", "{1: 2}", "name.json:1: .*expected a name in double quotes at column 2, found '1: 2}'"),
        (
            "text.jsonl",
            '{"model_a": "x\n',
            "text.jsonl:1: .*expected the end of the string at column .*, found the end of the line; fix",
        ),
        ("board.json", '{"status": 200, "data": []}', "found a leaderboard"),
        ("number.json", "7", "expected an array of votes, found int"),
        ("bad.parquet", "PAR1", "expected a parquet file"),
        (
            "bad.db",
            "not a database at all, but long enough to be read as one" * 20,
            "expected a readable file",
        ),
    ],
)
def test_files_that_are_no_votes(tmp_path: Path, name: str, content: str, said: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(UserError, match=said):
        read(tmp_path / name)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="No such file"):
        read(tmp_path / "none.jsonl")


def test_artificial_analysis(tmp_path: Path) -> None:
    model = {
        "id": "1",
        "name": "FLUX1.1 [pro]",
        "elo": 1122,
        "rank": 1,
        "ci95": "-12/+9.5",
        "appearances": 812,
        "categories": [{"style_category": "Anime", "elo": 1127.5, "ci95": "-30/30", "appearances": 90}],
    }
    free = {"id": "2", "name": "Other", "elo": 1000.0, "ci_95": "-5/5"}
    (tmp_path / "board.json").write_text(json.dumps({"status": 200, "data": [model, free]}))
    (board,) = read_leaderboards(str(tmp_path / "board.json"))
    flux = board.of("Flux 1.1 Pro")
    assert flux is not None
    assert (flux.rating, flux.ci_low, flux.ci_high, flux.battles) == (1122.0, 1110.0, 1131.5, 812)
    anime = board.of("FLUX1.1 [pro]", "Anime")
    assert anime is not None
    assert (anime.rating, anime.ci_low) == (1127.5, 1097.5)
    assert board.of("other").ci_low == 995.0  # type: ignore[union-attr]
    broken = {"data": [{**model, "ci95": "about 12"}]}
    (tmp_path / "board.json").write_text(json.dumps(broken))
    with pytest.raises(UserError, match="interval such as -12/12"):
        read_leaderboards(str(tmp_path / "board.json"))


def test_a_leaderboard_of_genai_arena(tmp_path: Path) -> None:
    with (tmp_path / "board.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["key", "Model", "Arena Elo rating (anony)", "Arena Elo rating (full)", "License"])
        writer.writerow(["flux", "FLUX.1-dev", "1132.656", "1136.882", "other"])
    (board,) = read_leaderboards(str(tmp_path / "board.csv"))
    assert [(e.model, e.category, e.rating) for e in board.entries] == [
        ("FLUX.1-dev", "anony", 1132.656),
        ("FLUX.1-dev", "full", 1136.882),
    ]


def test_the_published_leaderboards_are_as_the_papers_print_them() -> None:
    boards = {board.name: board for board in read_leaderboards("published")}
    assert {name: len(board.entries) for name, board in boards.items()} == {
        "artificial-analysis": 24,
        "rapidata": 18,
        "agi-eval": 6,
    }
    ours = {name: board.of("Lumina-Image 2.0") for name, board in boards.items()}
    assert {name: entry.rating for name, entry in ours.items() if entry} == {
        "artificial-analysis": 982,
        "rapidata": 969,
        "agi-eval": 0.4545,
    }
    assert all("Table" in board.source and board.date == "2025-02-23" for board in boards.values())
