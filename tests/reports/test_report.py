"""Whole reports from run folders: what they say, what they never do."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
from report_page import Page

from lumina_eval.errors import UserError
from lumina_eval.records import Item
from lumina_eval.statistics.means import metric
from reports.document import document
from reports.page import html
from reports.renderers import csv, latex, markdown_report
from reports.renderers import json as json_renderer

MakeRun = Callable[..., Path]
RENDERERS = [html.render, markdown_report.render, latex.render, csv.render, json_renderer.render]


def page_of(runs: list[Path], store: Path, out: Path) -> Page:
    (path,) = html.render(runs, out, store)
    return Page(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("render", RENDERERS)
def test_every_reporter_writes_what_it_returns(
    render: Callable[..., list[Path]], stages: list[Path], store: Path, tmp_path: Path
) -> None:
    written = render(stages, tmp_path / "out", store)
    assert written
    assert all(path.exists() for path in written)


def test_the_same_runs_give_the_same_bytes(stages: list[Path], store: Path, tmp_path: Path) -> None:
    first = [
        p.read_bytes()
        for p in (*html.render(stages, tmp_path / "a", store), *latex.render(stages, tmp_path / "a", store))
    ]
    again = [
        p.read_bytes()
        for p in (*html.render(stages, tmp_path / "b", store), *latex.render(stages, tmp_path / "b", store))
    ]
    assert first == again


def test_a_value_never_stands_alone(stages: list[Path], store: Path) -> None:
    (section,) = document(stages, store).sections
    measured = [c for row in section.overview.rows for c in row.cells if c.intervals]
    assert len(measured) == 4 * 3
    assert all({i.name for i in cell.intervals} == {"seeds", "prompts"} for cell in measured)
    assert section.overview.shown(5) == ["12"] * 4
    assert section.overview.shown(6) == ["24"] * 4
    assert section.overview.shown(7) == ["100 %"] * 4


def test_stages_stand_in_the_order_of_training_whatever_the_shell_says(
    stages: list[Path], store: Path
) -> None:
    (section,) = document(sorted(stages, reverse=True), store).sections
    assert section.overview.shown(0) == [
        "low_res", "high_res", "hq_tuning", "ceiling 64 px",
    ]  # fmt: skip


def test_the_ceiling_is_a_row_that_does_not_compete(stages: list[Path], store: Path) -> None:
    (section,) = document(stages, store).sections
    last = section.overview.rows[-1]
    assert last.kind == "ceiling"
    assert last.cells[2].value == 1.0
    ranks = [row[2] for row in section.overview.ranks()]
    assert ranks[-1] is None
    values = {cell.value for cell, rank in zip(section.overview.column(2), ranks, strict=True) if rank == 1}
    assert values == {max(row.cells[2].value or 0.0 for row in section.overview.rows[:-1])}


def test_stages_are_compared_in_pairs_and_the_last_with_the_first(stages: list[Path], store: Path) -> None:
    (section,) = document(stages, store).sections
    primary, parts = section.paired
    assert primary.shown(0) == [
        "low_res → high_res", "high_res → hq_tuning", "low_res → hq_tuning",
    ]  # fmt: skip
    difference = primary.rows[2].cells[3]
    values = [cell.value for cell in section.overview.column(2)]
    assert difference.value == pytest.approx(values[2] - values[0])  # type: ignore[operator]
    assert difference.intervals[0].low <= difference.value <= difference.intervals[0].high  # type: ignore[operator]
    assert [column.label for column in parts.columns[1:]] == ["single object", "counting", "colors"]


def test_a_subset_is_marked_and_never_shares_a_table(make_run: MakeRun, store: Path, tmp_path: Path) -> None:
    runs = [
        make_run("low_res", subset="2 per task (6 of 12 prompts)", suite="quick"),
        make_run("hq_tuning", 2000),
    ]
    content = document(runs, store)
    assert [len(section.overview.rows) for section in content.sections] == [1, 1]
    whole, part = content.sections
    assert all(table.mark == "" for table in whole.tables())
    assert all("2 per task" in table.mark for table in part.tables())
    for render in (html.render, markdown_report.render, latex.render):
        text = render(runs, tmp_path, store)[0].read_text(encoding="utf-8")
        assert text.count("subset: 2 per task") >= len(part.tables())


def test_a_changed_protocol_is_marked(make_run: MakeRun, store: Path) -> None:
    content = document([make_run(changed=["threshold=0.5"])], store)
    assert "changed: threshold=0.5" in content.sections[0].overview.mark
    assert any("threshold=0.5" in text for text in content.sections[0].warnings)


@pytest.mark.parametrize("name", ["protocol_digest", "judge_digest"])
def test_runs_that_were_asked_or_judged_otherwise_do_not_share_a_table(
    make_run: MakeRun, store: Path, name: str
) -> None:
    runs = [make_run("low_res"), make_run("high_res", **{name: "f" * 64})]
    assert len(document(runs, store).sections) == 2


def test_missing_values_are_em_dashes(make_run: MakeRun, store: Path, tmp_path: Path) -> None:
    def without(found: list) -> list:  # type: ignore[type-arg]
        return [
            metric("counting", []) if m.name == "counting" else m for m in found if m.name != "seen/overall"
        ]

    runs = [make_run("low_res", None, metrics=without), make_run("high_res", 2000)]
    (section,) = document(runs, store).sections
    assert section.overview.shown(1)[0] == "—"
    assert section.overview.shown(3)[0] == "—"
    assert section.parts[0].shown(2)[0] == "—"
    page = page_of(runs, store, tmp_path)
    assert "None" not in page.text
    assert not re.search(r"\bnan\b", page.text)


def test_missing_images_are_said_beside_the_score(make_run: MakeRun, store: Path) -> None:
    (section,) = document([make_run(failed=6)], store).sections
    assert section.overview.shown(7)[0] == "80.0 % (6 failed)"
    assert any("24 of 30 images judged, 6 failed" in text for text in section.warnings)


def test_warnings_of_runs_and_uncommitted_changes_reach_the_reader(
    make_run: MakeRun, store: Path, tmp_path: Path
) -> None:
    runs = [make_run(warnings=["the judge was slow"], provenance={"git_dirty": True})]
    text = page_of(runs, store, tmp_path).text
    assert "low_res: the judge was slow" in text
    assert "uncommitted changes" in text


def test_a_single_run_has_no_best_no_curve_and_no_comparison(make_run: MakeRun, store: Path) -> None:
    (section,) = document([make_run()], store).sections
    assert not any(rank for row in section.overview.ranks() for rank in row)
    assert section.curve is None
    assert section.paired == ()
    assert section.categories is not None


def test_many_checkpoints_keep_a_curve_and_a_short_comparison(make_run: MakeRun, store: Path) -> None:
    runs = [make_run("low_res", step, 0.2 + step / 3000) for step in range(100, 1300, 100)]
    (section,) = document(runs, store).sections
    assert len(section.overview.rows) == 12
    assert len(section.paired[0].rows) == 1
    assert section.paired[0].shown(0)[0] == "low_res @ 100 → low_res @ 1\u202f200"
    assert len(set(section.overview.shown(0))) == 12
    assert section.curve is not None
    assert all(len(gallery.strips) == 2 for gallery in section.galleries)


def test_stages_that_count_from_zero_have_a_panel_each(make_run: MakeRun, store: Path) -> None:
    apart = [make_run("low_res", 100), make_run("high_res", 100), make_run("hq_tuning", 50)]
    on = [make_run("low_res", 100), make_run("high_res", 200), make_run("hq_tuning", 250)]
    first, second = (document(runs, store).sections[0].curve for runs in (apart, on))
    assert first is not None
    assert second is not None
    assert "training step in high_res" in first
    assert "training step in" not in second


def test_runs_on_other_prompts_are_not_compared_and_it_is_said(make_run: MakeRun, store: Path) -> None:
    other = [Item(id="x", prompt="another", task="counting")]
    runs = [make_run("low_res"), make_run("high_res", 2000, items=other)]
    (section,) = document(runs, store).sections
    assert section.paired == ()
    assert any("low_res and high_res are not compared" in text for text in section.warnings)


def test_the_claim_is_limited_to_the_world_it_is_about(make_run: MakeRun, store: Path) -> None:
    (ours,) = document([make_run()], store).sections
    (other,) = document([make_run(protocol="official")], store).sections
    assert "photographs" in (ours.claims or "")
    assert other.claims is None


def test_the_number_can_be_made_again(make_run: MakeRun, store: Path, tmp_path: Path) -> None:
    runs = [make_run("low_res"), make_run("high_res", 2000)]
    (section,) = document(runs, store).sections
    (line,) = section.recipe.commands
    argv = json.loads((runs[0] / "manifest.json").read_text())["argv"]
    assert shlex.split(line) == ["lumina-eval", *argv[1:]]
    shared = dict(section.recipe.shared.pairs)
    assert shared["sampling: guidance"] == "4.0"
    assert shared["base seed"] == "0"
    assert shared["code (git)"] == "a" * 40
    assert "component: vae" in shared
    assert "component: transformer" not in shared
    assert all("component: transformer" in dict(facts.pairs) for facts in section.recipe.own)


def test_a_report_without_its_images_says_so(make_run: MakeRun, store: Path) -> None:
    (section,) = document([make_run(keep_images=False)], store).sections
    assert section.galleries == ()
    assert any("No gallery" in text for text in section.warnings)


def test_an_image_that_was_altered_is_not_shown(make_run: MakeRun, store: Path) -> None:
    run = make_run()
    for path in store.glob("*/*.png"):
        path.write_bytes(path.read_bytes() + b"more")
    assert document([run], store).sections[0].galleries == ()


def test_the_store_of_the_run_helps_out(make_run: MakeRun, tmp_path: Path) -> None:
    assert document([make_run()], tmp_path / "elsewhere").sections[0].galleries


def test_figures_of_the_markdown_are_there(stages: list[Path], store: Path, tmp_path: Path) -> None:
    text = markdown_report.render(stages, tmp_path / "out", store)[0].read_text(encoding="utf-8")
    linked = re.findall(r"!\[[^\]]*\]\(([^)]+)\)", text)
    assert len(linked) == 2 + 3 * 4
    assert all((tmp_path / "out" / name).is_file() for name in linked)
    assert len(linked) == len(set(linked))


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("manifest.json", None, "manifest.json"),
        ("metrics.json", None, "metrics.json"),
        ("metrics.json", "{", "metrics.json"),
        ("manifest.json", '{"schema": 1}', "manifest.json"),
        ("scores.jsonl", '{"item_id": 3}\n', "scores.jsonl:1"),
        ("verdicts.jsonl", "nonsense\n", "verdicts.jsonl:1"),
        ("results.jsonl", "nonsense\n", "results.jsonl"),
        ("plan.jsonl", None, "plan.jsonl"),
    ],
)
def test_a_broken_run_folder_is_named(
    make_run: MakeRun, store: Path, tmp_path: Path, name: str, content: str | None, said: str
) -> None:
    run = make_run()
    (run / name).unlink()
    if content is not None:
        (run / name).write_text(content)
    with pytest.raises(UserError, match=re.escape(said)):
        html.render([run], tmp_path / "out", store)
    assert not (tmp_path / "out" / "report.html").exists()


def test_no_folder_at_all_and_a_folder_of_runs_are_explained(
    make_run: MakeRun, store: Path, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match="at least one run folder"):
        document([], store)
    with pytest.raises(UserError, match="runs/\\*"):
        document([make_run().parent.parent], store)
    with pytest.raises(UserError, match="absent"):
        document([tmp_path / "absent"], store)


def test_a_folder_named_twice_is_one_run(make_run: MakeRun, store: Path) -> None:
    run = make_run()
    assert len(document([run, run / "..", run][::2], store).sections[0].overview.rows) == 1
