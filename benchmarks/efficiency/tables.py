"""Measurements as a table for people, and which of them nothing beats in both speed and score."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from rich.box import SIMPLE_HEAD
from rich.table import Table

from benchmarks.efficiency.measurement import Measurement

DASH: Final = "—"
Show = Callable[[Measurement], str | None]
#: Columns and what stands in them; a column of which nothing is known is left out.
COLUMNS: Final[tuple[tuple[str, Show], ...]] = (
    ("s/image", lambda one: f"{one.seconds_median:.3f}"),
    ("p90", lambda one: f"{one.seconds_p90:.3f}"),
    ("images/s", lambda one: f"{one.images_per_second:.2f}"),
    ("batch", lambda one: str(one.best_batch)),
    ("NFE", lambda one: str(one.work.nfe) if one.work else None),
    ("GFLOP", lambda one: f"{one.work.flops / 1e9:.1f}" if one.work else None),
    ("of peak", lambda one: None if one.peak_fraction is None else f"{one.peak_fraction:.0%}"),
    ("GiB", lambda one: None if one.peak_memory_bytes is None else f"{one.peak_memory_bytes / 2**30:.2f}"),
    ("J/image", lambda one: None if one.joules_per_image is None else f"{one.joules_per_image:.1f}"),
    ("score", lambda one: None if one.score is None else f"{one.score:.3f}"),
    ("95 %", lambda one: f"{one.score_ci[0]:.2f}–{one.score_ci[1]:.2f}" if one.score_ci else None),
)


def front(found: Sequence[Measurement]) -> list[bool | None]:
    """Say of each whether it is on the Pareto front of seconds and score; None where the score is unknown."""
    known = [(one.score, one.seconds_median) for one in found if one.score is not None]

    def beaten(score: float, seconds: float) -> bool:
        return any(
            other >= score and faster <= seconds and (other, faster) != (score, seconds)
            for other, faster in known
        )

    return [None if one.score is None else not beaten(one.score, one.seconds_median) for one in found]


def table(found: Sequence[Measurement], names: Sequence[str], title: str) -> Table:
    """One row a measurement; ``ratio`` is how many times faster it is than the first."""
    shown = Table(title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    shown.add_column("", no_wrap=True, min_width=max(map(len, names)))
    known = [(name, show) for name, show in COLUMNS if any(show(one) for one in found)]
    for column in (known[0][0], "ratio", *(name for name, _ in known[1:])):
        shown.add_column(column, justify="right", no_wrap=True)
    marks = front(found)
    if any(mark is not None for mark in marks):
        shown.add_column("front", justify="right")
    for name, one, mark in zip(names, found, marks, strict=True):
        ratio = f"{found[0].seconds_median / one.seconds_median:.2f}x"
        cells = [show(one) or DASH for _, show in known]
        last = [{None: DASH, True: "yes", False: "no"}[mark]] if any(m is not None for m in marks) else []
        shown.add_row(name, cells[0], ratio, *cells[1:], *last)
    return shown


def notes(found: Sequence[Measurement]) -> list[str]:
    """What a reader must know of these numbers."""
    first = found[0]
    said = [
        f"{first.device}; timed on {first.n_prompts} prompt{'s' if first.n_prompts > 1 else ''}, "
        f"{first.repeats} repetition{'s' if first.repeats > 1 else ''} after a warm-up.",
        "s/image: median of one image at a time; images/s: at the best batch. Text encoding and decoding are "
        "in both; writing files is not.",
    ]
    if any(one.work for one in found):
        said.append(
            "GFLOP: useful operations of the transformer for an image; of peak: those at the best batch over "
            f"what the device sustains in matrix products ({first.matmul_peak / 1e9:.0f} GFLOP/s measured)."
        )
    if any(one.sampling.get("cache") is not None for one in found):
        said.append("A step cache leaves out operations that NFE and GFLOP still count.")
    scores = sorted({one.score_of for one in found if one.score_of})
    said += [f"score: {name}, over images of its own, not over those that were timed." for name in scores]
    if all(one.score is None for one in found):
        said.append("score: not measured (--score); a speed alone does not say what it costs.")
    else:
        said.append("front: no other row is as good and as fast; chance alone can put a row there.")
    return said
