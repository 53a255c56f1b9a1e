"""Which runs share a table: never those of other rules, other texts or another part of a protocol, unsaid."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lumina_eval.records import Metric, Rewriting
from lumina_eval.statistics.means import INTERVALS_VERSION
from reports.caveats import warnings
from reports.document import document
from reports.groups import group_runs
from reports.loading import load_runs
from reports.page.across import across
from reports.page.bar_chart import categories

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


def test_names_of_settings_stand_as_they_are_typed(make_run: MakeRun) -> None:
    runs = [
        make_run("low_res", sampling={"cache_steps": 2}),
        make_run("high_res", 2000, sampling={"cache_steps": 3}),
    ]
    (section,) = document(runs, None).sections
    making = section.overview.provenance[1]
    assert making.startswith("Sampling cache_steps=2 (low_res), cache_steps=3 (high_res); ")


def test_intervals_of_two_versions_are_told(make_run: MakeRun) -> None:
    low, high = make_run("low_res"), make_run("high_res", 2000)
    told = "Runs of this table differ in the version of their intervals."
    assert told not in warnings(group_runs(load_runs([low, high]))[0])
    file = high / "metrics.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "intervals_version": 2}))
    assert told in warnings(group_runs(load_runs([low, high]))[0])


def test_intervals_of_an_older_version_are_told_of_a_run_alone_with_what_makes_them_anew(
    make_run: MakeRun,
) -> None:
    run, argv = make_run(), ["/bin/lumina-eval", "run", "discs", "--model", "embedded", "--out", "elsewhere"]
    for file, values in (("metrics.json", {"intervals_version": 2}), ("manifest.json", {"argv": argv})):
        (run / file).write_text(json.dumps({**json.loads((run / file).read_text()), **values}))

    def told() -> list[str]:
        return [text for text in warnings(group_runs(load_runs([run]))[0]) if "intervals of version" in text]

    (said,) = told()
    assert said == (
        f"low_res: intervals of version 2; this lumina-eval makes version {INTERVALS_VERSION}. They are made "
        f"anew from their verdicts by lumina-eval run discs --model embedded --out {run.parent.parent}."
    )
    (run / "source.json").write_text('{"mlflow": "sqlite:///elsewhere.db"}')  # its images are not here
    (said,) = told()
    assert said.endswith("They are made anew where they were made by lumina-eval run discs --model embedded.")
    (run / "source.json").unlink()
    file = run / "metrics.json"
    now = {**json.loads(file.read_text()), "intervals_version": INTERVALS_VERSION}
    file.write_text(json.dumps(now))
    assert told() == []
    bare = [{**one, "ci_seeds": None, "ci_prompts": None} for one in now["metrics"]]
    file.write_text(json.dumps({**now, "intervals_version": 1, "metrics": bare}))
    assert told() == []


@pytest.mark.parametrize(
    ("unit", "arrow"), [("distance", "lower"), ("squared_mmd", "lower"), ("points", "higher")]
)
def test_which_way_is_better_comes_from_the_unit(make_run: MakeRun, unit: str, arrow: str) -> None:
    """A plug-in may call its distance what it likes, and a fraction may have a distance's name."""
    distance = Metric(name="strangeness", value=3.0, n_prompts=9, n_images=9, unit=unit)
    share = Metric(name="fid", value=0.5, n_prompts=9, n_images=9, unit="fraction")
    runs = [
        make_run(stage, step, metrics=lambda _: [distance, share])
        for stage, step in (("low_res", 1), ("high_res", 2))
    ]
    content = document([*runs, make_run(benchmark="geneval")], None)
    (section,) = [one for one in content.sections if one.group.primary == "strangeness"]
    assert [column.direction for column in section.overview.columns if column.note == "strangeness"] == [
        arrow
    ]
    assert [column.direction for column in section.parts[0].columns if column.note == "fid"] == ["higher"]
    table = across(content.sections)
    assert table is not None
    assert arrow in [column.direction for column in table.columns if "strangeness" in column.name]
    titles = [chart.title for chart in categories(section.group)]
    assert titles == ["strangeness (less is better)" if arrow == "lower" else "strangeness", "fid"]
