"""Figures as SVG elements that stand within a page or in a file of their own.

Colours are written as placeholders and put in last: CSS variables within the page, so that figures follow its
light or dark theme, and plain colours in a file.
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from typing import Any, Final

from matplotlib.figure import Figure

from lumina_eval.digests import sha256_bytes

#: Placeholder in the SVG, CSS variable in the page, colour in a file: one line for each role.
ROLES: Final[dict[str, tuple[str, str, str]]] = {
    "ink": ("#010101", "var(--ink)", "#1b1f24"),
    "muted": ("#020202", "var(--muted)", "#5b6470"),
    "line": ("#030303", "var(--line)", "#d8dde3"),
    "accent": ("#040404", "var(--accent)", "#1f5fa8"),
    "ceiling": ("#050505", "var(--ceiling)", "#8a6d1f"),
}
INK, MUTED, LINE, ACCENT, CEILING = (roles[0] for roles in ROLES.values())

#: Settings of all figures: text stays text, ids depend on the content alone.
STYLE: Final[Mapping[str, Any]] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "lumina-eval",
    "text.parse_math": False,  # a name may hold a dollar sign
    "font.size": 9,
    "axes.edgecolor": LINE,
    "axes.labelcolor": MUTED,
    "axes.titlecolor": INK,
    "axes.titlesize": 9,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": LINE,
    "grid.linewidth": 0.6,
    "xtick.color": LINE,
    "ytick.color": LINE,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": MUTED,
    "text.color": INK,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
}


def element(figure: Figure) -> str:
    """Return the bare SVG element, scalable, without the declarations that name outside addresses."""
    out = io.StringIO()
    figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    text = out.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'\sxmlns(:\w+)?="[^"]*"', "", text)
    text = text.replace("xlink:href", "href")
    text = re.sub(r'(<svg[^>]*?)\swidth="[^"]*"', r"\1", text, count=1)
    text = re.sub(r'(<svg[^>]*?)\sheight="[^"]*"', r"\1", text, count=1)
    text = re.sub(r"'DejaVu Sans'(, [^;\"]*)?", "system-ui, sans-serif", text)
    text = text.replace('<style type="text/css">*{', "<style>svg *{")  # within the figure, not the page
    return _own_ids(text.strip())


def in_page(svg: str) -> str:
    """Return an SVG element for an HTML page: theme colours, the page's font, no outside names."""
    for placeholder, variable, _ in ROLES.values():
        svg = svg.replace(placeholder, variable)
    return svg


def in_file(svg: str) -> str:
    """Return the SVG as a file of its own, in plain colours on white."""
    for placeholder, _, color in ROLES.values():
        svg = svg.replace(placeholder, color)
    start = svg.index(">") + 1
    opened = svg[: start - 1] + ' xmlns="http://www.w3.org/2000/svg">'
    return f'{opened}<rect width="100%" height="100%" fill="#ffffff"/>{svg[start:]}\n'


def _own_ids(svg: str) -> str:
    """Keep only ids that something points to, and make them differ from those of any other figure."""
    used = set(re.findall(r'href="#([^"]+)"|url\(#([^)]+)\)', svg))
    names = {name for pair in used for name in pair if name}
    prefix = f"f{sha256_bytes(svg.encode())[:8]}-"
    svg = re.sub(
        r'\sid="([^"]*)"', lambda found: f' id="{prefix}{found[1]}"' if found[1] in names else "", svg
    )
    svg = re.sub(r'href="#([^"]+)"', rf'href="#{prefix}\1"', svg)
    return re.sub(r"url\(#([^)]+)\)", rf"url(#{prefix}\1)", svg)
