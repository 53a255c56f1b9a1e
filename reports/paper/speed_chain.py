"""Figure 11: seconds for an image, one change after the other, as the paper has them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from reports.paper.drawing import COLOURS, STYLE, below, save
from reports.paper.published import Bar, SpeedChain, read


def figure11(inputs: Sequence[Path], out: Path) -> list[Path]:
    """Draw the published chain; ``inputs`` have nothing to add, as no benchmark here measures its conditions.

    Each bar says its seconds and how many times faster it is than the one above. Returns an SVG and a PDF.
    """
    import matplotlib
    from matplotlib.figure import Figure

    chain = read("figure11", SpeedChain)
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(4.8, 2.6), layout="constrained")
        axes = figure.subplots()
        drawn = axes.barh(
            [bar.label for bar in chain.bars],
            [bar.seconds for bar in chain.bars],
            color=COLOURS[0],
            height=0.6,
        )
        axes.bar_label(drawn, [_text(bar) for bar in chain.bars], padding=3, fontsize=7)
        axes.invert_yaxis()
        axes.grid(axis="y", visible=False)
        axes.margins(x=0.6)
        axes.set_xlim(left=0)
        axes.set(xlabel=f"seconds for an image ({chain.conditions})")
        below(figure, f"{chain.source}. {' '.join(chain.notes)}")
        return save(figure, out, chain.name)


def _text(bar: Bar) -> str:
    scores = [f"GenEval {bar.geneval:.2f}"] if bar.geneval is not None else []
    scores += [f"DPG {bar.dpg:.1f}"] if bar.dpg is not None else []
    faster = "" if bar.faster is None else f", {bar.faster:.2f}×"
    return f"{bar.seconds:.1f} s{faster}" + (f" ({', '.join(scores)})" if scores else "")
