"""Pages as responses: all text in them is escaped, and their headers allow nothing from elsewhere."""

from __future__ import annotations

from importlib import resources
from typing import Any, Final

import jinja2
from starlette.responses import HTMLResponse, Response

#: Files that pages ask for, and their types.
STATIC: Final = {"arena.css": "text/css", "keys.js": "text/javascript"}
HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; img-src 'self' data:; style-src 'self'; "
    "script-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


class Pages:
    """Renders the templates of this package."""

    def __init__(self) -> None:
        self._environment = jinja2.Environment(
            loader=jinja2.PackageLoader("benchmarks.arena.serve"),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        folder = resources.files("benchmarks.arena.serve") / "templates"
        self._static = {name: (folder / name).read_bytes() for name in STATIC}

    def page(self, template: str, status: int = 200, **values: Any) -> HTMLResponse:
        """Return a page; prompts and names in ``values`` come out as text."""
        text = self._environment.get_template(f"{template}.html.j2").render(**values)
        return HTMLResponse(text, status, HEADERS)

    def static(self, name: str) -> Response:
        """Return the style sheet or the script."""
        if name not in STATIC:
            return self.page("refused", 404, reason="There is no such file.")
        headers = {**HEADERS, "Cache-Control": "no-cache"}
        return Response(self._static[name], media_type=STATIC[name], headers=headers)
