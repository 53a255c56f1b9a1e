"""Links between the Markdown files, as GitHub follows them: files and headings are there."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FENCE = re.compile(r"^ *```.*?^ *```$", re.MULTILINE | re.DOTALL)


def documents() -> list[Path]:
    """Every Markdown file that git knows or would take."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z", "*.md"]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False).stdout
    return [path for name in sorted(found.split("\0")) if name and (path := ROOT / name).is_file()]


def anchors(path: Path) -> set[str]:
    """Return the anchors that GitHub gives the headings of a file."""
    headings = re.findall(r"^#+ +(.+?) *$", FENCE.sub("", path.read_text(encoding="utf-8")), re.MULTILINE)
    plain = (re.sub(r"\[([^]]*)\]\([^)]*\)|[`*]", r"\1", heading) for heading in headings)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in plain}


@pytest.mark.parametrize("document", documents(), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(document: Path) -> None:
    wrong = []
    for file, anchor in re.findall(
        r"\]\(([^)#\s]*)#?([^)\s]*)\)", FENCE.sub("", document.read_text("utf-8"))
    ):
        target = document if not file else (document.parent / file).resolve()
        if "://" in file or file.startswith("mailto:"):
            continue
        if not target.is_file() or (anchor and anchor not in anchors(target)):
            wrong.append(f"{file}#{anchor}")
    assert not wrong


def test_every_decision_is_in_the_index() -> None:
    index = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    assert [path.name for path in (ROOT / "docs" / "adr").glob("*.md") if path.name not in index] == []


def test_every_page_is_in_the_menu_of_the_site() -> None:
    menu = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    pages = [path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")]
    cards = [f"benchmarks/{path.parent.name}.md" for path in (ROOT / "benchmarks").glob("*/CARD.md")]
    assert [page for page in [*pages, *cards] if page not in menu] == []
