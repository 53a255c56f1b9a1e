"""The tables of ``CARD.md``, made by one command from seeded measurements."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from benchmarks.tabletop.trial import measure, scripted
from benchmarks.tabletop.trial.distortions import Draw, clean
from benchmarks.tabletop.trial.measure import SIZES, Share
from lumina_eval.errors import UserError
from lumina_eval.records import Interval, Item, Metric

BEGIN: Final = "<!-- measured:begin -->"
END: Final = "<!-- measured:end -->"
#: Seeds of the scenes that are reported on; other seeds are for tuning.
SEED: Final = 20_000


@dataclasses.dataclass(frozen=True)
class Effort:
    """How much is measured: pictures per score, edits per kind, pictures per point of a curve, and so on."""

    pictures: int = 1200
    edits: int = 300
    curve: int = 240
    pool: int = 2
    runs: int = 4000
    comparisons: int = 2000


QUICK: Final = Effort(pictures=120, edits=30, curve=48, pool=1, runs=1000, comparisons=200)


@dataclasses.dataclass(frozen=True)
class Table:
    """A title, a sentence, column heads, and rows of text."""

    title: str
    text: str
    head: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]


def tables(effort: Effort, autoencoder: Draw | None) -> Iterator[Table]:
    """Measure one table after the other; without an autoencoder its rows are left out."""
    items = measure.prompts("test")
    ways: list[tuple[str, Draw]] = [("clean", clean)]
    if autoencoder is not None:
        ways.append(("autoencoder", autoencoder))
    yield _accuracy(items, effort, ways)
    yield _edits(items, effort, ways)
    yield from _curves(items, effort)
    yield from _scripted(items, effort)


def _accuracy(items: Sequence[Item], effort: Effort, ways: Sequence[tuple[str, Draw]]) -> Table:
    drawn = measure.samples(items, effort.pictures, SEED)
    rows = []
    for size in SIZES:
        for name, draw in ways:
            wanted = "≥ 0.99" if name == "clean" else "≥ 0.95"
            rows.append((f"truth, {name}", f"{size}", _metric(measure.accuracy(drawn, size, draw)), wanted))
        found, chance = measure.shuffled(drawn, size, SEED)
        rows.append(("shuffled prompts", f"{size}", _metric(found), f"≤ 0.10, chance {chance:.3f}"))
    return Table(
        "Pictures of the truth",
        f"GenEval's overall on {effort.pictures} scenes that fulfil prompts of its tabletop protocol, and on "
        "the same pictures under the prompts of others. Chance is computed from the scene graphs.",
        ("pictures", "side", "overall (95 %)", "wanted"),
        rows,
    )


def _edits(items: Sequence[Item], effort: Effort, ways: Sequence[tuple[str, Draw]]) -> Table:
    rows = []
    for kind, pairs in measure.edits(items, effort.edits, SEED + 1).items():
        for size in SIZES:
            for name, draw in ways:
                sensitivity, specificity = measure.discrimination(pairs, size, draw)
                rows.append(
                    (kind, name, f"{size}", f"{len(pairs)}", _share(sensitivity), _share(specificity))
                )
    return Table(
        "Minimal edits",
        "Pairs of scenes that differ in one respect. Sensitivity: edited scenes that are rejected. "
        "Specificity: originals that are accepted. Wanted: 0.98 each on clean renders, 0.93 through the "
        "autoencoder.",
        ("edit", "pictures", "side", "pairs", "sensitivity", "specificity"),
        rows,
    )


def _curves(items: Sequence[Item], effort: Effort) -> Iterator[Table]:
    drawn = measure.samples(items, effort.curve, SEED + 2)
    units = {
        "blur": "Gaussian, standard deviation in 64ths of the picture's side",
        "noise": "Gaussian, standard deviation in levels of 255",
        "off-palette colours": "every thing's colours moved this far in CIELAB, each in its own direction",
    }
    for kind, unit in units.items():
        curves = [measure.curve(kind, drawn, size) for size in SIZES]
        rows = [
            (f"{points[0][0]:g}", *(_metric(found) for _, found in points))
            for points in zip(*curves, strict=True)
        ]
        head = ("strength", *(f"overall at {size} px" for size in SIZES))
        yield Table(f"Under {kind}", f"{effort.curve} scenes; {unit}.", head, rows)


def _scripted(items: Sequence[Item], effort: Effort) -> Iterator[Table]:
    rows, covers, called = [], [], []
    for size in SIZES:
        pool = scripted.judged_pool(items, size, effort.pool, SEED + 3)
        slope, error = scripted.slope(pool, 2000, SEED + 4)
        rows.append((f"{size}", f"{len(items)}", f"{slope:.4f} ± {1.96 * error:.4f}", "1 ± 0.02"))
        for per_task in (8, 40):
            found = scripted.coverage(pool, per_task, effort.runs, SEED + 5)
            covers.append((f"{size}", f"{per_task}", f"{found.seeds:.3f}", f"{found.prompts:.3f}"))
        for gain in (0.0, 0.05, 0.1):
            made = scripted.decisions(pool, gain, 40, effort.comparisons, SEED + 6)
            called.append((f"{size}", f"{made.difference:.3f}", f"{made.significant:.3f}"))
    yield Table(
        "Scripted generator: estimate against truth",
        "Judged share against true probability of success, over prompts.",
        ("side", "prompts", "slope (95 %)", "wanted"),
        rows,
    )
    yield Table(
        "Scripted generator: coverage of the intervals",
        f"Share of {effort.runs} simulated runs of {scripted.IMAGES} images per prompt in which the 95 % "
        "interval of the overall score holds the scripted truth.",
        ("side", "prompts per task", "ci_seeds", "ci_prompts"),
        covers,
    )
    yield Table(
        "Scripted generators compared",
        f"Share of {effort.comparisons} simulated comparisons, paired over 40 prompts per task, that call "
        "the difference significant at 5 %. In the first row there is none: that is the error rate.",
        ("side", "true difference", "called significant"),
        called,
    )


def markdown(found: Sequence[Table]) -> str:
    """Write tables as Markdown."""
    parts = []
    for table in found:
        lines = [f"### {table.title}", "", table.text, ""]
        lines.append("| " + " | ".join(table.head) + " |")
        lines.append("|" + "---|" * len(table.head))
        lines += ["| " + " | ".join(row) + " |" for row in table.rows]
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def write_between_markers(file: Path, text: str) -> None:
    """Replace what stands between the two markers of a file.

    Raises:
        UserError: the file is not there, or has not both markers in order.
    """
    try:
        old = file.read_text(encoding="utf-8")
    except OSError as error:
        raise UserError(
            f"expected a card, found {error.strerror}, at {file}; fix: name another file"
        ) from error
    start, end = old.find(BEGIN), old.find(END)
    if not 0 <= start < end:
        raise UserError(f"expected {BEGIN} and {END} in this order, found not both, in {file}; fix: add them")
    file.write_text(f"{old[: start + len(BEGIN)]}\n\n{text}\n\n{old[end:]}", encoding="utf-8")


def _metric(found: Metric) -> str:
    return f"{found.value:.3f}{_interval(found.ci_prompts)}"


def _share(found: Share) -> str:
    return f"{found.value:.3f}{_interval(found.interval)}"


def _interval(found: Interval | None) -> str:
    return "" if found is None else f" ({found[0]:.3f} to {found[1]:.3f})"
