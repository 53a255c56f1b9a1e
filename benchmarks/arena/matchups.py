"""Match-ups: every pair of models on the same prompt and the same image of it, with the sides in balance.

A place is a prompt and the number of one of its images. Only places that every run has are used, and each of
them meets every pair of models once: all pairs are asked equally often, and no model has easier prompts.
"""

from __future__ import annotations

import hashlib
import itertools
import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from lumina_eval.errors import UserError
from lumina_eval.runs import find_runs, read_items, read_manifest, read_plan, store_of


class Place(NamedTuple):
    """What images are compared for: a prompt, which of its occurrences in the run, which image of it."""

    prompt: str
    occurrence: int
    image: int


@dataclass(frozen=True)
class Entrant:
    """A run that takes part: one model, with the image key of each place."""

    name: str
    run_dir: Path
    run_id: str
    digest: str | None
    store: Path
    keys: Mapping[Place, str]
    categories: Mapping[Place, str]


@dataclass(frozen=True, slots=True)
class MatchUp:
    """Two models on one place; ``left`` and ``right`` are names of entrants."""

    place: Place
    category: str
    left: str
    right: str


def run_folders(paths: Sequence[Path]) -> list[Path]:
    """Return the run folders that ``paths`` name: themselves, or the finished runs of an ``--out`` folder.

    Raises UserError where a path holds no run.
    """
    found: list[Path] = []
    for path in paths:
        runs = [path] if (path / "manifest.json").is_file() else find_runs(path)
        if not runs:
            raise UserError(
                f"expected a run folder, or the --out folder of runs, found neither, at {path}; "
                "fix: lumina-eval run makes one, lumina-eval list runs shows those there are"
            )
        found += runs
    return list(dict.fromkeys(found))


def entrants(run_dirs: Sequence[Path], store: Path | None = None) -> list[Entrant]:
    """Read the runs of at least two models; images are in ``store``, or where each run keeps them.

    Raises UserError if there are fewer than two, if one made no images of its own, or if one comes twice.
    """
    if len(run_dirs) < 2:
        raise UserError(
            f"expected the runs of two models or more, found {len(run_dirs)}; "
            "fix: name several run folders, or an --out folder that holds several runs"
        )
    names = _names(run_dirs)
    return [_entrant(path, name, store) for path, name in zip(run_dirs, names, strict=True)]


def shared_places(runs: Sequence[Entrant]) -> tuple[list[Place], str]:
    """Return the places that all runs have, in the order of the first, and a warning if some have more.

    Raises UserError if they share none; both texts say how much each run has and what they share.
    """
    places = [place for place in runs[0].keys if all(place in run.keys for run in runs[1:])]
    prompts = len({place[:2] for place in places})
    if all(len(run.keys) == len(places) for run in runs):
        return places, ""
    each = ", ".join(f"{run.name} {len({p[:2] for p in run.keys})} ({len(run.keys)} images)" for run in runs)
    told = f"prompts of the runs: {each}; shared by all: {prompts} ({len(places)} images)"
    if not places:
        raise UserError(f"expected runs on the same prompts, found none in common; {told}; fix: take others")
    return places, f"{told}; only the shared ones are used"


def sample(
    places: Sequence[Place], categories: Mapping[Place, str], limit: int | None, seed: int
) -> list[Place]:
    """Return the places of at most ``limit`` prompts of each category, drawn by hash; all if it is None."""
    if limit is None:
        return list(places)
    prompts: dict[str, set[tuple[str, int]]] = defaultdict(set)
    for place in places:
        prompts[categories[place]].add(place[:2])
    drawn = {
        category: set(sorted(of_it, key=lambda prompt: _hash(seed, *prompt))[:limit])
        for category, of_it in prompts.items()
    }
    return [place for place in places if place[:2] in drawn[categories[place]]]


def match_ups(
    names: Sequence[str], places: Sequence[Place], categories: Mapping[Place, str], seed: int
) -> list[MatchUp]:
    """Return each pair of models on each place; for each pair each model is on the left equally often.

    The difference is at most one, also within each category; which side comes where is drawn from ``seed``.
    """
    by_category: dict[str, list[Place]] = defaultdict(list)
    for place in places:
        by_category[categories[place]].append(place)
    drawn = random.Random(seed)
    made = []
    for first, second in itertools.combinations(names, 2):
        turned = drawn.random() < 0.5
        for category, of_it in by_category.items():
            for place in drawn.sample(of_it, len(of_it)):
                left, right = (second, first) if turned else (first, second)
                made.append(MatchUp(place, category, left, right))
                turned = not turned
    return made


def places_by_image(run_dir: Path) -> dict[tuple[str, int], Place]:
    """Return the place of each planned image of a run, by item id and index."""
    seen: dict[str, int] = defaultdict(int)
    prompts: dict[str, tuple[str, int]] = {}
    for item in read_items(run_dir):
        prompts[item.id] = (item.prompt, seen[item.prompt])
        seen[item.prompt] += 1
    return {(ref.item_id, ref.index): Place(*prompts[ref.item_id], ref.index) for ref in read_plan(run_dir)}


def _entrant(run_dir: Path, name: str, store: Path | None) -> Entrant:
    manifest, plan = read_manifest(run_dir), read_plan(run_dir)
    if not plan:
        raise UserError(
            f"expected a run that made images, found one that judged others', in {run_dir}; "
            "fix: name a run of lumina-eval run"
        )
    places = places_by_image(run_dir)
    tasks = {item.id: item.task for item in read_items(run_dir)}
    return Entrant(
        name=name,
        run_dir=run_dir,
        run_id=manifest.run_id,
        digest=manifest.digest,
        store=store or store_of(run_dir),
        keys={places[ref.item_id, ref.index]: ref.key for ref in plan},
        categories={places[ref.item_id, ref.index]: tasks[ref.item_id] for ref in plan},
    )


def _names(run_dirs: Sequence[Path]) -> list[str]:
    """Return a name for each run: its title, with step or checkpoint digest where titles are the same."""
    manifests = [read_manifest(path) for path in run_dirs]
    titles = [m.title for m in manifests]
    steps = [m.title if m.step is None else f"{m.title} step {m.step}" for m in manifests]
    digests = [f"{step} {(m.digest or m.run_digest)[:8]}" for step, m in zip(steps, manifests, strict=True)]
    for names in (titles, steps, digests):
        if len(set(names)) == len(names):
            return names
    twice = next(name for name in digests if digests.count(name) > 1)
    raise UserError(f"expected each model once, found {twice} in several runs; fix: name one run of it")


def _hash(seed: int, prompt: str, occurrence: int) -> bytes:
    return hashlib.sha256(f"{seed}\0{occurrence}\0{prompt}".encode()).digest()
