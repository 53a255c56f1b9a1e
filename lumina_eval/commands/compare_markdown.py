"""A comparison as Markdown for a pull request: the verdict first, then what it rests on.

Names come from folders and model files that others wrote. They stand in ``<code>`` with every character that
Markdown or HTML could read as an entity, so that they can neither break a table nor call anybody.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from lumina_eval.commands.compare_table import costs_of, counts, few_images, limits
from lumina_eval.commands.compare_warnings import sampling_in_words
from lumina_eval.inert_markdown import inert
from lumina_eval.records import Manifest, RunResult
from lumina_eval.statistics.comparison import Comparison
from lumina_eval.statistics.contrast import Difference, PromptChange
from lumina_eval.statistics.gates import MOST_AT_MARGIN, comparison_gate
from lumina_eval.statistics.means import reach_of
from lumina_eval.statistics.planning import prompts_to_decide
from lumina_eval.statistics.power import in_words
from lumina_eval.units import digits as places

_LONGEST: Final = 120


def markdown(
    compared: Sequence[Comparison],
    manifests: Sequence[Manifest],
    results: Sequence[RunResult],
    folders: Sequence[Path],
    warnings: Sequence[str],
    gated: bool,
) -> str:
    """Return the text: with ``gated`` the last comparison's verdict comes first, and it alone is a gate."""
    last = compared[-1]
    claim = f"**{last.verdict.capitalize()}:** {code(last.candidate)} against {code(last.baseline)}."
    lines = [_gate_in_words(last, results) if gated else claim, ""]
    for one in reversed(compared):
        lines += [*_table(one), ""]
    lines += _statements(last, gated)
    lines += [f"- Warning: {escaped(text)}" for text in warnings]
    lines += ["", *_front(compared), "", *_provenance(compared, manifests, folders)]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).rstrip() + "\n"


def code(name: object) -> str:
    """Return a name of others as inert inline code."""
    text = "".join(letter for letter in " ".join(str(name).split()) if letter.isprintable())
    return f"<code>{escaped(text if len(text) <= _LONGEST else text[:_LONGEST] + '…')}</code>"


def escaped(text: str) -> str:
    """Return text in which nothing is markup, a call or a link: all but letters, digits and plain points
    become entities."""
    plain = " ".join(text.split())
    return inert(re.sub(r"[^\w\s.,:;/+…–-]|_", lambda found: f"&#{ord(found.group())};", plain))


def _gate_in_words(one: Comparison, results: Sequence[RunResult]) -> str:
    names = f"{code(one.candidate)} against {code(one.baseline)}"
    if not all(results[place].coverage.complete for place in (0, -1)):
        return f"**Incomplete:** {names}: images are missing, so the gate is not looked at."
    by = "" if one.margin is None else f" by {_margin(one)} or more"
    return {
        "passed": f"**Passed:** {names}: {'better' if one.margin is None else f'not worse{by}'}.",
        "failed": f"**Failed:** {names}: worse{by}.",
        "undecided": f"**Undecided:** {names}: these prompts cannot tell whether it is worse{by}.",
    }[comparison_gate(one)]


def _table(one: Comparison) -> Iterator[str]:
    less = " (less is better)" if one.lower_is_better else ""
    yield f"{code(one.candidate)} minus {code(one.baseline)}{less}"
    yield ""
    yield "| | baseline | run | difference | 95 % interval | won / lost / tied | p | detectable |"
    yield "|---|---:|---:|---:|---:|---:|---:|---:|"
    for row in (one.primary, *one.tasks):
        yield _row(row, one)


def _row(row: Difference, one: Comparison) -> str:
    digits = places(one.unit)
    cells = (
        f"{row.baseline:.{digits}f}",
        f"{row.candidate:.{digits}f}",
        f"{row.difference:+.{digits}f}",
        limits(row.ci, digits),
        counts(row).replace("/", " / "),
        "< 0.001" if row.p_adjusted < 0.001 else f"{row.p_adjusted:.3f}",
        "–" if row.minimum_detectable is None else in_words(row.minimum_detectable, one.unit, digits),
    )
    name = f"**{escaped(row.name)}**" if row is one.primary else escaped(row.name)
    return f"| {name} | {' | '.join(cells).replace('-', '−')} |"


def _statements(one: Comparison, gated: bool) -> Iterator[str]:
    digits, least = places(one.unit), one.primary.minimum_detectable
    if one.margin is not None:
        yield (
            f"- Margin {_margin(one)}. The interval of the first row decides: wholly on the good side of the "
            "margin passes, wholly beyond it fails. A run that is worse by exactly the margin passes in "
            f"about {100 * (one.margin_alpha or 0):g} % of cases, at most {MOST_AT_MARGIN} in our simulation."
        )
    elif gated:
        yield "- No margin: the sign-flip test decides at 5 %; better passes, worse fails."
    if least is not None:
        yield (
            f"- Detectable: these {one.primary.n_prompts} {one.pairs} would have shown a true difference of "
            f"{in_words(least, one.unit, digits)} in 80 of 100 tries{_none_so_large(least, one.unit)}. Won, "
            "lost and tied are counts of them."
        )
    if not one.published:
        yield "- The benchmark has no score over all categories; the first row is their unweighted mean."
    if gated and comparison_gate(one) == "undecided":
        yield from _to_decide(one)


def _none_so_large(least: float, unit: str) -> str:
    reach = reach_of(unit)
    return "" if reach is None or least <= reach else ", and no two scores differ by so much"


def _to_decide(one: Comparison) -> Iterator[str]:
    needed = prompts_to_decide(one)
    if needed is None:
        return
    if one.margin is None:
        what, truth = f"--detect {abs(one.primary.difference):.3g}", "as different as they look"
    else:
        what, truth = f"--margin {one.margin:g}", "equally good"
    command = code(f"lumina-eval plan {what} --run BASELINE --run CANDIDATE")
    yield (
        f"- To decide it takes about {needed:,} prompts of this kind if the two are {truth}. More images per "
        f"prompt may do as well: {command}"
    )


def _front(compared: Sequence[Comparison]) -> Iterator[str]:
    first, runs = compared[0], costs_of(compared)
    if all(cost is None or cost.seconds_per_image is None for _, _, cost in runs):
        return
    yield f"| | {escaped(first.primary.name)} | seconds per image | Pareto front |"
    yield "|---|---:|---:|---|"
    for name, value, cost in runs:
        seconds = "–" if cost is None else cost.in_words
        mark = "yes" if cost is not None and cost.on_front else ""
        yield f"| {code(name)} | {value:.{places(first.unit)}f} | {seconds} | {mark} |"
    if note := few_images(compared, code):
        yield ""
        yield note


def _provenance(
    compared: Sequence[Comparison], manifests: Sequence[Manifest], folders: Sequence[Path]
) -> Iterator[str]:
    first, one = manifests[0], compared[-1]
    yield "<details><summary>Provenance</summary>"
    yield ""
    yield (
        f"- benchmark {code(first.benchmark)}, protocol {code(first.protocol)} "
        f"(digest {first.protocol_digest[:12]})"
    )
    for manifest, folder in zip(manifests, folders, strict=True):
        yield (
            f"- {code(manifest.title)}: run {code(folder.resolve().name)}, checkpoint "
            f"{(manifest.digest or 'unknown')[:12]}, judge {code(manifest.judge)}, "
            f"{manifest.images_per_prompt} {'image' if manifest.images_per_prompt == 1 else 'images'} per "
            f"prompt, base seed {manifest.base_seed}, "
            f"git {code(manifest.provenance.git_sha or 'unknown')}, "
            f"sampling: {escaped(sampling_in_words(manifest))}"
        )
    yield (
        f"- paired by {one.pairs}; studentised sign-flip test, {one.resamples:,} draws (seed {one.seed}), "
        f"Holm over categories{', max-T over runs' if len(compared) > 1 else ''}"
    )
    for title, changes in (
        ("losses", one.primary.largest_losses),
        ("gains", one.primary.largest_gains),
    ):
        if changes:
            yield f"- largest {title}: {', '.join(map(_change, changes))}"
    yield ""
    yield "</details>"


def _change(change: PromptChange) -> str:
    return f"{code(f'{change.task}/{change.item_id}')} {change.baseline:.2f} → {change.candidate:.2f}"


def _margin(one: Comparison) -> str:
    return f"{one.margin:g}{' points of 100' if one.unit == 'percent' else ''}"
