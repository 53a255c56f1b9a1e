"""Is a verdict well formed? What is wrong is a UserError that names the place, so that no rule meets it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from benchmarks.json_lines import need, short
from lumina_eval.errors import UserError

#: Boxes and scores pass through float32; what does not fit there is none.
_LARGEST: Final = float(np.finfo(np.float32).max)
_SCORES: Final[Mapping[str, tuple[float, float]]] = {
    "attribute": (0.0, 1.0), "spatial": (0.0, 1.0), "action": (-1.0, 1.0),
}  # fmt: skip


def check_phrases(record: Mapping[str, Any], where: str) -> list[dict[str, Any]]:
    """Return all noun phrases of the prompt, each ``{"text", "yes_probability"}``."""
    checked = []
    for place, phrase in enumerate(need(record, "phrases", list, where)):
        here = f"{where}: phrases[{place}]"
        if not isinstance(phrase, dict):
            raise UserError(
                f"{here}: expected an object, found {short(phrase)}; fix: write {{text, yes_probability}}"
            )
        text = need(phrase, "text", str, here)
        if "yes_probability" not in phrase:
            raise UserError(
                f"{here}: expected a number or null for 'yes_probability', found no such key; "
                "fix: write null where nothing was asked"
            )
        checked.append({"text": text, "yes_probability": _number(phrase, "yes_probability", 0.0, 1.0, here)})
    return checked


def check_tokens(record: Mapping[str, Any], where: str) -> list[list[str]]:
    """Return the words of the prompt, each [text, part of speech]."""
    tokens: list[list[str]] = need(record, "tokens", list, where)
    for place, token in enumerate(tokens):
        if not isinstance(token, list) or len(token) != 2 or not all(isinstance(text, str) for text in token):
            raise UserError(
                f"{where}: tokens[{place}]: expected [text, part of speech], found {short(token)}; "
                "fix: write two strings for each word"
            )
    return tokens


def check_detections(record: Mapping[str, Any], where: str) -> list[list[Any]]:
    """Return the detections in detector order, each [x1, y1, x2, y2, score, label]."""
    rows: list[list[Any]] = need(record, "detections", list, where)
    for place, row in enumerate(rows):
        here = f"{where}: detections[{place}]"
        if not isinstance(row, list) or len(row) != 6 or not isinstance(row[5], str):
            raise UserError(
                f"{here}: expected [x1, y1, x2, y2, score, label], found {short(row)}; "
                "fix: write five numbers and a name for each detection"
            )
        if not all(_is_number(value) and abs(value) <= _LARGEST for value in row[:5]):
            raise UserError(
                f"{here}: expected five finite float32 numbers and a label, found {short(row)}; "
                "fix: write corners in pixels, or leave the detection out"
            )
        x1, y1, x2, y2, score = row[:5]
        if x2 < x1 or y2 < y1:
            raise UserError(
                f"{here}: expected corners with x1 <= x2 and y1 <= y2, found {short(row)}; "
                "fix: write corners, not width and height"
            )
        if not 0 <= score <= 1:
            raise UserError(
                f"{here}: expected a score from 0 to 1, found {score}; "
                "fix: write the detector's score as a share, not in percent"
            )
    return rows


def check_depth(record: Mapping[str, Any], folder: Path, where: str) -> npt.NDArray[np.floating[Any]]:
    """Return the depth map that the verdict names; its path is relative to ``folder``."""
    path = folder / need(record, "depth", str, where)
    try:
        depth = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError, SyntaxError) as error:
        # numpy takes what it does not know for a pickle, and advises to load it unsafely.
        why = "no array of plain numbers" if "pickle" in str(error) else error
        raise UserError(
            f"{where}: cannot read depth map {path}: {why}; fix: write it with numpy.save, as floats"
        ) from error
    if not isinstance(depth, np.ndarray) or depth.ndim != 2 or not np.issubdtype(depth.dtype, np.floating):
        found = (
            f"{depth.dtype} of shape {depth.shape}" if isinstance(depth, np.ndarray) else type(depth).__name__
        )
        raise UserError(
            f"{where}: expected floats [row, column] in depth map {path}, found {found}; "
            "fix: save it with numpy.save as float32"
        )
    if not np.abs(depth).sum(dtype=np.float64) <= _LARGEST:  # so that every mean is finite; false for NaN
        raise UserError(
            f"{where}: expected finite numbers in depth map {path}, found NaN or infinity; "
            "fix: estimate the depth again, in float32"
        )
    return depth


def check_nearness(record: Mapping[str, Any], detections: int, where: str) -> list[list[float | None]]:
    """Return the mean depth of each detection, read [x, y] and [row, column]; null where the box has none."""
    rows: list[list[float | None]] = need(record, "nearness", list, where)
    if len(rows) != detections:
        raise UserError(
            f"{where}: expected nearness of {detections} detections, found {len(rows)}; "
            "fix: write one pair for each detection"
        )
    for place, row in enumerate(rows):
        if not isinstance(row, list) or len(row) != 2 or not all(x is None or _is_number(x) for x in row):
            raise UserError(
                f"{where}: nearness[{place}]: expected two numbers or null, read [x, y] and [row, column], "
                f"found {short(row)}; fix: write null where the box has no depth"
            )
    return rows


def check_similarity(record: Mapping[str, Any], where: str) -> float:
    """Return the cosine of text and image, -1 to 1."""
    value = _number(record, "similarity", -1.0, 1.0, where)
    if value is None:
        found = "null" if "similarity" in record else "no such key"
        raise UserError(
            f"{where}: expected a number for 'similarity', found {found}; "
            "fix: write the cosine of text and image"
        )
    return value


def check_scores(record: Mapping[str, Any], where: str) -> dict[str, float | None]:
    """Return the scores of the three parts of ``complex``; null where the prompt does not ask for one."""
    scores = need(record, "scores", dict, where)
    for name in scores:
        if name not in _SCORES:
            raise UserError(
                f"{where}: unknown score {name!r} in scores; fix: write {', '.join(_SCORES)} alone"
            )
    return {name: _number(scores, name, *limits, f"{where}: scores") for name, limits in _SCORES.items()}


def check_complex(record: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Return what a verdict on ``complex`` has: scores, or what the rules make them from."""
    readers: dict[str, Callable[[Mapping[str, Any], str], Any]] = {
        "scores": check_scores, "phrases": check_phrases, "tokens": check_tokens,
        "detections": check_detections, "similarity": check_similarity,
    }  # fmt: skip
    given = {key: read(record, where) for key, read in readers.items() if record.get(key) is not None}
    if not given:
        raise UserError(
            f"{where}: expected 'scores' {{attribute, spatial, action}} for category 'complex' (or phrases, "
            "tokens with detections, similarity), found none of them; "
            "fix: add what the judge found"
        )
    return given


def _number(record: Mapping[str, Any], key: str, low: float, high: float, where: str) -> float | None:
    value = record.get(key)
    if value is None:
        return None
    if not _is_number(value):
        raise UserError(
            f"{where}: expected a number for {key!r}, found {short(value)}; fix: write one from "
            f"{low:g} to {high:g}"
        )
    if not low <= value <= high:
        raise UserError(
            f"{where}: expected {key!r} from {low:g} to {high:g}, found {short(value)}; "
            "fix: write it neither scaled nor in percent"
        )
    return float(value)


def _is_number(value: Any) -> bool:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    return isinstance(value, int) or math.isfinite(value)
