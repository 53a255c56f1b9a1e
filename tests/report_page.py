"""A report's page as one reads it without a browser: text, addresses, names, the data of its scripts."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from typing import Any

from reports.renderers.html import environment
from reports.table import Table


def html_table(table: Table) -> str:
    """Render one table as the pages do."""
    return str(
        environment()
        .from_string("{% from 'table.html.j2' import table with context %}{{ table(found) }}")
        .render(found=table)
    )


class Page(HTMLParser):
    """What a browser would load, show and name."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.sources: list[tuple[str, str]] = []
        self.alts: list[str | None] = []
        self.ids: list[str] = []
        self.tags: list[str] = []
        self.text = ""
        self.data: dict[str, list[Any]] = {}
        self.scripts: list[tuple[str, str]] = []
        self._script: str | None = None
        self._within = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.tags.append(tag)
        self._within = tag
        self.sources += [
            (tag, found[name] or "") for name in ("src", "href", "srcset", "data") if name in found
        ]
        if tag == "img":
            self.alts.append(found.get("alt"))
        if found.get("id"):
            self.ids.append(found["id"] or "")
        if tag == "script":
            self._script = found.get("class") or found.get("id") or found.get("type") or ""

    def handle_endtag(self, tag: str) -> None:
        self._script, self._within = None, ""

    def handle_data(self, data: str) -> None:
        if self._script is None:
            self.text += "" if self._within == "style" else data
        elif self._script in ("spec", "wall-rows", "wall-images"):
            self.data.setdefault(self._script, []).append(json.loads(data))
        else:
            self.scripts.append((self._script, data))

    @property
    def images(self) -> list[str]:
        """Every image that the walls can show, as data URIs."""
        return [uri for wall in self.data.get("wall-images", []) for uri in wall]
