"""The leaderboard in a browser: sorted by its buttons and by the keyboard, filtered, quiet and offline."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from chromium import FOUND, chromium

from reports.leaderboard.entries import gather
from reports.leaderboard.site import write_site

pytestmark = pytest.mark.skipif(FOUND is None, reason="no Chromium here")

ROWS = "[...document.querySelectorAll('tbody.measured tr[data-run]')]"
NAMES = f"{ROWS}.map(row => row.querySelector('th bdi').textContent)"


@pytest.fixture(autouse=True)
def _nothing_to_find(monkeypatch: pytest.MonkeyPatch) -> None:
    """The runs of these tests are made up, and no rules give their numbers."""
    monkeypatch.setattr("reports.leaderboard.entries.check_receipt", lambda *_: [])


@pytest.fixture
def page(make_run: Callable[..., Path], tmp_path: Path) -> Iterator[Any]:
    stages = [make_run(stage, n, n / 3) for n, stage in enumerate(("low_res", "high_res", "hq_tuning"), 1)]
    stages.append(make_run(None, None, 1.0, model="tabletop-truth", title="ceiling 64 px"))
    quick = make_run("low_res", subset="2 per task", suite="quick")
    site = tmp_path / "site"
    write_site(gather([*stages, quick], site)[0], site, "Title")
    with chromium() as browser:
        page = browser.page()
        page.go((site / "index.html").as_uri())
        yield page


def test_sorting_and_filtering(page: Any) -> None:
    first = page.evaluate(NAMES)
    assert first[:3] == ["embedded:hq_tuning", "embedded:high_res", "embedded:low_res"]
    head = "document.querySelectorAll('#' + document.querySelector('section.board').id + ' thead th')"
    assert page.evaluate(f"{head}[3].getAttribute('aria-sort')") == "descending"
    page.evaluate(f"{head}[3].querySelector('button').click()")
    assert page.evaluate(NAMES)[:3] == first[2::-1]
    assert page.evaluate(f"{head}[3].getAttribute('aria-sort')") == "ascending"
    page.evaluate(f"{head}[2].querySelector('button').focus()")
    page.press("Enter")
    assert page.evaluate(f"{head}[2].getAttribute('aria-sort')") == "descending"
    assert page.evaluate(f"{head}[3].getAttribute('aria-sort')") is None
    assert page.evaluate(NAMES)[:3] == first[:3]  # by step, the last first
    page.evaluate(f"{head}[0].querySelector('button').click()")
    assert page.evaluate(NAMES)[:3] == first[:3]
    last = "document.querySelector('section.board table').tBodies[1].rows[0].cells[1].textContent"
    assert "ceiling" in page.evaluate(last)  # never among those that compete

    page.evaluate("document.getElementById('find').focus()")
    page.write("hq_")
    visible = "[...document.querySelectorAll('tr[data-run]')].filter(row => row.offsetParent).length"
    assert page.evaluate(visible) == 1
    assert page.evaluate("document.getElementById('shown').textContent") == "1 run"
    page.evaluate("find.value = 'nobody'; find.dispatchEvent(new Event('input'))")
    assert page.evaluate("document.getElementById('shown').textContent") == "no runs"
    page.evaluate("find.value = ''; find.dispatchEvent(new Event('input'))")
    page.evaluate("which.selectedIndex = 2; which.dispatchEvent(new Event('change'))")
    assert page.evaluate(visible) == 1
    assert "subset" in page.evaluate("document.querySelector('section.board:not([hidden])').textContent")


def test_a_run_has_a_page_and_a_phone_scrolls_no_page_sideways(page: Any) -> None:
    page._send("Emulation.setDeviceMetricsOverride", width=390, height=800, deviceScaleFactor=1, mobile=True)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.evaluate("document.querySelector('tbody th a').click()")
    page.wait("document.querySelector('#receipt') && document.readyState === 'complete'")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert "lumina-eval receipt check" in page.evaluate("document.body.innerText")
    assert (
        page.evaluate(
            "performance.getEntriesByType('resource').filter(r => !r.name.startsWith('file:')).length"
        )
        == 0
    )
