"""Fewer images per prompt than the protocol's ten are a subset, also where the prompts are not at hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

CATEGORY = ("--set", 'prompts.categories=["non_spatial"]')


def lines(per_prompt: int) -> list[dict[str, Any]]:
    return [
        {"filename": f"{prompt}_{number:06d}.png", "category": "non_spatial", "similarity": 0.3}
        for place, prompt in enumerate(("a man reads", "a dog sleeps"))
        for number in range(place * per_prompt, (place + 1) * per_prompt)
    ]


def test_one_image_of_each_prompt_is_a_subset(write: Callable[..., Path], judge: Any) -> None:
    told = judge(write(*lines(1)), *CATEGORY)
    assert told.code == 0
    assert told.record["subset"] == "the 2 prompts that were given, 1 of 10 images per prompt"
    assert judge(write(*lines(10)), *CATEGORY).record["subset"] == "the 2 prompts that were given"


def test_a_number_below_that_of_the_file_is_refused(write: Callable[..., Path], judge: Any) -> None:
    told = judge(write(*lines(10)), *CATEGORY, "--images-per-prompt", 4)
    assert told.code == 2
    assert "found image 4 of item non_spatial-" in told.stderr
    assert "and 11 more" in told.stderr
