"""Markdown of the repository as pages of the site, with links that lead to where the pages stand there.

Links between files are written as GitHub reads them, relative to the file. Here each is turned to the page
that the file has become; a link to a file that is no page (code, the licence) leads to a page that shows it.
"""

from __future__ import annotations

import os
import re
from pathlib import Path, PurePosixPath
from typing import Final

import mkdocs_gen_files

ROOT: Final = Path(__file__).parents[2]
#: Pages that do not lie in docs/: file of the repository to place on the site.
ELSEWHERE: Final = {
    "README.md": "readme.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "lumina_model/embedded/MODEL_CARD.md": "cards/embedded.md",
    "benchmarks/tabletop/extractor/weights/MODEL_CARD.md": "cards/extractor.md",
    **{
        card.relative_to(ROOT).as_posix(): f"benchmarks/{card.parent.name}.md"
        for card in sorted((ROOT / "benchmarks").glob("*/CARD.md"))
    },
}
FENCE: Final = re.compile(r"(^ *```.*?^ *```$)", re.MULTILINE | re.DOTALL)
LINK: Final = re.compile(r"(\]\()([^)#\s]+)((?:#[^)\s]*)?\))")
LANGUAGES: Final = {".py": "python", ".toml": "toml", ".json": "json"}


def place_of(file: str) -> str:
    """Return where a file of the repository stands on the site."""
    if file in ELSEWHERE:
        return ELSEWHERE[file]
    if file.startswith("docs/") and not file.startswith("docs/site/"):
        return file.removeprefix("docs/")
    return f"source/{file}.md"


def with_links(text: str, file: str, shown: set[str]) -> str:
    """Return ``text`` of ``file`` with links for the site; files that are no pages are added to ``shown``.

    Raises FileNotFoundError for a link to nothing.
    """
    page = PurePosixPath(place_of(file))

    def turned(link: re.Match[str]) -> str:
        address = link[2]
        if "://" in address or address.startswith("mailto:"):
            return link[0]
        target = os.path.normpath(PurePosixPath(file).parent / address).replace(os.sep, "/")
        if not (ROOT / target).is_file():
            raise FileNotFoundError(f"{file} links to {address}: there is no file {target}")
        place = place_of(target)
        if place.startswith("source/"):
            shown.add(target)
        return f"{link[1]}{os.path.relpath(place, page.parent).replace(os.sep, '/')}{link[3]}"

    parts = FENCE.split(text)
    return "".join(part if FENCE.fullmatch(part) else LINK.sub(turned, part) for part in parts)


def write_pages() -> None:
    """Write every page, then those that show code."""
    ours = sorted(path for path in (ROOT / "docs").rglob("*.md"))
    files = [*ELSEWHERE, *(path.relative_to(ROOT).as_posix() for path in ours)]
    shown: set[str] = set()
    for file in files:
        text = with_links((ROOT / file).read_text(encoding="utf-8"), file, shown)
        with mkdocs_gen_files.open(place_of(file), "w") as page:
            page.write(text)
    for file in sorted(shown):
        language = LANGUAGES.get(Path(file).suffix, "text")
        with mkdocs_gen_files.open(place_of(file), "w") as page:
            page.write("---\nsearch: { exclude: true }\n---\n\n")
            page.write(f"# `{file}`\n\n````{language}\n{(ROOT / file).read_text(encoding='utf-8')}````\n")


write_pages()
