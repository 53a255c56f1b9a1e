"""The page in a real browser: filters, lightbox and charts by keys and mouse, and texts that stay texts."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import chromium
import pytest
from wall_world import HOSTILE, TASKS, write_runs

from reports.loading import RunView, load_run
from reports.page import html

pytestmark = pytest.mark.skipif(chromium.FOUND is None, reason="no Chromium on this machine")

PLAIN = [f"a picture with number {number}" for number in range(40)]
PROMPTS = [*PLAIN[:8], *HOSTILE, *PLAIN[8:]]
CHECKPOINTS = ("early", "<img src=x onerror=window.hacked=9>", "late")
DRAWN = "document.documentElement.classList.contains('charts-drawn')"
ROWS = "document.querySelectorAll('.rows > .row').length"


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[RunView]:
    return [
        load_run(run) for run in write_runs(tmp_path_factory.mktemp("walls"), PROMPTS, CHECKPOINTS, images=2)
    ]


@pytest.fixture(scope="module")
def file(runs: list[RunView]) -> Path:
    folder = runs[0].folder.parents[1]
    gone = runs[0].keys["00000", 0]
    (folder / "images" / gone[:2] / f"{gone}.png").unlink()
    (path,) = html.render([run.folder for run in runs], folder / "out", folder / "images", gallery=0)
    return path


@pytest.fixture(scope="module")
def browser() -> Iterator[chromium.Chromium]:
    with chromium.chromium() as found:
        yield found


@pytest.fixture
def page(browser: chromium.Chromium, file: Path) -> chromium.Page:
    found = browser.page()
    found.watch()
    found.look(1200, 900)
    found.go(file.as_uri())
    found.wait(DRAWN)
    found.wait(f"{ROWS} === {2 * len(PROMPTS)}")
    return found


def choose(page: chromium.Page, name: str, value: str) -> None:
    """Set a filter as a script would; keys are tested for themselves."""
    page.evaluate(
        f"(() => {{ const field = document.querySelector('.filters [name={name}]');"
        f" field.value = {json.dumps(value)};"
        " field.dispatchEvent(new Event('input', {bubbles: true})); })()"
    )


def texts(page: chromium.Page, selector: str) -> list[str]:
    found: list[str] = page.evaluate(
        f"[...document.querySelectorAll('{selector}')].map(one => one.textContent)"
    )
    return found


def test_the_page_says_nothing_on_the_console_and_asks_nothing_of_a_network(
    page: chromium.Page, file: Path
) -> None:
    page.look(1200, 6000)
    page.wait(
        "[...document.querySelectorAll('.rows img.picture[src]')].filter(one => one.naturalWidth).length > 9"
    )
    page.press("Tab")
    assert page.noted() == [f"request: {file.as_uri()}"]


def test_hostile_texts_stay_texts(page: chromium.Page) -> None:
    assert page.evaluate("window.hacked") is None
    shown = texts(page, ".rows .prompt")
    expected = [text for task in range(len(TASKS)) for text in PROMPTS[task :: len(TASKS)] for _ in range(2)]
    assert shown == expected
    alts = page.evaluate(
        "[...document.querySelectorAll('.rows .open')].map(one => one.querySelector('img')?.alt)"
    )
    assert [alt for alt in alts if alt is not None] == [text for text in expected for _ in range(3)][1:]
    foreign = "script, style, a, svg, iframe, form, input"
    assert (
        page.evaluate(
            f"document.querySelectorAll('.rows :is({foreign}), #lightbox :is(a, svg, script)').length"
        )
        == 0
    )
    assert page.evaluate("document.querySelectorAll('img[onerror], [onload], [onclick]').length") == 0
    assert texts(page, ".rows figcaption b")[:3] == list(CHECKPOINTS)
    assert CHECKPOINTS[1] in page.evaluate("document.querySelector('figure.table').innerText")


@pytest.mark.parametrize("number", range(len(HOSTILE)))
def test_a_hostile_prompt_can_be_sought_and_looked_at(page: chromium.Page, number: int) -> None:
    choose(page, "text", HOSTILE[number].strip()[:40].split("\n")[0])
    page.wait(f"{ROWS} === 2")
    page.click(".rows .open")
    page.wait("document.getElementById('lightbox').open")
    assert page.evaluate("document.querySelector('#lightbox-prompt').textContent") == HOSTILE[number]
    assert page.evaluate("window.hacked") is None
    box = "document.getElementById('lightbox')"
    assert page.evaluate(f"{box}.scrollWidth <= {box}.clientWidth")


def test_filters_by_keyboard(page: chromium.Page, runs: list[RunView]) -> None:
    page.evaluate("document.querySelector('.filters [name=task]').focus()")
    page.press("ArrowDown")
    asked = [n for n in range(len(PROMPTS)) if n % len(TASKS) == 0]
    page.wait(f"{ROWS} === {2 * len(asked)}")
    assert texts(page, ".rows .task") == [TASKS[0].replace("_", " ")]
    page.press("Tab")
    page.press("ArrowDown")
    page.press("ArrowDown")  # wrong
    wrong = [{(s.item_id, s.index) for s in run.scores if s.value == 0} for run in runs]
    of_task = {(f"{n:05d}", index) for n in asked for index in range(2)}
    page.wait(f"{ROWS} === {len(of_task & set.union(*wrong))}")
    page.press("Tab")
    page.write("NUMBER 1")
    sought = {(f"{n:05d}", index) for n in asked for index in range(2) if "number 1" in PROMPTS[n]}
    page.wait(f"{ROWS} === {len(sought & set.union(*wrong))}")
    page.press("Tab")  # the first checkpoint
    page.press(" ")
    page.wait(f"{ROWS} === {len(sought & (wrong[1] | wrong[2]))}")
    said = page.evaluate("document.querySelector('.status').textContent")
    assert (
        said
        == f"{len(sought & (wrong[1] | wrong[2]))} rows, {2 * len(sought & (wrong[1] | wrong[2]))} images"
    )
    choose(page, "text", "nothing is called this")
    page.wait(f"{ROWS} === 0")
    assert page.evaluate("document.querySelector('.status').textContent") == "Nothing matches."


def test_rows_on_which_checkpoints_differ(page: chromium.Page, runs: list[RunView]) -> None:
    values = [{(s.item_id, s.index): s.value for s in run.scores} for run in runs]
    differ = [place for place in values[0] if len({value[place] for value in values}) > 1]
    choose(page, "state", "differ")
    page.wait(f"{ROWS} === {len(differ)}")


def test_a_listed_prompt_leads_to_its_images(page: chromium.Page, runs: list[RunView]) -> None:
    item = page.evaluate("document.querySelector('.find').dataset.item")
    page.evaluate("document.querySelector('.find').focus()")
    page.press("Enter")
    page.wait(f"{ROWS} === 2")
    assert texts(page, ".rows .prompt") == [runs[0].items[item].prompt] * 2
    assert page.evaluate("document.activeElement.name") == "text"


def test_a_missing_image_is_a_place_that_says_why(page: chromium.Page, runs: list[RunView]) -> None:
    choose(page, "state", "missing")
    page.wait(f"{ROWS} === 1")
    key = runs[0].keys["00000", 0]
    assert texts(page, ".rows .why") == [f"file gone: {key[:2]}/{key[:12]}….png"]
    page.click(".rows .open")
    assert page.evaluate("document.querySelector('#lightbox .why').textContent").startswith("file gone")
    assert page.evaluate("document.querySelector('#lightbox .picture').hidden")


def test_the_lightbox_by_keyboard(page: chromium.Page) -> None:
    place = "document.querySelector('#lightbox .place').textContent"
    checkpoint = "document.querySelector('#lightbox .checkpoint').textContent"
    page.evaluate("document.querySelectorAll('.rows .open')[1].focus()")
    page.press("Enter")
    page.wait("document.getElementById('lightbox').open")
    total = 3 * 2 * len(PROMPTS)
    assert page.evaluate(place) == f"2 of {total} · 00000, image 0"  # as in 0000.png
    page.wait("document.querySelector('#lightbox .picture').naturalWidth === 64")
    assert page.evaluate("document.querySelector('#lightbox .picture').alt") == PROMPTS[0]
    for key, expected, named in (
        ("ArrowRight", 3, 2),
        ("ArrowLeft", 2, 1),
        ("ArrowLeft", 1, 0),
        ("ArrowLeft", 1, 0),
        ("ArrowUp", 1, 0),
        ("ArrowDown", 4, 0),
        ("End", total, 2),
        ("ArrowDown", total, 2),
        ("ArrowLeft", total - 1, 1),
    ):
        page.press(key)
        assert page.evaluate(place).startswith(f"{expected} of {total} ")
        assert page.evaluate(checkpoint) == CHECKPOINTS[named]
    page.press("Escape")
    page.wait("!document.getElementById('lightbox').open")
    tile = "document.activeElement.closest('.tile')"
    assert page.evaluate(f"{tile}.querySelector('b').textContent") == CHECKPOINTS[1]
    assert page.evaluate(
        "document.activeElement.closest('.row') === document.querySelector('.rows').lastElementChild"
    )


def test_focus_is_seen_and_the_first_stop_leads_to_the_results(page: chromium.Page) -> None:
    page.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the results"
    assert page.evaluate("document.activeElement.getBoundingClientRect().left >= 0")
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.press("Enter")
    page.wait("document.activeElement.id === 'main'")


#: Labels on both axes of the curves; the order in the page is that in which they came up.
AXES = (
    "[...document.querySelectorAll('.curves .role-axis-label text')]"
    ".map(one => one.textContent).sort().join('|')"
)


def test_a_dot_of_the_curve_tells_its_numbers(page: chromium.Page, runs: list[RunView]) -> None:
    for _ in range(40):  # a page that still scrolls tells nothing
        page.point(".curves .points_marks path", 1)
        if page.evaluate("document.querySelector('#vg-tooltip-element.visible') !== null"):
            break
        time.sleep(0.1)
    told: dict[str, Any] = page.evaluate(
        "Object.fromEntries([...document.querySelectorAll('#vg-tooltip-element tr')]"
        ".map(row => [...row.cells].map(cell => cell.textContent)))"
    )
    metric = runs[1].result.metrics[0]
    assert metric.ci_seeds is not None
    assert told["checkpoint"] == CHECKPOINTS[1]
    assert page.evaluate("document.querySelector('#vg-tooltip-element td.key').offsetWidth") > 100
    assert told["step"] == "2\u202f000"
    assert told["value"] == f"{metric.value:.3f}"
    assert told["same prompts, other noise"] == f"{metric.ci_seeds[0]:.3f} to {metric.ci_seeds[1]:.3f}"
    assert told["judged"] == f"{len(PROMPTS)} prompts, {2 * len(PROMPTS)} images"
    assert page.evaluate("window.hacked") is None


def test_curves_are_zoomed_moved_and_put_back(page: chromium.Page) -> None:
    def changed(before: str) -> str:
        page.wait(f"{AXES} !== {json.dumps(before)}")
        return str(page.evaluate(AXES))

    whole = page.evaluate(AXES)
    page.evaluate("document.querySelector('[data-zoom=in]').focus()")
    page.press("Enter")
    zoomed = changed(whole)
    page.drag(".curves svg", 150)
    changed(zoomed)
    page.click("[data-zoom=reset]")
    page.wait(f"{AXES} === {json.dumps(whole)}")
    page.wheel(".curves svg", -200, ctrl=True)
    changed(whole)


def test_the_wheel_alone_scrolls_the_page(page: chromium.Page) -> None:
    before, top = page.evaluate(AXES), page.evaluate("scrollY")
    page.wheel(".curves svg", 120)
    page.wait(f"scrollY > {top}")
    assert page.evaluate(AXES) == before


def test_another_metric_is_drawn(page: chromium.Page, runs: list[RunView]) -> None:
    dots = (
        "[...document.querySelectorAll('.curves .points_marks path')]"
        ".map(one => one.getAttribute('aria-label')).join()"
    )
    before = page.evaluate(dots)
    assert "overall" in before
    page.evaluate("document.querySelector('.curves select.metric').focus()")
    page.press("ArrowDown")
    page.wait(f"{dots} !== {json.dumps(before)}")
    found = runs[2].result.metric(TASKS[0])
    assert found is not None
    assert f"{found.value:.3f}" in page.evaluate(dots)


def test_charts_are_named_for_those_who_do_not_see_them(page: chromium.Page) -> None:
    names = page.evaluate(
        "[...document.querySelectorAll('.chart')].map(one => one.getAttribute('aria-label'))"
    )
    assert len(names) == 2
    assert names[0].startswith("Score over training steps: early overall 0.")


def test_dark_paper_and_print_have_their_own_colours(page: chromium.Page) -> None:
    paper = "getComputedStyle(document.body).backgroundColor"
    line = "getComputedStyle(document.querySelector('.curves .mark-line path')).stroke"
    light = page.evaluate(paper), page.evaluate(line)
    page.look(1200, 900, dark=True)
    dark = page.evaluate(paper), page.evaluate(line)
    assert light[0] == "rgb(255, 255, 255)"
    assert dark[0] != light[0]
    assert dark[1] != light[1]
    page.look(1200, 900, media="print")
    assert page.evaluate("getComputedStyle(document.querySelector('.filters')).display") == "none"


def test_nothing_sticks_out_on_a_phone(page: chromium.Page) -> None:
    page.look(390, 800)
    page.wait("document.documentElement.scrollWidth <= 390")
    page.click(".rows .open")
    assert page.evaluate("document.getElementById('lightbox').getBoundingClientRect().width") <= 390


def test_without_script_tables_and_figures_stand(browser: chromium.Chromium, file: Path) -> None:
    page = browser.page()
    page.look(1200, 900)
    page.without_script()
    page.go(file.as_uri())
    assert page.evaluate("document.querySelectorAll('noscript svg').length") == 2
    assert page.evaluate("document.querySelector('noscript svg').getBoundingClientRect().width") > 600
    assert page.evaluate("getComputedStyle(document.querySelector('.tools')).display") == "none"
    assert page.evaluate("document.querySelector('.filters').hidden")
    assert "it takes JavaScript to look at them" in page.evaluate("document.body.innerText")


def test_two_thousand_images_are_there_and_few_are_decoded(
    browser: chromium.Chromium, tmp_path: Path
) -> None:
    many = [f"picture {number}" for number in range(1000)]
    folders = write_runs(tmp_path, many, ("early", "late"))
    (path,) = html.render(folders, tmp_path / "out", tmp_path / "images", gallery=0)
    page = browser.page()
    page.look(1200, 900)
    page.go(path.as_uri())
    page.wait(f"{ROWS} === 1000")
    decoded = "document.querySelectorAll('.rows img.picture[src]').length"
    assert page.evaluate("document.querySelectorAll('.rows img.picture').length") == 2000
    assert page.evaluate(decoded) < 100
    page.evaluate("document.querySelector('.rows').children[700].scrollIntoView()")
    page.wait("document.querySelector('.rows').children[700].querySelector('img').naturalWidth === 64")
    assert page.evaluate(decoded) < 200
    choose(page, "text", "picture 77")
    page.wait(f"{ROWS} === 11")
    assert page.evaluate("document.querySelector('.status').textContent") == "11 rows, 22 images"
