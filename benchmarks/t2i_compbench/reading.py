"""Verdict files: one JSON object a line, with what the rule of its category reads.

Everything is checked as it is read, and each line is scored once, so that whatever a rule lacks is told with
file and line and before anything is written.
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any, Final

from benchmarks.json_lines import need, objects_of, short
from benchmarks.t2i_compbench import validation as check
from benchmarks.t2i_compbench.boxes import detections_of
from benchmarks.t2i_compbench.errors import MissingValueError
from benchmarks.t2i_compbench.options import DEPTH_AXES, Options
from benchmarks.t2i_compbench.position import mean_depth
from benchmarks.t2i_compbench.prompt_set import BINDING, CATEGORIES, item_of
from benchmarks.t2i_compbench.scoring import answer_of
from lumina_eval.digests import digest_of
from lumina_eval.errors import UserError, nearest
from lumina_eval.records import Item, Verdict

#: Judge name of verdicts that came as a file.
SAVED: Final = "saved"

#: Categories whose images the official code puts in order by what follows the first "_", not the last.
BY_FIRST: Final = ("spatial", "3d_spatial", "numeracy")


def read_verdicts(file: Path, options: Options) -> tuple[list[Item], list[Verdict]]:
    """Read saved verdicts; they come by category, and within it by their number, as in the official results.

    The prompt is the file name up to the first "_"; equal prompts of a category are one. Raises UserError for
    whatever is wrong, with file and line.
    """
    found: list[tuple[int, Item, dict[str, Any]]] = []
    lines_of: dict[tuple[str, str], int] = {}
    for number, record in objects_of(file):
        where = f"{file}:{number}"
        filename, category = need(record, "filename", str, where), need(record, "category", str, where)
        if category not in CATEGORIES:
            raise UserError(
                f"{where}: unknown category {category!r} ({nearest(category, CATEGORIES)}); "
                f"fix: write one of {', '.join(CATEGORIES)}"
            )
        before = lines_of.setdefault((category, filename), number)
        if before != number:
            raise UserError(
                f"{where}: filename {filename!r} stands already in line {before} for category {category!r}; "
                "fix: keep one verdict for each image"
            )
        prompt, order, question_id = parts_of(filename, category, where)
        output = {
            "filename": filename,
            "category": category,
            "question_id": question_id,
            **_output(record, category, file.parent, where),
        }
        try:
            answer_of(category, prompt, output, options)
        except MissingValueError as error:
            raise UserError(f"{where}: {error}; fix: let the judge answer it for {filename!r}") from error
        found.append((order, item_of(category, prompt), output))
    if not found:
        raise UserError(f"expected a verdict a line, found none, in {file}; fix: judge the images first")
    found.sort(key=lambda entry: (CATEGORIES.index(entry[1].task), entry[0]))
    items = {item.id: item for _, item, _ in found}
    return list(items.values()), _verdicts(found)


def parts_of(filename: str, category: str, where: str) -> tuple[str, int, int]:
    """Return prompt, place in the order, and question id from ``{prompt}_{number}.png``, in any folder.

    The question id is the number after the last "_" (after the first in ``numeracy``). The place is the same
    number, except for ``BY_FIRST``: there it follows the first "_".
    """
    name = re.split(r"[/\\]", filename)[-1]
    prompt, *rest = (part.split(".")[0] if place else part for place, part in enumerate(name.split("_")))
    order = rest[0] if rest and category in BY_FIRST else rest[-1] if rest else ""
    question_id = rest[0] if rest and category == "numeracy" else rest[-1] if rest else ""
    if not prompt or not all(re.fullmatch(r"[0-9]{1,18}", text) for text in (order, question_id)):
        raise UserError(
            f"{where}: expected a filename like 'a red dog_000017.png' (the prompt without \"_\", then the "
            f"number), found {short(filename)}; fix: name the image as the official layout does"
        )
    return prompt, int(order), int(question_id)


def _output(record: dict[str, Any], category: str, folder: Path, where: str) -> dict[str, Any]:
    """Return what the rule of the category reads, checked."""
    if category in BINDING:
        return {"phrases": check.check_phrases(record, where)}
    if category == "non_spatial":
        return {"similarity": check.check_similarity(record, where)}
    if category == "complex":
        return check.check_complex(record, where)
    found: dict[str, Any] = {
        "tokens": check.check_tokens(record, where),
        "detections": check.check_detections(record, where),
    }
    if category == "3d_spatial" and record.get("nearness") is not None:
        found["nearness"] = check.check_nearness(record, len(found["detections"]), where)
    elif category == "3d_spatial":
        depth = check.check_depth(record, folder, where)
        # In both readings of the axes, and instead of the map: the verdict stands without other files.
        boxes = [detection.box for detection in detections_of(found["detections"])]
        found["nearness"] = [[mean_depth(depth, box, axes) for axes in DEPTH_AXES] for box in boxes]
        found["depth"] = record["depth"]
    return found


def _verdicts(found: list[tuple[int, Item, dict[str, Any]]]) -> list[Verdict]:
    images: Counter[str] = Counter()
    verdicts = []
    for _, item, output in found:
        verdicts.append(
            Verdict(
                item_id=item.id,
                index=images[item.id],
                image_sha256=digest_of(["saved verdict", output]),
                judge=SAVED,
                output=output,
            )
        )
        images[item.id] += 1
    return verdicts
