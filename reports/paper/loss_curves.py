"""Figure 4: loss against steps. The values of the paper's curves are unpublished: the reader's are drawn."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lumina_eval.errors import UserError
from reports.paper.drawing import COLOURS, STYLE, below, label, save
from reports.paper.published_figures import Captions
from reports.paper.published_files import read
from reports.paper.training_logs import training_logs


def figure4(inputs: Sequence[Path], out: Path) -> list[Path]:
    """Draw the loss of each stage found in ``inputs`` (training folders, or runs of their checkpoints).

    Returns an SVG and a PDF file. Raises UserError where there is no log to draw.
    """
    import matplotlib
    from matplotlib.figure import Figure

    printed = read("figure4", Captions)
    logs = training_logs(inputs)
    if not logs:
        raise UserError(
            f"expected a folder with training/STAGE/log.jsonl, found none in {len(inputs)} given; the curves "
            f"of {printed.source} are not published, so there is nothing else to draw; "
            "fix: name the folder that lumina-model train --out wrote"
        )
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(4.8, 3.0), layout="constrained")
        axes = figure.subplots()
        for place, log in enumerate(logs):
            name = f"{log.stage} ({log.captions})" if log.captions else log.stage
            colour = COLOURS[place % len(COLOURS)]
            axes.plot(log.steps, log.losses, color=colour, linewidth=0.9, label=label(name, 70))
        axes.set(xlabel="training step of the stage", ylabel="loss")
        axes.legend(title="your training (shares of caption levels)", title_fontsize=7)
        lengths = ", ".join(f"{kind} ({length:g})" for kind, length in printed.captions.items())
        text = (
            f"After {printed.source}, which compares captions by average length (characters): {lengths}. "
            "The values of its curves are not published and not drawn here."
        )
        below(figure, text)
        return save(figure, out, printed.name)
