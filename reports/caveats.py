"""What a reader must know before quoting a number: warnings of the runs, and what a benchmark may claim."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from lumina_eval.records import Manifest
from lumina_eval.rerun import command_in_place, command_of
from lumina_eval.statistics.means import INTERVALS_VERSION
from reports.groups import Group
from reports.loading import RunView
from reports.numbers import count

#: The embedded world, by the name of its protocols and of its judge.
TABLETOP: Final = "tabletop"

TABLETOP_CLAIM: Final = (
    "These are drawn scenes of coloured shapes, and {judge}. In a world where "
    "the truth is known, the harness measures what it says; a ceiling row shows how much the judge itself "
    "loses. This says nothing about photographs, nor about a neural judge on photographs, and no score here "
    "can be compared with a published one."
)
#: How they are looked at, by the judge's kind.
_LOOKS: Final = {"set": "a small network that was trained on such scenes looks at them"}


def of_tabletop(manifest: Manifest) -> bool:
    """Tell whether a run is of the embedded world: by its protocol, or by its judge or a sibling of that."""
    judge = manifest.judge.partition("@")[0]
    return manifest.protocol == TABLETOP or judge == TABLETOP or judge.startswith(f"{TABLETOP}-")


def claims(group: Group) -> str | None:
    """Return what the numbers of a group may claim, where that is less than a reader would think."""
    manifest = group.first.manifest
    looks = _LOOKS.get(manifest.judge_kind, "the judge reads them by image analysis")
    return TABLETOP_CLAIM.format(judge=looks) if of_tabletop(manifest) else None


def warnings(group: Group) -> tuple[str, ...]:
    """Return everything that limits the numbers of a group, the gravest first, each once."""
    first = group.first.result
    found = []
    if first.subset is not None:
        found.append(
            f"Subset: {first.subset}. These numbers are not numbers of the whole protocol; "
            "do not set them beside such."
        )
    if first.rewriting is not None:
        found.append(
            f"The models were given other texts: {first.rewriting.in_words}. The judge saw the original "
            "prompts. These are numbers of model and rewriting together; do not set them beside others."
        )
    if first.changed:
        found.append(f"Protocol values were changed: {', '.join(first.changed)}.")
    for run in group.runs:
        cover = run.result.coverage
        if not cover.complete:
            there = f"{count(cover.judged)} of {count(cover.expected)} images judged"
            found.append(f"{group.label(run)}: incomplete, {there}, {count(cover.failed)} failed.")
        found += [f"{group.label(run)}: {text}" for text in run.result.warnings]
    found += [*_older_intervals(group), *_differences(group)]
    dirty = [group.label(run) for run in group.runs if run.manifest.provenance.git_dirty]
    if dirty:
        found.append(f"Made with uncommitted changes in the code: {', '.join(dirty)}.")
    return tuple(dict.fromkeys(found))


def _older_intervals(group: Group) -> Iterator[str]:
    """Say of intervals by rules that this version replaced which runs have them, and what makes them anew."""
    older: dict[int, list[RunView]] = {}
    for run in group.runs:
        stated = any(metric.ci_seeds or metric.ci_prompts for metric in run.result.metrics)
        if stated and run.result.intervals_version < INTERVALS_VERSION:
            older.setdefault(run.result.intervals_version, []).append(run)
    for version, runs in sorted(older.items()):
        how = "by measuring again" if group.timed else _anew(runs)
        yield (
            f"{', '.join(map(group.label, runs))}: intervals of version {version}; this lumina-eval makes "
            f"version {INTERVALS_VERSION}. They are made anew {how}."
        )


def _anew(runs: Sequence[RunView]) -> str:
    """Say what makes intervals anew: from verdicts where images are at hand, else where runs were made."""
    places = [(run.manifest, command_in_place(run.manifest, run.folder)) for run in runs]
    here = dict.fromkeys(command for _, command in places if command is not None)
    there = dict.fromkeys(command_of(manifest) for manifest, command in places if command is None)
    told = [f"from their verdicts by {'; '.join(here)}"] if here else []
    told += [f"where they were made by {'; '.join(there)}"] if there else []
    return ", and ".join(told)


def _differences(group: Group) -> list[str]:
    """Say what differs between runs that a table sets beside each other."""
    told: dict[str, Callable[[RunView], object]] = {
        "base seed": lambda run: run.manifest.base_seed,
        "number of images per prompt": lambda run: run.manifest.images_per_prompt,
        "version of their intervals": lambda run: run.result.intervals_version,
        "commit of the code": lambda run: run.manifest.provenance.git_sha,
    }
    return [
        f"Runs of this table differ in the {name}."
        for name, of in told.items()
        if len({of(run) for run in group.runs}) > 1
    ]
