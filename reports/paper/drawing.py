"""Figures for a paper: matplotlib without any state of its own, the same bytes for the same data."""

from __future__ import annotations

import functools
import io
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from lumina_eval.files import write_atomic
from reports.plain_text import code, short

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Colours that differ in lightness too, for grey prints (Okabe and Ito).
COLOURS: Final = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
#: Of the small text below a figure, in an inch.
CHARACTERS: Final = 22
STYLE: Final[dict[str, Any]] = {
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.linewidth": 0.4,
    "grid.color": "#dddddd",
    "legend.frameon": False,
    "legend.fontsize": 7,
    "lines.linewidth": 1.2,
    "svg.hashsalt": "lumina-eval",
    "pdf.fonttype": 42,
}


def save(figure: Figure, out: Path, name: str) -> list[Path]:
    """Write ``name.svg`` and ``name.pdf`` to folder ``out``."""
    import matplotlib

    dates = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}
    paths = []
    for kind, metadata in dates.items():
        stream = io.BytesIO()
        with matplotlib.rc_context(STYLE):
            figure.savefig(stream, format=kind, metadata=metadata, bbox_inches="tight")
        paths.append(Path(out) / f"{name}.{kind}")
        write_atomic(paths[-1], stream.getvalue())
    return paths


def below(figure: Figure, text: str) -> None:
    """Write a small text below the figure, in as many lines as it takes."""
    wide = round(figure.get_figwidth() * CHARACTERS)
    figure.supxlabel(textwrap.fill(text, wide), fontsize=6, color="#555555")


def label(text: str, longest: int = 40) -> str:
    """Return a text as matplotlib shows it as it stands: cut, no formula, codes for what the font lacks."""
    known = _characters()
    signs = (sign if ord(sign) in known else code(sign) for sign in short(text, longest))
    return "".join(signs).replace("$", r"\$")


@functools.cache
def _characters() -> frozenset[int]:
    from matplotlib.font_manager import findfont
    from matplotlib.ft2font import FT2Font

    return frozenset(FT2Font(findfont("DejaVu Sans")).get_charmap())
