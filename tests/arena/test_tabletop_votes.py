"""The analytic judge's votes: counted by hand on verdicts written by hand."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
from arena_world import make_run
from typer.testing import CliRunner

from benchmarks.arena.cli import app
from benchmarks.arena.matchups import entrants
from benchmarks.arena.tabletop_votes import fulfilled, votes_of
from benchmarks.geneval.adapter import GenEval
from lumina_eval.errors import UserError
from lumina_eval.protocol import resolve
from lumina_eval.records import Item, RunResult, Verdict

BOX = [10.0, 10.0, 30.0, 30.0, 1.0]
CIRCLE = {"class": "circle", "count": 1}
RED_CIRCLE = {**CIRCLE, "color": "red"}
SQUARE = {"class": "square", "count": 1}
ASKED = {
    "a circle and a square": {"tag": "two_object", "include": [CIRCLE, SQUARE]},
    "a red circle": {"tag": "colors", "include": [RED_CIRCLE]},
}
#: What each model shows, prompt by prompt: classes and the circle's colour; and the share that this fulfils.
SHOWN = {
    "good": [(["circle", "square"], "red", 1.0), (["circle"], "red", 1.0)],
    "half": [(["circle"], "red", 0.5), (["circle"], "red", 1.0)],
    "poor": [([], "red", 0.0), (["circle"], "blue", 0.0)],
}


@pytest.fixture
def runs(tmp_path: Path) -> list[Path]:
    protocol = resolve("tabletop", GenEval().protocols())
    folders = []
    for model, shown in SHOWN.items():
        folder = make_run(tmp_path, model, list(ASKED), images=1)
        manifest = json.loads((folder / "manifest.json").read_text())
        of_geneval = {
            "benchmark": "geneval",
            "judge": "tabletop@abc",
            "protocol_values": dict(protocol.values),
        }
        (folder / "manifest.json").write_text(json.dumps({**manifest, **of_geneval}))
        items = [
            Item(id=f"{k:05d}", prompt=prompt, task=asked["tag"], metadata={**asked, "prompt": prompt})
            for k, (prompt, asked) in enumerate(ASKED.items())
        ]
        (folder / "items.jsonl").write_text("".join(f"{item.model_dump_json()}\n" for item in items))
        lines = []
        for item, (classes, colour, _) in zip(items, shown, strict=True):
            seen = {"detections": {name: [BOX] for name in classes}, "colors": {"circle": [colour]}}
            verdict = Verdict(item_id=item.id, index=0, image_sha256="", judge="tabletop@abc", output=seen)
            lines.append(f"{verdict.model_dump_json()}\n")
        (folder / "verdicts.jsonl").write_text("".join(lines))
        result = RunResult(
            benchmark="geneval", protocol="tabletop", model=model, metrics=[],
            coverage={"expected": 2, "generated": 2, "judged": 2},
        )  # fmt: skip
        (folder / "metrics.json").write_text(result.model_dump_json())
        folders.append(folder)
    return folders


def test_the_share_of_clauses(runs: list[Path]) -> None:
    for folder, shown in zip(runs, SHOWN.values(), strict=True):
        assert list(fulfilled(folder).values()) == [share for *_, share in shown]


def test_who_fulfils_more_wins(runs: list[Path]) -> None:
    found = Counter()
    for battle in votes_of(entrants(runs)):
        turned = battle.model_a > battle.model_b
        pair = tuple(sorted((battle.model_a, battle.model_b)))
        found[pair, battle.prompt, 1 - battle.outcome if turned else battle.outcome] += 1
    two, red = ASKED
    assert found == {
        (("good", "half"), two, 1.0): 1, (("good", "half"), red, 0.5): 1,
        (("good", "poor"), two, 1.0): 1, (("good", "poor"), red, 1.0): 1,
        (("half", "poor"), two, 1.0): 1, (("half", "poor"), red, 1.0): 1,
    }  # fmt: skip


def test_the_command_writes_votes_and_the_order(runs: list[Path], tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["tabletop", str(tmp_path), "--out", str(tmp_path / "votes.jsonl")])
    assert done.exit_code == 0, done.output
    assert len((tmp_path / "votes.jsonl").read_text().splitlines()) == 6
    places = [done.stdout.index(name) for name in SHOWN]
    assert places == sorted(places)


def test_another_benchmark_has_no_votes(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="expected a run of geneval with the judge tabletop, found fake"):
        fulfilled(make_run(tmp_path, "other"))
