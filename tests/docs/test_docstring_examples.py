"""Every example in a docstring shows what its module does today."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WITH_EXAMPLES = [
    file.relative_to(ROOT)
    for package in ("lumina_eval", "lumina_model", "benchmarks", "reports")
    for file in sorted((ROOT / package).rglob("*.py"))
    if ">>> " in file.read_text(encoding="utf-8")
]


@pytest.mark.parametrize("file", WITH_EXAMPLES, ids=str)
def test_the_examples_of_a_module_hold(file: Path) -> None:
    module = importlib.import_module(".".join(file.with_suffix("").parts))
    assert doctest.testmod(module).failed == 0


def test_there_are_examples() -> None:
    assert len(WITH_EXAMPLES) > 10
