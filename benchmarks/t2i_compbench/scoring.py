"""From one verdict to the official answer of its image: which rule reads what."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from benchmarks.t2i_compbench.attribute import binding_answer
from benchmarks.t2i_compbench.boxes import detections_of
from benchmarks.t2i_compbench.errors import MissingValueError
from benchmarks.t2i_compbench.nouns import NOUNS, Nouns
from benchmarks.t2i_compbench.numeracy import numeracy_score
from benchmarks.t2i_compbench.options import Options
from benchmarks.t2i_compbench.prompt_set import BINDING, kind_of
from benchmarks.t2i_compbench.spatial import depth_score, spatial_score
from benchmarks.t2i_compbench.three_in_one import PARTS, three_in_one

#: As in the official result files: a text with four decimals for attributes, a number for all else.
Answer = str | float


def answer_of(
    category: str, prompt: str, output: Mapping[str, Any], options: Options, nouns: Nouns = NOUNS
) -> Answer:
    """Return the official answer for one image from what a judge said of it (``reading.py``).

    ``nouns`` are the objects that prompts of ``numeracy`` may name.

    Raises MissingValueError if what the rule needs is null or not there: also where the judge is another
    benchmark's.
    """
    if category in BINDING:
        return binding_answer(_list(output, "phrases"), options.attribute)
    if category == "non_spatial":
        return similarity_score(output)
    if category == "complex":
        return three_in_one(complex_scores(prompt, output, options), kind_of(prompt))
    detections = detections_of(_list(output, "detections"))
    if category == "spatial":
        return spatial_score(prompt, _list(output, "tokens"), detections, options.spatial)
    if category == "numeracy":
        return numeracy_score(_list(output, "tokens"), detections, nouns, options.numeracy)
    which = 0 if options.spatial_3d.depth_axes == "xy" else 1
    nearness = [pair[which] for pair in _list(output, "nearness")]
    return depth_score(prompt, _list(output, "tokens"), detections, nearness, options.spatial_3d)


def _list(output: Mapping[str, Any], key: str) -> list[Any]:
    found = output.get(key)
    if not isinstance(found, list):
        raise MissingValueError(key, "a list", found="none" if found is None else "something else")
    return found


def similarity_score(output: Mapping[str, Any]) -> float:
    """Return the plain cosine of text and image, -1 to 1: neither scaled nor cut at 0."""
    if output.get("similarity") is None:
        raise MissingValueError("similarity", "a number")
    return float(output["similarity"])


def complex_scores(prompt: str, output: Mapping[str, Any], options: Options) -> dict[str, float | None]:
    """Return the scores of the three parts of ``complex`` that count for the prompt.

    Those given as ``scores`` are taken as they are; for others the rules are applied to ``phrases``, to
    ``tokens`` and ``detections``, and to ``similarity`` where the verdict has them.
    """
    scores: dict[str, float | None] = {part: (output.get("scores") or {}).get(part) for part in _MAKERS}
    for part in PARTS[kind_of(prompt)]:
        if scores[part] is None:
            scores[part] = _MAKERS[part](prompt, output, options)
    return scores


def _attribute(prompt: str, output: Mapping[str, Any], options: Options) -> float | None:
    phrases = output.get("phrases")
    return None if phrases is None else float(binding_answer(phrases, options.attribute))


def _spatial(prompt: str, output: Mapping[str, Any], options: Options) -> float | None:
    tokens, rows = output.get("tokens"), output.get("detections")
    if tokens is None or rows is None:
        return None
    return spatial_score(
        prompt, tokens, detections_of(rows), dataclasses.replace(options.spatial, complex=True)
    )


def _action(prompt: str, output: Mapping[str, Any], options: Options) -> float | None:
    similarity: float | None = output.get("similarity")
    return similarity


_MAKERS = {"attribute": _attribute, "spatial": _spatial, "action": _action}
