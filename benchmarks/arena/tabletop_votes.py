"""Votes of the analytic judge: of two images of the embedded world, which fulfils more of the prompt.

A prompt of GenEval is a list of clauses (so many of a thing, in a colour, at a place). What a run's verdicts
say of each image, under the official rules, is the share of clauses that it fulfils. Equal shares are a tie.
The votes say nothing that the scores do not; they show that the arena puts models in the order of the scores.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from benchmarks.arena.battles import Battle
from benchmarks.arena.matchups import Entrant, Place, match_ups, places_by_image, shared_places
from benchmarks.geneval.adapter import options_of
from benchmarks.geneval.prompt_set import vocabulary_of
from benchmarks.geneval.rules import evaluate
from lumina_eval.errors import UserError
from lumina_eval.runs import protocol_of, read_items, read_manifest, read_verdicts

SOURCE: Final = "tabletop"


def fulfilled(run_dir: Path) -> dict[tuple[str, int], float]:
    """Return the share of clauses, 0 to 1, that each judged image fulfils, by item id and index.

    Raises UserError if the run is not one of GenEval in the embedded world.
    """
    manifest = read_manifest(run_dir)
    if (manifest.benchmark, manifest.judge.partition("@")[0]) != ("geneval", SOURCE):
        raise UserError(
            f"expected a run of geneval with the judge tabletop, found {manifest.benchmark} with "
            f"{manifest.judge}, in {run_dir}; fix: lumina-eval run geneval --protocol tabletop"
        )
    protocol = protocol_of(manifest)
    classes, options = vocabulary_of(protocol).classes, options_of(protocol)
    asked = {item.id: item.metadata for item in read_items(run_dir)}
    found = {}
    for verdict in read_verdicts(run_dir):
        wanted, seen = asked[verdict.item_id], verdict.output
        outcome = evaluate(wanted, seen["detections"], seen.get("colors", {}), classes, options)
        clauses = [*wanted.get("include", []), *wanted.get("exclude", [])]
        against = len(outcome.reason.splitlines())
        found[verdict.item_id, verdict.index] = 1 - against / max(1, len(clauses))
    return found


def votes_of(runs: Sequence[Entrant], seed: int = 0) -> list[Battle]:
    """Return the judge's vote on every pair of runs on every place where all of them have a verdict."""
    shares = {run.name: dict(_by_place(run)) for run in runs}
    places = [place for place in shared_places(runs)[0] if all(place in of for of in shares.values())]
    if not places:
        raise UserError("expected images with verdicts of all runs, found none; fix: lumina-eval run again")
    return [
        Battle(
            model_a=pair.left,
            model_b=pair.right,
            outcome=_preferred(shares[pair.left][pair.place], shares[pair.right][pair.place]),
            prompt=pair.place.prompt,
            voter=SOURCE,
            category=pair.category,
            source=SOURCE,
        )
        for pair in match_ups([run.name for run in runs], places, runs[0].categories, seed)
    ]


def _by_place(run: Entrant) -> Iterator[tuple[Place, float]]:
    places = places_by_image(run.run_dir)
    for image, share in fulfilled(run.run_dir).items():
        yield places[image], share


def _preferred(left: float, right: float) -> float:
    return 0.5 if left == right else float(left > right)
