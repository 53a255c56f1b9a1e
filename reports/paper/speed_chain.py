"""Figure 11: seconds for an image, one change after the other, as the paper has them and as measured here."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from reports.paper.drawing import COLOURS, STYLE, below, label, save
from reports.paper.measurements import Measured, measurements
from reports.paper.published_figures import Bar, SpeedChain
from reports.paper.published_files import read

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def figure11(inputs: Sequence[Path], out: Path) -> list[Path]:
    """Draw the published chain, and below it, on a scale of their own, measurements of the reader's devices.

    ``inputs`` may hold files ``measurements.jsonl`` of ``lumina-eval efficiency``; runs have nothing to add.
    Each bar says its seconds and how many times faster it is than the one above. Returns an SVG and a PDF.
    """
    import matplotlib
    from matplotlib.figure import Figure

    chain = read("figure11", SpeedChain)
    found = measurements(inputs)
    devices = list(dict.fromkeys(one.device for one in found))
    own = [[one for one in found if one.device == device] for device in devices]
    heights = [len(chain.bars), *(len(part) for part in own)]
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(4.8, 1.1 + 0.3 * sum(heights) + 0.5 * len(own)), layout="constrained")
        panels = figure.subplots(len(heights), squeeze=False, height_ratios=[one + 1 for one in heights])[
            :, 0
        ]
        _bars(panels[0], [bar.label for bar in chain.bars], [bar.seconds for bar in chain.bars],
              [_published(bar) for bar in chain.bars])  # fmt: skip
        panels[0].set(title="as published", xlabel=f"seconds for an image ({chain.conditions})")
        for axes, part in zip(panels[1:], own, strict=True):
            _bars(axes, [label(one.label) for one in part], [one.seconds for one in part], _texts(part))
            axes.set(title="your measurements: not comparable with the paper's seconds")
            axes.set(xlabel=f"seconds for an image ({label(part[0].device, 60)})")
        below(figure, f"{chain.source}. {' '.join(chain.notes)}")
        return save(figure, out, chain.name)


def _bars(axes: Axes, names: Sequence[str], seconds: Sequence[float], texts: Sequence[str]) -> None:
    places = range(len(names))
    drawn = axes.barh(places, seconds, color=COLOURS[0], height=0.6)
    axes.set_yticks(places, names)
    axes.bar_label(drawn, texts, padding=3, fontsize=7)
    axes.invert_yaxis()
    axes.grid(axis="y", visible=False)
    axes.margins(x=0.6)
    axes.set_xlim(left=0)


def _published(bar: Bar) -> str:
    scores = [f"GenEval {bar.geneval:.2f}"] if bar.geneval is not None else []
    scores += [f"DPG {bar.dpg:.1f}"] if bar.dpg is not None else []
    faster = "" if bar.faster is None else f", {bar.faster:.2f}×"
    return f"{bar.seconds:.1f} s{faster}" + (f" ({', '.join(scores)})" if scores else "")


def _texts(part: Sequence[Measured]) -> list[str]:
    ratios = ["", *(f", {a.seconds / b.seconds:.2f}×" for a, b in itertools.pairwise(part))]
    return [f"{one.seconds:.3g} s{ratio}" for one, ratio in zip(part, ratios, strict=True)]
