"""DPG-Bench's rules over DSG's answers: the published ones where they are at hand, and a few written here."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from dpg_world import Done

from benchmarks.dpg.adapter import Dpg
from benchmarks.dpg.dsg_answers import Asked, read_answered, share_fulfilled
from lumina_eval import cli
from lumina_eval.plugins import injected
from lumina_eval.protocol import ResolvedProtocol
from lumina_eval.records import Aggregate, Item, Verdict

Verify = Callable[..., Done]


@pytest.fixture
def verify(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Verify:
    def run(*words: object, benchmark: type[Dpg] = Dpg) -> Done:
        argv = ["lumina-eval", "verify", "dpg", "--offline", "--json", "--out", str(tmp_path / "out")]
        monkeypatch.setattr(sys, "argv", [*argv, *map(str, words)])
        capsys.readouterr()
        with injected("benchmarks", dpg=benchmark), pytest.raises(SystemExit) as end:
            cli.main()
        streams = capsys.readouterr()
        return Done(int(end.value.code or 0), streams.out, streams.err)

    return run


def rows_of(done: Done) -> dict[str, dict[str, Any]]:
    return {row["name"]: row for row in map(json.loads, done.stdout.splitlines())}


#: item, id, dependency, answer ("" for none)
ROWS = [
    ("tifa160_0", "1", "0", "yes"),
    ("tifa160_0", "2", "1", "no"),
    ("tifa160_0", "3", "2", "yes"),
    ("tifa160_0", "4", "3", "yes"),
    ("vrd_1", "1", "2", "yes"),
    ("vrd_1", "2", "0", "no"),
    ("whoops_2", "1", "0", "yes"),
    ("whoops_2", "2", "1, right", "yes"),
]


def write_release(folder: Path) -> None:
    with (folder / "dsg-1k-anns.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["item_id", "proposition_id", "dependency", "tuple"])
        writer.writerows(
            [item, number, dependency, "entity - whole (x)"] for item, number, dependency, _ in ROWS
        )
    for model in ("mplug", "instructblip", "pali17b"):
        with (folder / f"{model}_dsg.csv").open("w", newline="") as stream:
            writer = csv.writer(stream)
            writer.writerow(["t2i_model", "item_id", "question_id", "answer"])
            writer.writerows(["sd2dot1", item, number, answer] for item, number, _, answer in ROWS)
            writer.writerow(["another", "vrd_1", "2", "yes"])


def test_rules_pass_on_answers_whose_published_scores_fail(verify: Verify, tmp_path: Path) -> None:
    write_release(tmp_path)
    done = verify("--data", tmp_path)
    rows = rows_of(done)
    assert done.code == 1
    ours = {name: row for name, row in rows.items() if name.startswith("our rules, mplug")}
    # In place: 1 of 4, the late parent is no, and both; one after another they are 25, 0 and 100.
    assert ours["our rules, mplug, all"]["found"] == pytest.approx((25 + 0 + 100) / 3)
    assert {row["state"] for row in ours.values()} == {"PASS", "not run"}
    own = rows["DSG's own rule, tifa"]
    assert (own["state"], own["found"]) == ("FAIL", 50.0), "in DSG a grandparent does not matter"
    assert "not the pinned file" in done.stderr
    ledger = (tmp_path / "out" / "parity.jsonl").read_text().splitlines()
    assert len(ledger) == len(rows) == 36
    assert set(json.loads(ledger[0])["evidence"]) >= {"dsg-1k-anns.csv", "mplug_dsg.csv"}


def test_another_rule_fails(verify: Verify, tmp_path: Path) -> None:
    class Lenient(Dpg):
        """Takes every answer for a yes."""

        def aggregate(
            self, protocol: ResolvedProtocol, items: Sequence[Item], verdicts: Sequence[Verdict]
        ) -> Aggregate:
            yes = [
                one.model_copy(update={"output": {"answers": dict.fromkeys(one.output["answers"], "yes")}})
                for one in verdicts
            ]
            return super().aggregate(protocol, items, yes)

    write_release(tmp_path)
    rows = rows_of(verify("--data", tmp_path, benchmark=Lenient))
    assert rows["our rules, mplug, all"]["state"] == "FAIL"
    assert rows["our rules, mplug, tifa"]["found"] == 100


@pytest.mark.parametrize(
    ("file", "old", "new", "told"),
    [
        ("mplug_dsg.csv", "vrd_1,2,no", "vrd_1,two,no", ":7, question_id: expected a number, found 'two'"),
        ("mplug_dsg.csv", "sd2dot1,vrd_1,2,no", "sd2dot1", ":7, question_id: expected a number, found ''"),
        ("dsg-1k-anns.csv", "vrd_1,2,", "vrd_1,²,", ":7, proposition_id: expected a number, found '²'"),
        ("dsg-1k-anns.csv", "vrd_1,2,", "ghost,2,", ":7, item_id: expected an item of one of DSG's groups"),
    ],
)
def test_a_cell_that_cannot_be_read_is_told(
    verify: Verify, tmp_path: Path, file: str, old: str, new: str, told: str
) -> None:
    write_release(tmp_path)
    text = (tmp_path / file).read_text()
    assert text.count(old) == 1
    (tmp_path / file).write_text(text.replace(old, new), encoding="utf-8")
    done = verify("--data", tmp_path)
    row = rows_of(done)["our rules, mplug, all"]
    assert row["state"] == "not run"
    assert f"{file}{told}" in row["note"]
    assert "Traceback" not in done.stderr


def test_without_files_nothing_is_claimed(verify: Verify) -> None:
    done = verify()
    assert done.code == 4
    rows = rows_of(done)
    assert {row["state"] for row in rows.values()} == {"not run"}
    assert "lumina-eval data fetch dsg-questions" in rows["our rules, mplug, all"]["note"]


def test_images_have_no_place_here(verify: Verify, tmp_path: Path) -> None:
    done = verify("--images", tmp_path)
    assert done.code == 2
    assert "expected no --images" in done.stderr
    assert not done.stdout


def test_a_question_is_fulfilled_by_its_parents() -> None:
    chain = [Asked(1, (), "", "no"), Asked(2, (1,), "", "yes"), Asked(3, (2,), "", "yes")]
    assert share_fulfilled(chain, in_place=False) == 1 / 3
    assert share_fulfilled(chain, in_place=True) == 0
    assert share_fulfilled(chain[::-1], in_place=True) == 1 / 3, (
        "a parent that comes later is seen as answered"
    )


@pytest.mark.parity
def test_the_published_answers(shared: Path, verify: Verify) -> None:
    folder = shared / "data" / "dpg" / "dsg_same_schema"
    items = read_answered(folder / "dsg-1k-anns.csv", folder / "mplug_dsg.csv")
    assert len(items) == 1060
    done = verify("--data", folder)
    rows = rows_of(done)
    ours = [row for name, row in rows.items() if name.startswith("our rules, mplug")]
    assert [row["state"] for row in ours] == ["PASS"] * 9
    assert ours[0]["n"] == 1059
    assert done.code == 4, "the answers of the other models are not in that folder"
    assert "pinned" not in done.stderr
