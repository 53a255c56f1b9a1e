"""The simulation keeps its seeds, and the document says what it finds."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from lumina_eval.errors import UserError
from lumina_eval.statistics.simulation import coverage, differences, errors, ratios
from lumina_eval.statistics.simulation.document import BEGIN, END, SECTIONS, table, write
from lumina_eval.statistics.simulation.pairs import Pair
from lumina_eval.statistics.simulation.worlds import World, generator

DOCUMENT = Path(__file__).parents[2] / "docs" / "statistics.md"


def numbers(row: tuple[str, ...]) -> list[float]:
    return [float(cell.replace("−", "-").replace(",", "")) for cell in row[1:]]


def rows_in_document(name: str) -> dict[str, tuple[str, ...]]:
    text = DOCUMENT.read_text(encoding="utf-8")
    inside = text.partition(BEGIN.format(name=name))[2].partition(END.format(name=name))[0]
    cells = [
        tuple(cell.strip() for cell in line.strip("|").split("|")) for line in inside.strip().splitlines()
    ]
    return {row[0]: row for row in cells}


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section.name)
def test_the_document_has_every_table_whole(section):
    found = rows_in_document(section.name)
    assert tuple(section.head) in found.values()
    assert len(found) == section.count + 2  # head and rule


@pytest.mark.parametrize(
    ("name", "worlds", "simulate"),
    [
        ("coverage", coverage.WORLDS, coverage.row),
        ("difference", differences.PAIRS, differences.row),
        ("p", errors.PAIRS, errors.row),
    ],
)
def test_a_row_of_the_document_is_what_the_command_finds(name, worlds, simulate):
    smallest = next(world for world in worlds if world.name.startswith("one task of 15"))
    found = simulate(smallest, 10_000)
    assert numbers(rows_in_document(name)[smallest.name]) == pytest.approx(numbers(found), abs=0.0021)


def test_ratios_near_an_end_hold_the_truth_though_few_prompts_miss_anything():
    """With the variance as it is, only 0.85 of the intervals over prompts hold it in this world."""
    world = next(world for world in ratios.WORLDS if world.name == "60 prompts at 0.98")
    held = numbers(ratios.row(world, 300))
    assert min(held) > 0.95 - 3 * (0.95 * 0.05 / 300) ** 0.5


def test_pairs_have_the_difference_that_they_name():
    world = World("w", (0.6, 0.8), (40, 20))
    for alike, difference, kind in ((0.5, -0.05, "redrawn"), (0.8, 0.03, "copied"), (0.0, -0.1, "lost")):
        d = Pair("p", world, alike, difference, kind).differences(3000, generator("p"))
        by_task = [d[:, world.stratum == h].mean() for h in range(2)]
        assert np.mean(by_task) == pytest.approx(difference, abs=0.005)


def test_worlds_have_the_means_the_agreement_and_the_images_that_they_name():
    world = World("w", (0.6,), (500,), (4, 1), agreement=0.3)
    scores = world.scores(world.chances(40, generator("w")), generator("v"))
    assert np.isnan(scores).mean() == pytest.approx(3 / 8)
    whole = scores[:, ::2]
    assert whole.mean() == pytest.approx(0.6, abs=0.01)
    between = whole.mean(axis=-1).var() - whole.var(axis=-1, ddof=1).mean() / 4
    assert between / (0.6 * 0.4) == pytest.approx(0.3, abs=0.02)


def test_tables_are_written_between_their_marks_and_nowhere_else(tmp_path):
    file = tmp_path / "page.md"
    file.write_text(f"before\n{BEGIN.format(name='p')}\nold\n{END.format(name='p')}\nafter\n")
    write(file, "p", "new")
    assert file.read_text() == f"before\n{BEGIN.format(name='p')}\nnew\n{END.format(name='p')}\nafter\n"
    with pytest.raises(UserError, match="found them not"):
        write(file, "power", "new")
    assert table(SECTIONS[4], [("a", "1", "2")]).splitlines()[1:] == ["|---|---:|---:|", "| a | 1 | 2 |"]


def test_the_command_names_the_tables_that_there_are():
    words = [sys.executable, "-m", "lumina_eval.statistics.simulation"]
    done = subprocess.run([*words, "cover"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "coverage" in done.stderr
    done = subprocess.run([*words, "ratios", "--runs", "10"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("| world | `ci_prompts`, all count |")
