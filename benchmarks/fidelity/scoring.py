"""What a run says of its rows: metrics with N and reference, scores for paired comparisons, warnings."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from benchmarks.fidelity.measures import ALONE, MEASURES, Measured, Sets, bias_of_fid, measured
from benchmarks.fidelity.metrics.clip_score import Convention, clip_score, pair_scores
from benchmarks.fidelity.metrics.jackknife import Groups
from benchmarks.fidelity.options import ROLE_OF, Options, Role
from benchmarks.fidelity.published import measured_as
from benchmarks.fidelity.reference import Reference
from benchmarks.fidelity.rows import rows_of
from lumina_eval.digests import digest_of
from lumina_eval.errors import UserError
from lumina_eval.protocol import ResolvedProtocol
from lumina_eval.records import Aggregate, Interval, Item, Metric, Score, Verdict
from lumina_eval.statistics.means import metric

#: Part of a Fréchet distance that is bias from which on a reader is warned.
_MUCH: Final = 0.05
#: Units of the conventions of CLIP-score; ``signed_fraction`` is bounded by -1 and 1.
_CLIP_UNITS: Final = {"hessel": "2.5 cosine", "torchmetrics": "100 cosine", "cosine": "signed_fraction"}

ReferenceOf = Callable[[Role, str], Reference]
"""Role and digest of the extractor to what its rows are held against."""


def aggregate(
    options: Options,
    protocol: ResolvedProtocol,
    items: Sequence[Item],
    verdicts: Sequence[Verdict],
    reference_of: ReferenceOf,
) -> Aggregate:
    """Return metrics in the order of the protocol; the first one gives the scores. Pure.

    Raises UserError for a single image: no set is that small.
    """
    if len(verdicts) == 1 and any(name in MEASURES for name in options.metrics):
        raise UserError("expected at least 2 images to compare as a set, found 1; fix: give more images")
    count = len({verdict.item_id for verdict in verdicts})
    metrics: list[Metric] = []
    scores: list[Score] = []
    told: list[str] = []
    held: dict[Role, Sets] = {}
    prompt_of = {item.id: item.prompt or item.id for item in items}
    prompts = [prompt_of.get(verdict.item_id, verdict.item_id) for verdict in verdicts]
    for name in options.metrics:
        if name in ALONE:
            metrics.append(_alone(name, verdicts, told))
            continue
        if name not in MEASURES:
            own = pair_scores_of(name, options, items, verdicts)
            one = metric(name, own, _CLIP_UNITS[options.convention], "images")
            if own and name == "clip_score":
                one = _by_convention(one, verdicts, options.convention)
            elif verdicts and not own:
                told.append(
                    f"{name} is not measured: no prompt comes with a wrong caption; "
                    "fix: --set 'metrics=[\"clip_score\"]'"
                )
            metrics.append(one)
            scores = scores or own
            continue
        unit, role = MEASURES[name].unit, ROLE_OF[name]
        found: Measured | None = None
        if verdicts:
            if role not in held:
                features, digest = rows_of(verdicts, role)
                reference = reference_of(role, digest)
                groups = Groups.by_prompt(prompts, reference=reference.prompts)
                held[role] = Sets(features, reference, groups)
            try:
                found = measured_as(name, options.kid, held[role], told)
            except UserError as error:
                if all(other not in MEASURES for other in options.metrics if other != name):
                    raise
                told.append(f"{name} is not measured: {error}")  # the others can be had all the same
        metrics.append(
            Metric(
                name=name,
                value=None if found is None else found.value,
                ci_prompts=None if found is None else interval_of(name, found),
                n_prompts=count,
                n_images=len(verdicts),
                unit=unit,
            )
        )
        if found is not None:
            told += _told_of_bias(name, found, len(verdicts))
            scores = scores or group_scores(name, found, held[role].reference)
    if verdicts and all(one.value is None for one in metrics):
        raise UserError("\n".join(told))
    for name in options.by_task if verdicts else ():
        metrics += _by_task(name, held[ROLE_OF[name]], items, verdicts, told)
    told += _told_of_cut(verdicts)
    names: dict[str, str] = {role: sets.reference.in_words for role, sets in held.items()}
    return Aggregate(
        metrics=metrics,
        results=result_lines(options, verdicts),
        scores=scores,
        summary=summary_text(metrics, options, names),
        warnings=told,
        against=list(dict.fromkeys(names.values())),
    )


def _told_of_cut(verdicts: Sequence[Verdict]) -> list[str]:
    """Say how many captions the CLIP read only the beginning of."""
    cut = {verdict.item_id for verdict in verdicts if verdict.output.get("cut")}
    if not cut:
        return []
    prompts = len({verdict.item_id for verdict in verdicts})
    return [
        f"the captions of {len(cut)} of {prompts} prompts are longer than the CLIP reads and were cut "
        f"({', '.join(sorted(cut)[:3])}{', …' if len(cut) > 3 else ''}): its cosine is with their beginning"
    ]


def _by_convention(one: Metric, verdicts: Sequence[Verdict], convention: Convention) -> Metric:
    """Return the CLIP-score by the convention's own mean; torchmetrics clamps it at 0, and so its ends."""
    changed: dict[str, object] = {"value": clip_score(_cosines(verdicts, "cosine"), convention)}
    if convention == "torchmetrics":
        for key in ("ci_prompts", "ci_seeds"):
            if (ends := getattr(one, key)) is not None:
                changed[key] = (max(ends[0], 0.0), max(ends[1], 0.0))
    return one.model_copy(update=changed)


def _alone(name: str, verdicts: Sequence[Verdict], told: list[str]) -> Metric:
    """Measure the generated images without a reference; why it cannot be done is ``told``."""
    unit, of = ALONE[name]
    value: float | None = None
    if verdicts:
        try:
            value, apart = of(rows_of(verdicts, ROLE_OF[name])[0])
            told.append(f"{name}: its ten splits lie {apart:.3g} apart (standard deviation)")
        except UserError as error:
            told.append(f"{name} is not measured: {error}")
    prompts = len({verdict.item_id for verdict in verdicts})
    return Metric(name=name, value=value, n_prompts=prompts, n_images=len(verdicts), unit=unit)


def _by_task(
    name: str, sets: Sets, items: Sequence[Item], verdicts: Sequence[Verdict], told: list[str]
) -> list[Metric]:
    """Measure each task alone against the reference's images of its prompts; what cannot be is ``told``."""
    task_of = {item.id: item.task for item in items}
    prompt_of = {item.id: item.prompt or item.id for item in items}
    metrics: list[Metric] = []
    above: list[str] = []
    for task in dict.fromkeys(task_of.values()):
        inside = [place for place, verdict in enumerate(verdicts) if task_of[verdict.item_id] == task]
        try:
            real = sets.reference.only({key for key, its_task in task_of.items() if its_task == task})
            groups = Groups.by_prompt([prompt_of[verdicts[place].item_id] for place in inside])
            found = measured(name, Sets(sets.rows[inside], real, groups))
        except UserError as error:
            told.append(f"{task}/{name} is not measured: {error}")
            continue
        if _much(name, found):
            above.append(task)
        metrics.append(
            Metric(
                name=f"{task}/{name}",
                value=found.value,
                ci_prompts=interval_of(name, found),
                n_prompts=len({verdicts[place].item_id for place in inside}),
                n_images=len(inside),
                unit=MEASURES[name].unit,
            )
        )
    if above:
        told.append(
            f"{name} of {', '.join(above)} is, by the bias of so few images, above what endlessly many would "
            "have; its interval is about the value without it"
        )
    return metrics


def interval_of(name: str, found: Measured) -> Interval | None:
    """Return the jackknife's interval: of what the metric tends to, so about the value without its bias.

    Precision and its kin are defined for their N alone; theirs is about the value, within the unit's range.
    """
    if found.groups is None:
        return None
    low, high = found.groups.interval()
    if MEASURES[name].converges:
        return low, high
    shift = found.value - found.groups.corrected
    low, high = low + shift, high + shift
    return (max(low, 0.0), min(high, 1.0)) if MEASURES[name].unit == "fraction" else (low, high)


def group_scores(name: str, found: Measured, reference: Reference) -> list[Score]:
    """Return the jackknife's pseudo-values as scores, one for each group of prompts.

    They are moved so that their mean is the metric's value. Two checkpoints on the same prompts, held against
    the same reference, have groups of the same names, and to compare their scores pair by pair is the paired
    jackknife; those of other prompts or another reference do not pair.
    """
    if found.groups is None:
        return []
    pseudo = found.groups.pseudo_values
    moved = pseudo - pseudo.mean() + found.value
    name_of = digest_of([found.groups.digest, reference.digest])[:8]
    return [
        Score(item_id=f"group {place:02d} of {name_of}", task=name, index=0, value=float(one))
        for place, one in enumerate(moved)
    ]


def pair_scores_of(
    name: str, options: Options, items: Sequence[Item], verdicts: Sequence[Verdict]
) -> list[Score]:
    """Return the CLIP-score of each image, or by how much it is above that of a wrong caption."""
    by_id = {item.id: item for item in items}
    chosen = [v for v in verdicts if name == "clip_score" or "wrong_cosine" in v.output]
    if not chosen:
        return []
    values = pair_scores(_cosines(chosen, "cosine"), options.convention)
    if name == "clip_score_gap":
        values = values - pair_scores(_cosines(chosen, "wrong_cosine"), options.convention)
    return [
        Score(
            item_id=verdict.item_id,
            task=by_id[verdict.item_id].task,
            index=verdict.index,
            value=float(np.clip(value, -1, 1)) if options.convention == "cosine" else float(value),
            split=by_id[verdict.item_id].split,
        )
        for verdict, value in zip(chosen, values, strict=True)
    ]


def result_lines(options: Options, verdicts: Sequence[Verdict]) -> list[str]:
    """Return a JSON line for each image: which it is, and its cosines."""
    return [
        json.dumps(
            {
                "item_id": verdict.item_id,
                "index": verdict.index,
                "image_sha256": verdict.image_sha256,
                **{key: verdict.output[key] for key in ("cosine", "wrong_cosine") if key in verdict.output},
            },
            ensure_ascii=False,
        )
        for verdict in verdicts
    ]


def summary_text(metrics: Sequence[Metric], options: Options, references: dict[str, str]) -> str:
    """Return metrics with N, reference and extractor, one a line."""
    if not metrics or not metrics[0].n_images:
        return ""
    lines = []
    for one in metrics:
        value = "not measured" if one.value is None else f"{one.value:.6g}"
        measure = one.name.rpartition("/")[2]
        role = ROLE_OF[measure]
        against = f", against {references[role]}" if measure in MEASURES and role in references else ""
        lines.append(
            f"{one.name}: {value} ({one.unit}; {one.n_images} images of {one.n_prompts} prompts, "
            f"{options.extractors[role]}{against}){_without_bias(measure, one)}"
        )
    return "\n".join(lines) + "\n"


def _without_bias(measure: str, one: Metric) -> str:
    if measure not in MEASURES or not MEASURES[measure].converges or one.ci_prompts is None:
        return ""
    low, high = one.ci_prompts
    return f"; without the bias of N {(low + high) / 2:.6g}, 95 % over prompts {low:.6g} to {high:.6g}"


def _told_of_bias(name: str, found: Measured, count: int) -> list[str]:
    bias = bias_of_fid(found)
    if not _much(name, found) or bias is None or found.groups is None:
        return []
    low, high = found.groups.interval()
    share = f"{bias / found.value:.0%} of it" if bias < found.value else "as much as it is or more"
    return [
        f"{name} of {count} images is about {bias:.3g} above what endlessly many would have, "
        f"{share}; without that it is {found.groups.corrected:.3g} "
        f"(95 % over prompts {low:.3g} to {high:.3g}, which is its interval); compare {name} at the same N "
        "alone, or take fid_infinity or kid"
    ]


def _much(name: str, found: Measured) -> bool:
    """Whether more of a Fréchet distance is bias than a reader should have to guess."""
    bias = bias_of_fid(found)
    return name in ("fid", "clip_fid", "fd_dinov2") and bias is not None and bias > _MUCH * found.value


def _cosines(verdicts: Sequence[Verdict], key: str) -> list[float]:
    try:
        return [float(verdict.output[key]) for verdict in verdicts]
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"expected a cosine with the prompt in each verdict, found {error!r}; fix: judge the images again"
        ) from error
