"""How long a page of many images takes to be ready: ``python tests/report_speed.py [IMAGES]``.

Makes a run of so many 64-pixel images (2,000 if not said) and its report with all of them, opens it in a
headless Chromium from disk, and prints the page's weight and the seconds to each state. Needs Chromium.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import chromium
import wall_world

from reports.page import html

#: In the page: asks for one prompt and waits until what matches is drawn; seconds.
FILTER = """new Promise(done => {
  const field = document.querySelector('.filters [name=text]');
  const start = performance.now();
  field.value = 'number 77';
  field.dispatchEvent(new Event('input', {bubbles: true}));
  requestAnimationFrame(() => setTimeout(() => done((performance.now() - start) / 1000), 0));
})"""


def main(images: int) -> None:
    """Print the measurements."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        texts = [f"a picture with the number {number}" for number in range(images // 2)]
        runs = wall_world.write_runs(folder, texts, ("early", "late"))
        start = time.monotonic()
        (path,) = html.render(runs, folder / "out", folder / "images", gallery=0)
        print(f"report written         {time.monotonic() - start:6.2f} s")
        print(f"page                   {path.stat().st_size / 1e6:6.2f} MB, {images} images")
        with chromium.chromium() as browser:
            page = browser.page()
            page.go(path.as_uri())
            page.wait("document.documentElement.classList.contains('charts-drawn')")
            for title, value in (
                ("DOM content loaded", "domContentLoadedEventEnd"),
                ("loaded", "loadEventEnd"),
            ):
                taken = page.evaluate(f"performance.getEntriesByType('navigation')[0].{value} / 1000")
                print(f"{title:22} {taken:6.2f} s")
            first = page.evaluate(
                "performance.getEntriesByName('first-contentful-paint')[0]?.startTime / 1000"
            )
            if first:
                print(f"first paint            {first:6.2f} s")
            print(f"filter answered        {page.promised(FILTER):6.2f} s")
            rows = page.evaluate("document.querySelectorAll('.rows > li').length")
            print(f"rows that match        {rows:6d}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 2000)
