"""Which runs share a table: never those of other rules, other texts or another part of a protocol, unsaid."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lumina_eval.records import Rewriting
from reports.document import document
from reports.groups import group_runs
from reports.loading import load_runs

MakeRun = Callable[..., Path]


def rewriting(outputs: str) -> Rewriting:
    return Rewriting(source="file", name="texts.jsonl", outputs=outputs * 64)


APART: dict[str, dict[str, Any]] = {
    "official and corrected": {"protocol": "corrected"},
    "another version of the rules": {"protocol_digest": "e" * 64},
    "another judge": {"judge": "other@000000000000", "judge_digest": "e" * 64},
    "rewritten prompts": {"rewriting": rewriting("a")},
    "a changed value": {"changed": ["threshold=0.5"]},
    "a subset": {"subset": "2 per task (6 of 12 prompts)", "suite": "quick"},
    "another benchmark": {"benchmark": "geneval"},
}


@pytest.mark.parametrize("other", APART.values(), ids=APART)
def test_runs_that_are_not_alike_share_no_table(make_run: MakeRun, other: dict[str, Any]) -> None:
    runs = [
        make_run("low_res", protocol="official"),
        make_run("high_res", 2000, **{"protocol": "official"} | other),
    ]
    groups = group_runs(load_runs(runs))
    assert [len(group.runs) for group in groups] == [1, 1]


def test_two_rewritings_share_a_table_only_if_the_texts_are_the_same(make_run: MakeRun) -> None:
    one = make_run("low_res", rewriting=rewriting("a"))
    same = make_run("high_res", 2000, rewriting=rewriting("a"))
    other = make_run("hq_tuning", 2500, rewriting=rewriting("b"))
    groups = group_runs(load_runs([one, same, other]))
    assert [len(group.runs) for group in groups] == [2, 1]
    assert all("prompts rewritten from texts.jsonl" in group.mark for group in groups)


def test_what_sets_a_group_apart_is_said_in_each_of_its_tables(make_run: MakeRun) -> None:
    raw, rewritten = make_run("low_res"), make_run("high_res", 2000, rewriting=rewriting("a"))
    corrected = make_run("hq_tuning", 2500, protocol="corrected")
    for section in document([raw, rewritten, corrected], None).sections:
        tables = section.tables()
        protocol = dict(section.badges[:2])["plain"]
        assert all(protocol.removeprefix("protocol ") in table.provenance[0] for table in tables)
        assert len({table.mark for table in tables}) == 1
    sections = document([raw, rewritten], None).sections
    assert {table.mark for section in sections for table in section.tables()} == {
        "",
        "prompts rewritten from texts.jsonl (texts aaaaaaaa)",
    }


def test_provenance_says_once_what_is_shared_and_names_who_differs(make_run: MakeRun) -> None:
    low = make_run("low_res", base_seed=1)
    high = make_run("high_res", 2000, sampling={"solver": "dpm", "steps": 24, "guidance": 4.0, "cache": None})
    (section,) = document([low, high], None).sections
    rules, making = section.overview.provenance
    digest = load_runs([low])[0].manifest
    assert rules.startswith(f"Protocol discs/tabletop; protocol digest {digest.protocol_digest[:12]}; ")
    assert f"judge disc; judge digest {digest.judge_digest[:12]}; images per prompt 2." in rules
    assert "Sampling guidance=4.0 steps=24; solver=euler (low_res), solver=dpm (high_res)" in making
    assert "base seed 1 (low_res), 0 (high_res)" in making
    assert "cache" not in making
    assert f"commit {'a' * 12}." in making
