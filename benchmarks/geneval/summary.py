"""The official result files: ``results.jsonl`` and the text that the summary script prints.

Line numbers are those of djghosh13/geneval at af4902f2.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.geneval.rules import Outcome

#: One official result record.
Row = dict[str, Any]


def result_row(filename: str, metadata: Mapping[str, Any], outcome: Outcome) -> Row:
    """Build the official record of one image (evaluate_images.py, 247 to 258)."""
    return {
        "filename": filename,
        "tag": metadata["tag"],
        "prompt": metadata["prompt"],
        "correct": outcome.correct,
        "reason": outcome.reason,
        "metadata": json.dumps(metadata),
        "details": outcome.details,
    }


def result_lines(rows: Sequence[Row]) -> list[str]:
    """Write records as the official script does, through pandas, which escapes "/" (evaluate_images.py, 280).

    Lines come without their newline.
    """
    import pandas as pd

    if not rows:
        return []
    return str(pd.DataFrame(rows).to_json(orient="records", lines=True)).splitlines()


def task_means(rows: Sequence[Row]) -> dict[str, float]:
    """Share of correct images per task, tasks in order of first appearance (summary_scores.py, 40 to 42)."""
    marks: dict[str, list[bool]] = {}
    for row in rows:
        marks.setdefault(row["tag"], []).append(row["correct"])
    return {task: float(np.mean(correct)) for task, correct in marks.items()}


def overall(rows: Sequence[Row]) -> float:
    """GenEval's score: the mean of the task means, whatever their sizes (summary_scores.py, 45)."""
    return float(np.mean(list(task_means(rows).values())))


def correct_images(rows: Sequence[Row]) -> float:
    """Share of all images that are correct; not the score: tasks differ in size (summary_scores.py, 30)."""
    return float(np.mean([row["correct"] for row in rows]))


def correct_prompts(rows: Sequence[Row]) -> float:
    """Share of prompts with at least one correct image; told apart by metadata (summary_scores.py, 31)."""
    any_correct: dict[str, bool] = {}
    for row in rows:
        any_correct[row["metadata"]] = any_correct.get(row["metadata"], False) or row["correct"]
    return float(np.mean(list(any_correct.values())))


def summary_text(rows: Sequence[Row]) -> str:
    """Return what the official summary script prints for these records (summary_scores.py, 26 to 45)."""
    prompts = len({row["metadata"] for row in rows})
    lines = [
        "Summary",
        "=======",
        f"Total images: {len(rows)}",
        f"Total prompts: {prompts}",
        f"% correct images: {correct_images(rows):.2%}",
        f"% correct prompts: {correct_prompts(rows):.2%}",
        "",
        "Task breakdown",
        "==============",
    ]
    for task, mean in task_means(rows).items():
        marks = [row["correct"] for row in rows if row["tag"] == task]
        lines.append(f"{task:<16} = {mean:.2%} ({sum(marks)} / {len(marks)})")
    lines += ["", f"Overall score (avg. over tasks): {overall(rows):.5f}"]
    return "\n".join(lines) + "\n"
