"""Why an image is wrong, in a line, from what the judge found."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from lumina_eval.records import Verdict

#: Answers and phrases named in one line.
NAMED: Final = 4


def reason(verdict: Verdict, row: Mapping[str, Any]) -> str:
    """Return the reason that the benchmark's own result line gives, else what the judge's output says.

    ``row`` is the result line of the image, empty where there is none. An answerer's questions are named that
    were not answered with yes, a phrase judge's phrases with their probability.
    """
    if said := row.get("reason"):
        return str(said).replace("\n", "; ")
    answers, phrases = verdict.output.get("answers"), verdict.output.get("phrases")
    if isinstance(answers, Mapping):
        found = [f"{question} {answer}" for question, answer in answers.items() if answer != "yes"]
    elif isinstance(phrases, list):
        found = [
            f"{one['text']} {one['yes_probability']:.2f}"
            for one in phrases
            if isinstance(one, Mapping) and isinstance(one.get("yes_probability"), float) and "text" in one
        ]
    else:
        return ""
    more = len(found) - NAMED
    return "; ".join([*found[:NAMED], *([f"and {more} more"] if more > 0 else [])])
