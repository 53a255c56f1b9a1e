"""The page without a browser: what it holds, what it never asks for, and that its colours can be read."""

from __future__ import annotations

import base64
import io
import json
import re
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from unittest import mock

import pytest
from PIL import Image
from report_page import Page

from lumina_eval import cli
from lumina_eval.records import Item, Score, Verdict
from lumina_eval.statistics.means import metric
from reports.document import document
from reports.groups import group_runs
from reports.loading import load_runs
from reports.page import html
from reports.page.across import across
from reports.page.choice import sample
from reports.page.curve_chart import curves
from reports.page.embedded import EmbeddedImages, thumbnail
from reports.page.extremes import listings
from reports.page.reasons import reason
from reports.page.wall import wall
from reports.stored import StoredImages

MakeRun = Callable[..., Path]


@pytest.fixture
def text(stages: list[Path], store: Path, tmp_path: Path) -> str:
    (path,) = html.render(stages, tmp_path / "out", store)
    return path.read_text(encoding="utf-8")


def test_the_page_asks_nothing_of_any_network(text: str) -> None:
    page = Page(text)
    assert len(page.images) >= 4 * 3 * 6
    assert all(uri.startswith("data:image/png;base64,") for uri in page.images)
    assert page.sources
    assert all(source.startswith(("#", "data:")) for _, source in page.sources)
    (library,) = (code for name, code in page.scripts if name == "chart-library")
    ours = text.replace(library, "").replace('xmlns="http://www.w3.org/2000/svg"', "")
    assert not re.search(
        r"https?:|//[a-z]+\.|@import|url\((?!#)", re.sub(r"base64,[A-Za-z0-9+/=]*", "", ours)
    )


def test_the_chart_library_comes_once_and_only_where_there_are_charts(
    make_run: MakeRun, store: Path, tmp_path: Path, text: str
) -> None:
    assert text.count('<script id="chart-library">') == 1
    alone = make_run(metrics=lambda found: found[:1])
    (path,) = html.render([alone], tmp_path / "alone", store)
    assert "chart-library" not in path.read_text(encoding="utf-8")


def test_the_images_of_the_page_are_those_that_were_judged(
    make_run: MakeRun, store: Path, tmp_path: Path
) -> None:
    (path,) = html.render([make_run()], tmp_path, store)
    page = Page(path.read_text(encoding="utf-8"))
    stored = {file.read_bytes() for file in store.glob("*/*.png")}
    shown = [base64.b64decode(uri.partition(",")[2]) for uri in page.images]
    (found,) = page.data["wall-rows"]
    tiles = [tile for row in found["rows"] for tile in row["tiles"]]
    assert {shown[tile["image"]] for tile in tiles} <= stored
    for tile in tiles:
        marks = Image.open(io.BytesIO(shown[tile["marks"]])).convert("RGBA")
        assert marks.size == (96, 96)
        assert marks.getpixel((9, 30)) == (0, 0, 255, 255)  # the box of the judge
        assert marks.getpixel((30, 30))[3] == 0  # and nothing else


def test_large_images_are_thumbnails_and_small_ones_are_as_they_were(tmp_path: Path) -> None:
    small, large = (_png(Image.effect_noise(size, 40)) for size in ((128, 96), (1024, 512)))
    assert thumbnail(small) == (small, "image/png")
    data, kind = thumbnail(large)
    assert (kind, Image.open(io.BytesIO(data)).format) == ("image/webp", "WEBP")
    assert Image.open(io.BytesIO(data)).size == (256, 128)


def test_an_image_is_in_the_page_once() -> None:
    embedded, data = EmbeddedImages(), _png(Image.new("RGB", (4, 4)))
    assert embedded.add_image(data) == embedded.add_image(data) == 0
    assert len(embedded.uris) == 1


def test_the_page_is_named_for_those_who_do_not_see_it(text: str) -> None:
    page = Page(text)
    assert page.tags.count("h1") == 1
    assert {"header", "main", "form", "dialog"} <= set(page.tags)
    assert all(alt is not None for alt in page.alts)
    assert len(page.ids) == len(set(page.ids))
    assert re.search(r'<a class="skip" href="#main">', text)


def test_the_page_without_the_library_stays_small(text: str) -> None:
    (library,) = (code for name, code in Page(text).scripts if name == "chart-library")
    assert len(text) - len(library) < 2_000_000


def test_prompts_are_data_and_not_markup(text: str) -> None:
    page = Page(text)
    prompts = [one["text"] for one in page.data["wall-rows"][0]["prompts"]]
    assert "a photo of counting no. 5 & <b>more</b>" in prompts
    assert "<b>more</b>" not in text


def test_a_row_is_the_same_prompt_and_noise_for_every_checkpoint(stages: list[Path], store: Path) -> None:
    group = group_runs(load_runs(stages))[0]
    found = wall(group, StoredImages(store), 0)
    assert found.columns == ("low_res", "high_res", "hq_tuning", "ceiling 64 px")
    assert [(found.prompts[row["prompt"]]["id"], row["index"]) for row in found.rows] == [
        (f"{number:05d}", index) for number in range(12) for index in range(2)
    ]
    for row in found.rows:
        place = (found.prompts[row["prompt"]]["id"], row["index"])
        for run, tile in zip(group.runs, row["tiles"], strict=True):
            (score,) = (s for s in run.scores if (s.item_id, s.index) == place)
            assert tile["state"] == ("right" if score.value else "wrong")
            assert (tile["reason"] == "expected disc>=1, found 0") == (score.value == 0)


@pytest.mark.parametrize(("asked", "rows"), [(None, 18), (0, 24), (6, 6), (7, 7), (1000, 24)])
def test_as_many_images_a_checkpoint_as_were_asked_for(
    stages: list[Path], store: Path, asked: int | None, rows: int
) -> None:
    found = wall(group_runs(load_runs(stages))[0], StoredImages(store), asked)
    assert dict(found.sets)["sample"] == rows


def test_the_sample_is_balanced_by_task_and_verdict() -> None:
    items = [Item(id=f"{n:03d}", prompt="p", task="ab"[n % 2]) for n in range(100)]
    places = {(item.id, 0): item for item in items}
    scores = {
        place: Score(item_id=place[0], task=item.task, index=0, value=float(int(place[0]) % 10 < 3))
        for place, item in places.items()
    }
    chosen = sample(places, scores, 12)
    assert chosen == sorted(chosen)
    assert [items[int(name)].task for name, _ in chosen].count("a") == 6
    assert sum(scores[place].value for place in chosen) == 6


def test_missing_images_say_why(make_run: MakeRun, store: Path) -> None:
    run = make_run()
    key, gone = (json.loads(line)["key"] for line in (run / "plan.jsonl").read_text().splitlines()[:2])
    (store / key[:2] / f"{key}.png").write_bytes(b"other bytes")
    (store / gone[:2] / f"{gone}.png").unlink()
    lines = (run / "verdicts.jsonl").read_text().splitlines()
    (run / "verdicts.jsonl").write_text("".join(f"{line}\n" for line in lines[:-2]))
    scores = (run / "scores.jsonl").read_text().splitlines()
    (run / "scores.jsonl").write_text("".join(f"{line}\n" for line in scores[:-2]))
    (run / "results.jsonl").write_text("")
    failures = [
        {"item_id": "00011", "index": 0, "key": None, "step": "generate", "reason": "out of <memory>"},
        {"item_id": "00011", "index": 1, "key": None, "step": "judge", "reason": "no answer"},
    ]
    (run / "failures.jsonl").write_text("".join(f"{json.dumps(one)}\n" for one in failures))
    found = wall(group_runs(load_runs([run]))[0], StoredImages(store), 0)
    first, second, *_, failed, unjudged = (row["tiles"][0] for row in found.rows)
    assert first["why"] == f"file altered since it was judged: {key[:2]}/{key[:12]}….png"
    assert second["why"] == f"file gone: {gone[:2]}/{gone[:12]}….png"
    assert (failed["image"], failed["why"], failed["state"]) == (None, "failed: out of <memory>", "none")
    assert unjudged["image"] is not None
    assert unjudged["said"] == "no verdict: no answer"
    assert found.absent == 3
    assert ("failed", 2) in found.sets


def test_a_report_whose_images_are_gone_is_still_whole(
    make_run: MakeRun, store: Path, tmp_path: Path
) -> None:
    (path,) = html.render([make_run(keep_images=False)], tmp_path / "out", store)
    page = Page(path.read_text(encoding="utf-8"))
    assert "None of the judged images is in the image store" in page.text
    assert all(
        tile["why"].startswith("file gone: ")
        for row in page.data["wall-rows"][0]["rows"]
        for tile in row["tiles"]
    )


def test_the_lowest_prompts_and_the_largest_changes(make_run: MakeRun) -> None:
    runs = [make_run("low_res", 1000, 0.3, images=4), make_run("hq_tuning", 2500, 0.8, images=4)]
    group = group_runs(load_runs(runs))[0]
    means: list[dict[str, float]] = []
    for run in group.stages:
        of: dict[str, list[float]] = {}
        for score in run.scores:
            of.setdefault(score.item_id, []).append(score.value)
        means.append({name: sum(values) / 4 for name, values in of.items()})
    lowest, before, gains, *losses = listings(group)
    for listing, mean in ((lowest, means[1]), (before, means[0])):
        expected = sorted(mean, key=lambda name: (mean[name], name))[:5]
        assert [entry.item_id for entry in listing.entries] == expected
        assert [entry.value for entry in listing.entries] == [f"{mean[name]:.3f}" for name in expected]
        assert listing.entries[0].counts == f"{round(4 * mean[expected[0]])} of 4 right"
    change = {name: means[1][name] - means[0][name] for name in means[0]}
    assert [entry.item_id for entry in gains.entries] == sorted(
        (name for name in change if change[name] > 0), key=lambda name: (-change[name], name)
    )[:5]
    assert [entry.item_id for one in losses for entry in one.entries] == sorted(
        (name for name in change if change[name] < 0), key=lambda name: (change[name], name)
    )[:5]


def test_a_prompt_that_is_right_in_all_images_is_not_among_the_lowest(make_run: MakeRun) -> None:
    group = group_runs(load_runs([make_run("hq_tuning", 1000, 0.95, images=1)]))[0]
    wrong = {score.item_id for score in group.stages[0].scores if score.value < 1}
    assert 0 < len(wrong) < 5
    (lowest,) = listings(group)
    assert {entry.item_id for entry in lowest.entries} == wrong


def test_curves_hold_every_metric_and_stages_that_count_from_zero_have_a_panel_each(
    make_run: MakeRun,
) -> None:
    apart = [make_run("low_res", 100), make_run("high_res", 100), make_run("hq_tuning", 50)]
    on = [make_run("low_res", 100), make_run("high_res", 200), make_run("hq_tuning", 250)]
    first, second = (curves(group_runs(load_runs(runs))[0]) for runs in (apart, on))
    assert first is not None
    assert second is not None
    assert [chart.title for chart in first.panels] == [
        f"training step in {stage}" for stage in ("low_res", "high_res", "hq_tuning")
    ]
    (chart,) = second.panels
    assert chart.title == "training step"
    assert second.metrics[:2] == ("overall", "single_object")
    values = [
        row for layer in chart.spec["layer"] for row in layer.get("data", chart.spec.get("data"))["values"]
    ]
    assert {row["step"] for row in values} == {100, 200, 250}
    assert {row["metric"] for row in values} == set(second.metrics)
    assert curves(group_runs(load_runs([make_run()]))[0]) is None


def test_several_benchmarks_are_answered_in_one_table(make_run: MakeRun, store: Path) -> None:
    def another(found: list) -> list:  # type: ignore[type-arg]
        return [metric("other", [Score(item_id="a", task="t", index=0, value=0.25)])]

    stages = [make_run("low_res"), make_run("hq_tuning", 2500, 0.9)]
    other = make_run("hq_tuning", 2500, subset="1 per task", metrics=another, protocol="official")
    sections = document([*stages, other], store).sections
    table = across(sections)
    assert table is not None
    shown = [
        [column.shows(cell) for column, cell in zip(table.columns, row.cells, strict=True)]
        for row in table.rows
    ]
    assert [row[0] for row in shown] == ["low_res", "hq_tuning"]
    assert [row[2] for row in shown] == ["—", "0.250"]
    assert [row.cells[1].link for row in table.rows] == [f"#{sections[0].anchor}"] * 2
    assert table.footnotes[0].text == "subset: 1 per task"
    assert across(sections[:1]) is None


def test_every_manifest_can_be_taken_along(stages: list[Path], text: str) -> None:
    files = [
        base64.b64decode(source.partition(",")[2])
        for _, source in Page(text).sources
        if source.startswith("data:application/json;base64,")
    ]
    assert sorted(files) == sorted((run / "manifest.json").read_bytes() for run in stages)


def test_a_reason_names_what_was_not_found() -> None:
    def verdict(output: dict) -> Verdict:  # type: ignore[type-arg]
        return Verdict(item_id="a", index=0, image_sha256="0" * 64, judge="j", output=output)

    answers = verdict({"answers": {"Is it red?": "yes", "Is it round?": "no"}})
    assert reason(answers, {}) == "Is it round? no"
    assert reason(answers, {"reason": "one\ntwo"}) == "one; two"
    phrases = verdict(
        {"phrases": [{"text": "a star", "yes_probability": 0.5}, {"text": "b", "yes_probability": None}]}
    )
    assert reason(phrases, {}) == "a star 0.50"
    assert reason(verdict({}), {}) == ""
    many = verdict({"answers": {f"q{n}": "no" for n in range(9)}})
    assert reason(many, {}) == "q0 no; q1 no; q2 no; q3 no; and 5 more"


#: Pairs of ink and paper that text or controls are drawn with, and the least contrast (WCAG 2.2 AA).
PAIRS = [
    *(
        (ink, paper, 4.5)
        for ink in ("ink", "muted", "accent", "ceiling", "right", "wrong")
        for paper in ("paper",)
    ),
    ("ink", "soft", 4.5),
    ("muted", "soft", 4.5),
    ("warn-ink", "warn-paper", 4.5),
    ("control", "paper", 3.0),
]


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize(("ink", "paper", "least"), PAIRS)
def test_colours_can_be_read(scheme: int, ink: str, paper: str, least: float) -> None:
    style = (resources.files("reports") / "templates" / "report.css").read_text(encoding="utf-8")
    block = re.findall(r":root \{(.*?)\}", style, re.DOTALL)[scheme]
    colors = dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6})", block))
    light, dark = sorted((_luminance(colors[ink]), _luminance(colors[paper])), reverse=True)
    assert (light + 0.05) / (dark + 0.05) >= least


def _luminance(color: str) -> float:
    """Relative luminance of an sRGB colour (WCAG 2.2)."""
    parts = [int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _png(image: Image.Image) -> bytes:
    out = io.BytesIO()
    image.convert("RGB").save(out, format="PNG")
    return out.getvalue()


def report(run: Path, out: Path, asked: str) -> int:
    with (
        mock.patch("sys.argv", ["lumina-eval", "report", str(run), "--out", str(out), f"--gallery={asked}"]),
        pytest.raises(SystemExit) as ended,
    ):
        cli.main()
    return int(ended.value.code or 0)


def test_the_command_says_how_many_images(make_run: MakeRun, tmp_path: Path) -> None:
    run, counts = make_run(), []
    for asked in ("3", "all"):
        out = tmp_path / asked
        assert report(run, out, asked) == 0
        page = Page((out / "report.html").read_text(encoding="utf-8"))
        counts.append(sum("sample" in row["sets"] for row in page.data["wall-rows"][0]["rows"]))
    assert counts == [3, 24]


@pytest.mark.parametrize("asked", ["0", "-3", "many", "1.5"])
def test_a_number_of_images_that_is_none_is_explained(
    make_run: MakeRun, tmp_path: Path, asked: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert report(make_run(), tmp_path / "o", asked) == 2
    assert "--gallery" in capsys.readouterr().err
    assert not (tmp_path / "o").exists()
