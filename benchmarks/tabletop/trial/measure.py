"""How good the judge is, measured where the truth is known.

Every measurement draws its own seeded scenes. Scores are GenEval's overall (the mean of the task means) with
the interval over prompts; shares have Wilson intervals.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

import numpy as np
from scipy import stats

from benchmarks.geneval.adapter import GenEval
from benchmarks.tabletop.sight.judge import output_of
from benchmarks.tabletop.sight.perception import see
from benchmarks.tabletop.trial import distortions
from benchmarks.tabletop.trial.distortions import Draw, clean
from benchmarks.tabletop.trial.edits import KINDS, Edit, edits_of
from benchmarks.tabletop.trial.truth import accepts, perfect_output, scene_for
from benchmarks.tabletop.world.scene import Scene
from lumina_eval.protocol import resolve
from lumina_eval.records import Interval, Item, Metric, Score
from lumina_eval.statistics.means import metric

#: Sides of the pictures, in pixels.
SIZES: Final = (64, 128)

Output = Mapping[str, Any]
Progress = Callable[[Iterable[Any], str], Iterable[Any]]


@dataclasses.dataclass(frozen=True, slots=True)
class Sample:
    """A prompt and a scene that fulfils it."""

    item: Item
    scene: Scene
    number: int


@dataclasses.dataclass(frozen=True, slots=True)
class Share:
    """``right`` of ``n``, with its Wilson interval at 95 %."""

    right: int
    n: int

    @property
    def value(self) -> float:
        """The share; of nothing it is 0."""
        return self.right / max(self.n, 1)

    @property
    def interval(self) -> Interval:
        """Where the true share lies."""
        found = stats.binomtest(self.right, max(self.n, 1)).proportion_ci(method="wilson")
        return float(found.low), float(found.high)


def prompts(part: str = "test") -> list[Item]:
    """Return the prompts of protocol ``tabletop`` of GenEval, of a part ("dev" or "test")."""
    benchmark = GenEval()
    changes = [f"prompts.part={part}"]
    return benchmark.items(resolve("tabletop", benchmark.protocols(), changes, benchmark.protocol_keys))


def samples(items: Sequence[Item], n: int, seed: int) -> list[Sample]:
    """Draw ``n`` scenes: tasks in turn, the prompts of each in order, over and over."""
    tasks: dict[str, list[Item]] = {}
    for item in items:
        tasks.setdefault(item.task, []).append(item)
    groups = list(tasks.values())
    chosen = [groups[k % len(groups)][k // len(groups) % len(groups[k % len(groups)])] for k in range(n)]
    return [
        Sample(item, scene_for(item.metadata, np.random.default_rng([seed, k])), k)
        for k, item in enumerate(chosen)
    ]


def looked_at(scene: Scene, size: int, draw: Draw, seed: Sequence[int]) -> Output:
    """Draw a scene and return what the judge says of the pixels."""
    return output_of(see(draw(scene, size, np.random.default_rng(seed))))


def score(marks: Iterable[tuple[Item, int, bool]]) -> Metric:
    """Return GenEval's overall of (prompt, number of its image, right or not)."""
    return metric(
        "overall",
        [
            Score(item_id=item.id, task=item.task, index=index, value=float(right), split=item.split)
            for item, index, right in marks
        ],
    )


def accuracy(drawn: Sequence[Sample], size: int, draw: Draw = clean) -> Metric:
    """Score pictures of the truth: what is missing to 1 is the judge's error."""
    return score(
        (s.item, s.number, accepts(s.item.metadata, looked_at(s.scene, size, draw, [size, s.number])))
        for s in drawn
    )


def shuffled(drawn: Sequence[Sample], size: int, seed: int, rounds: int = 4) -> tuple[Metric, float]:
    """Score pictures under prompts of other pictures.

    Returns:
        The judge's score, and the chance of it: the mean over all pairs of a prompt and another prompt's
        scene, computed from the scene graphs.
    """
    seen = [looked_at(s.scene, size, clean, [size, s.number]) for s in drawn]
    known = [perfect_output(s.scene, size) for s in drawn]
    rng = np.random.default_rng(seed)
    marks = []
    for turn in range(rounds):
        order = rng.permutation(len(drawn))
        for s, other in zip(drawn, order, strict=True):
            if drawn[other].item.prompt != s.item.prompt:
                right = accepts(s.item.metadata, seen[int(other)])
                marks.append((s.item, turn * len(drawn) + s.number, right))
    chances: dict[str, list[bool]] = {}
    for item in {s.item.id: s.item for s in drawn}.values():
        for other, output in zip(drawn, known, strict=True):
            if other.item.prompt != item.prompt:
                chances.setdefault(item.task, []).append(accepts(item.metadata, output))
    return score(marks), float(np.mean([np.mean(hits) for hits in chances.values()]))


def edits(items: Sequence[Item], n: int, seed: int) -> dict[str, list[Edit]]:
    """Draw up to ``n`` minimal edits of every kind."""
    found: dict[str, list[Edit]] = {kind: [] for kind in KINDS}
    for k in range(20 * n):
        wanted = [kind for kind in KINDS if len(found[kind]) < n]
        if not wanted:
            break
        rng = np.random.default_rng([seed, k])
        item = items[int(rng.integers(len(items)))]
        if item.task != "counting" and set(wanted) <= {"count less", "count more"}:
            continue
        for edit in edits_of(item.metadata, scene_for(item.metadata, rng), rng, wanted):
            found[edit.kind].append(edit)
    return found


def discrimination(pairs: Sequence[Edit], size: int, draw: Draw = clean) -> tuple[Share, Share]:
    """Return sensitivity (edited scenes that are rejected) and specificity (originals that are accepted)."""
    caught = passed = 0
    for k, edit in enumerate(pairs):
        passed += accepts(edit.metadata, looked_at(edit.original, size, draw, [size, k, 0]))
        caught += not accepts(edit.metadata, looked_at(edit.edited, size, draw, [size, k, 1]))
    return Share(caught, len(pairs)), Share(passed, len(pairs))


#: Kinds of harm with their strengths, weakest first.
CURVES: Final[Mapping[str, tuple[Callable[[float], Draw], tuple[float, ...]]]] = {
    "blur": (distortions.blurred, distortions.BLURS),
    "noise": (distortions.noisy, distortions.NOISES),
    "off-palette colours": (distortions.off_palette, distortions.SHIFTS),
}


def curve(kind: str, drawn: Sequence[Sample], size: int) -> list[tuple[float, Metric]]:
    """Return the score of pictures of the truth at each strength of a harm."""
    make, strengths = CURVES[kind]
    return [(strength, accuracy(drawn, size, make(strength))) for strength in strengths]
