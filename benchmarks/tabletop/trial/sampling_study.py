"""Which settings of the sampler lose nothing: GenEval against cost, on the embedded model.

Every setting draws the same dev prompts from the same noise, so settings are compared prompt by prompt with
the reference, a solver that has converged. Cost is counted where it arises: how often a sample goes through
the joint blocks, once for each branch of the guidance, and not where the step cache skips it. Each setting's
scores are kept in a file of their own; what is there is not drawn again.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.tabletop.sight.judge import output_of
from benchmarks.tabletop.sight.perception import see
from benchmarks.tabletop.trial.card import Table
from benchmarks.tabletop.trial.measure import prompts
from benchmarks.tabletop.trial.truth import accepts
from lumina_eval.digests import digest_of
from lumina_eval.files import write_atomic
from lumina_eval.records import Item, Metric, Score
from lumina_eval.seeds import image_seed
from lumina_eval.statistics.comparison import Comparison, compare_many
from lumina_eval.statistics.means import metric

#: Steps of each solver: 10, 20 and 40 evaluations of the velocity (rk4: 12, 20, 40).
STEPS: Final[Mapping[str, tuple[int, ...]]] = {
    "euler": (10, 20, 40),
    "midpoint": (5, 10, 20),
    "heun": (5, 10, 20),
    "rk4": (3, 5, 10),
    "dpm": (10, 20, 40),
}
GUIDANCE: Final[Mapping[str, Mapping[str, Any]]] = {
    "none": {"guidance": 1.0},
    "cfg 4": {"guidance": 4.0, "renorm": None},
    "cfg 4, renorm": {"guidance": 4.0, "renorm": 1.0},
    "cfg 4, rows": {"guidance": 4.0, "renorm": "rows"},
    "cfg 4, t < 0.25": {"guidance": 4.0, "renorm": None, "truncation": 0.25},
    "cfg 4, every 2nd": {"guidance": 4.0, "renorm": None, "guidance_every": 2},
    "cfg 4, cache 0.3": {"guidance": 4.0, "renorm": None, "cache": 0.3},
}
REFERENCE: Final = ("rk4", 10, "cfg 4")
BATCH: Final = 16


@dataclasses.dataclass(frozen=True)
class Setting:
    """A solver, its steps, and a name of :data:`GUIDANCE`."""

    solver: str
    steps: int
    guidance: str

    @property
    def name(self) -> str:
        """Return what stands in the table."""
        return f"{self.solver} {self.steps}, {self.guidance}"

    def changes(self) -> dict[str, Any]:
        """Return the fields of the sampling that it sets."""
        return {"solver": self.solver, "grid": "auto", "steps": self.steps, **GUIDANCE[self.guidance]}


@dataclasses.dataclass(frozen=True)
class Row:
    """What one setting scored."""

    setting: Setting
    passes: float
    overall: Metric
    against: Comparison | None
    """With the reference; None for the reference itself."""


def settings(solvers: Sequence[str] = tuple(STEPS)) -> list[Setting]:
    """Return the reference, and every setting of these solvers."""
    reference = Setting(*REFERENCE)
    every = [
        Setting(solver, steps, name) for solver in solvers for steps in STEPS[solver] for name in GUIDANCE
    ]
    return [reference, *(setting for setting in every if setting != reference)]


def chosen_prompts(per_task: int) -> list[Item]:
    """Return the first prompts of every task of the dev part."""
    tasks: dict[str, list[Item]] = {}
    for item in prompts("dev"):
        tasks.setdefault(item.task, []).append(item)
    return [item for items in tasks.values() for item in items[:per_task]]


def draw_and_judge(
    stage: str, wanted: Sequence[Setting], items: Sequence[Item], images: int, out: Path
) -> Iterator[tuple[Setting, Path]]:
    """Draw and judge each setting that has no file yet; yields it with its file when that is there.

    Args:
        stage: of the embedded model.
        wanted: settings.
        items: prompts.
        images: per prompt.
        out: folder of the files.
    """
    from lumina_model import embedded
    from lumina_model.adapter import open_embedded
    from lumina_model.pipeline import Pipeline

    (model,) = open_embedded(stage, {"device": "cpu"})
    pipeline = Pipeline.load(embedded.parts(stage))
    through: list[int] = []
    pipeline.transformer.layers[0].register_forward_hook(
        lambda _block, args, _out: through.append(len(args[3]))  # the lengths of the sequences of a row
    )
    tasks = [(item, index) for item in items for index in range(images)]
    for setting in wanted:
        sampling = dataclasses.replace(model.settings, **setting.changes())
        file = _file(out, setting, model.components(), sampling.canonical(), items, images)
        if not file.is_file():
            through.clear()
            scores = []
            for start in range(0, len(tasks), BATCH):
                batch = tasks[start : start + BATCH]
                texts = [item.prompt for item, _ in batch]
                seeds = [image_seed(0, item.prompt, index) for item, index in batch]
                for (item, index), image in zip(
                    batch, pipeline.generate(texts, seeds, sampling), strict=True
                ):
                    right = accepts(item.metadata, output_of(see(np.ascontiguousarray(image))))
                    scores.append(Score(item_id=item.id, task=item.task, index=index, value=float(right)))
            record = {
                "setting": dataclasses.asdict(setting),
                "passes": sum(through) / len(tasks),
                "scores": [score.model_dump() for score in scores],
            }
            write_atomic(file, json.dumps(record).encode())
        yield setting, file


def rows(files: Mapping[Setting, Path], margin: float) -> list[Row]:
    """Read the files of settings and compare each with the reference, cheapest first.

    Args:
        files: of :func:`draw_and_judge`, the reference's among them.
        margin: the loss of overall score that does not matter.
    """
    records = {setting: json.loads(file.read_text(encoding="utf-8")) for setting, file in files.items()}
    scores = {
        setting: [Score.model_validate(score) for score in record["scores"]]
        for setting, record in records.items()
    }
    reference = Setting(*REFERENCE)
    others = {setting.name: scores[setting] for setting in scores if setting != reference}
    found = (
        compare_many(scores[reference], others, baseline_name=reference.name, margin=margin) if others else []
    )
    compared = {comparison.candidate: comparison for comparison in found}
    made = [
        Row(setting, float(record["passes"]), metric("overall", scores[setting]), compared.get(setting.name))
        for setting, record in records.items()
    ]
    return sorted(made, key=lambda row: (row.passes, row.setting.name))


def by_guidance(stage: str, files: Mapping[Setting, Path], margin: float) -> Table:
    """Return the score of each way of guidance, the mean over its solvers and steps, against ``cfg 4``.

    A hundred settings are many questions of few images; what guidance does is one question of all of them.
    """
    values: dict[str, dict[tuple[str, str, int], list[float]]] = {}
    for setting, file in files.items():
        of_guidance = values.setdefault(setting.guidance, {})
        for score in map(Score.model_validate, json.loads(file.read_text(encoding="utf-8"))["scores"]):
            of_guidance.setdefault((score.item_id, score.task, score.index), []).append(score.value)
    pooled = {
        name: [
            Score(item_id=item_id, task=task, index=index, value=float(np.mean(found)))
            for (item_id, task, index), found in of_guidance.items()
        ]
        for name, of_guidance in values.items()
    }
    baseline = pooled.pop(REFERENCE[2])
    compared = {
        one.candidate: one for one in (compare_many(baseline, pooled, margin=margin) if pooled else [])
    }
    body = []
    for name, scores in {REFERENCE[2]: baseline, **pooled}.items():
        overall = metric("overall", scores)
        low, high = overall.ci_prompts or (float("nan"), float("nan"))
        settings_ = sum(setting.guidance == name for setting in files)
        cells = (name, f"{settings_}", f"{overall.value:.3f}", f"{low:.3f}–{high:.3f}")
        body.append((*cells, *_against(compared.get(name))))
    head = ("guidance", "settings", "overall", "95 % prompts", f"minus {REFERENCE[2]}", "95 %", "loses")
    text = "The mean over all solvers and steps, prompt by prompt."
    return Table(f"Guidance, embedded:{stage}", text, head, body)


def table(stage: str, found: Sequence[Row]) -> Table:
    """Return the table of the docs."""
    head = (
        "solver, steps, guidance",
        "passes",
        "overall",
        "95 % prompts",
        "minus reference",
        "95 %",
        "loses",
    )
    body = []
    for row in found:
        low, high = row.overall.ci_prompts or (float("nan"), float("nan"))
        cells = (row.setting.name, f"{row.passes:.1f}", f"{row.overall.value:.3f}", f"{low:.3f}–{high:.3f}")
        body.append((*cells, *_against(row.against)))
    overall = found[0].overall
    text = (
        f"GenEval's overall on {overall.n_prompts} dev prompts, {overall.n_images} images for each setting; "
        "passes: times that a sample goes through the joint blocks, per image."
    )
    return Table(f"Quality against cost, embedded:{stage}", text, head, body)


def _against(comparison: Comparison | None) -> tuple[str, str, str]:
    if comparison is None:
        return "reference", "", ""
    primary = comparison.primary
    ci = f"{primary.ci[0]:+.3f} to {primary.ci[1]:+.3f}" if primary.ci else "unknown"
    words = "yes" if comparison.verdict == "worse" else "no" if comparison.non_inferior else "undecided"
    return f"{primary.difference:+.3f}", ci, words


def _file(
    out: Path,
    setting: Setting,
    components: Mapping[str, str],
    sampling: Mapping[str, Any],
    items: Sequence[Item],
    images: int,
) -> Path:
    """The file of a setting; other weights, prompts or numbers have another."""
    digest = digest_of([dict(components), dict(sampling), [item.prompt for item in items], images])
    return out / f"setting-{setting.solver}-{setting.steps}-{digest[:12]}.json"
