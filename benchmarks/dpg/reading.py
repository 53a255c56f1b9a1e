"""Verdict files: one JSON object a line with ``item_id``, ``crop`` and ``answers``.

Everything is checked as it is read; what is wrong is a UserError naming file, line and place.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.dpg.grid import CROPS
from benchmarks.dpg.questions import Question
from benchmarks.json_lines import need, objects_of, short
from lumina_eval.digests import digest_of
from lumina_eval.errors import UserError
from lumina_eval.records import Verdict

#: Judge name of verdicts that came as a file.
SAVED = "saved"


def read_verdicts(file: Path) -> list[tuple[str, Verdict]]:
    """Return each verdict with the place that it stands in, ``FILE:LINE``."""
    lines_of: dict[tuple[str, int], str] = {}
    found = []
    for number, record in objects_of(file):
        where = f"{file}:{number}"
        item_id, crop = need(record, "item_id", str, where), _crop(record, where)
        answers = _answers(record, where)
        if (item_id, crop) in lines_of:
            raise UserError(
                f"{where}: expected one verdict for crop {crop} of item {item_id!r}, found another at "
                f"{lines_of[item_id, crop]}; fix: keep one of them"
            )
        lines_of[item_id, crop] = where
        verdict = Verdict(
            item_id=item_id,
            index=crop,
            image_sha256=digest_of(["saved verdict", item_id, crop, answers]),
            judge=SAVED,
            output={"answers": answers},
        )
        found.append((where, verdict))
    if not found:
        raise UserError(f"expected a verdict a line, found none, in {file}; fix: judge the images first")
    return found


def check_answered(questions: Sequence[Question], verdict: Verdict, where: str) -> Mapping[str, str]:
    """Return the answers of a verdict; raise UserError unless there is one for each of ``questions``."""
    answers: Mapping[str, str] = verdict.output["answers"]
    lacking = [question.text for question in questions if question.text not in answers]
    if lacking:
        more = f" and to {len(lacking) - 1} more questions" if len(lacking) > 1 else ""
        raise UserError(
            f"{where}: expected an answer to {lacking[0]!r}{more} for crop {verdict.index} of item "
            f"{verdict.item_id!r}, found none; fix: ask the judge every question of the item, and key its "
            "answers by the text of the question"
        )
    return answers


def _crop(record: Mapping[str, Any], where: str) -> int:
    value = record.get("crop")
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < CROPS:
        found = short(value) if "crop" in record else "no such key"
        raise UserError(
            f"{where}: expected a crop from 0 to {CROPS - 1} (top left, top right, bottom left, "
            f"bottom right), found {found}; fix: write the place of the crop in its grid"
        )
    return value


def _answers(record: Mapping[str, Any], where: str) -> dict[str, str]:
    answers: dict[str, str] = need(record, "answers", dict, where)
    for question, answer in answers.items():
        if not isinstance(answer, str):
            raise UserError(
                f"{where}: expected a string as the answer to {question!r}, found {short(answer)}; "
                "fix: write the judge's words, or leave the crop out if it failed"
            )
    return answers
