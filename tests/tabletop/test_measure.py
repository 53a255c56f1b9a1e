"""The measurements themselves: each must see the fault that it is there to see."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from benchmarks.tabletop import cli
from benchmarks.tabletop.trial import card, measure, scripted
from benchmarks.tabletop.trial.distortions import Picture, blurred, through
from benchmarks.tabletop.world.scene import Scene
from lumina_eval.errors import UserError

ITEMS = measure.prompts("dev")


def blank(scene: Scene, size: int, rng: np.random.Generator) -> Picture:
    return np.full((size, size, 3), 156, np.uint8)


def swapped(picture: Picture) -> Picture:
    """A painter who takes red for blue."""
    return np.ascontiguousarray(picture[:, :, ::-1])


def test_the_score_of_the_truth_is_high_and_that_of_nothing_is_zero() -> None:
    drawn = measure.samples(ITEMS, 24, seed=1)
    assert measure.accuracy(drawn, 64).value >= 0.95
    assert measure.accuracy(drawn, 64, blank).value == 0
    assert measure.accuracy(drawn, 64).value > measure.accuracy(drawn, 64, blurred(3)).value


def test_samples_take_the_tasks_in_turn_and_fulfil_their_prompts() -> None:
    drawn = measure.samples(ITEMS, 30, seed=2)
    assert len({s.item.task for s in drawn[:6]}) == 6
    assert drawn == measure.samples(ITEMS, 30, seed=2)


def test_shuffled_prompts_score_what_chance_gives() -> None:
    found, chance = measure.shuffled(measure.samples(ITEMS, 60, seed=3), 64, seed=3)
    assert 0 < chance < 0.1
    assert found.ci_prompts[0] <= chance <= found.ci_prompts[1]


def test_a_painter_who_swaps_colors_fails_by_color_alone() -> None:
    pairs = measure.edits(ITEMS, 12, seed=4)
    assert all(len(found) == 12 for found in pairs.values())
    draw = through(swapped)
    _, colors = measure.discrimination(pairs["color"], 64, draw)
    _, counts = measure.discrimination(pairs["count less"], 64, draw)
    assert colors.value < 0.7 < counts.value


def pool(right: float, wrong: float, prompts: int = 120, pictures: int = 50) -> scripted.Pool:
    rng = np.random.default_rng(0)
    return scripted.Pool(
        rng.random(prompts),
        np.arange(prompts) % 6,
        rng.random((prompts, pictures)) < right,
        rng.random((prompts, pictures)) < wrong,
    )


@pytest.mark.parametrize(("right", "wrong"), [(1.0, 0.0), (0.9, 0.0), (0.9, 0.2)])
def test_the_slope_is_sensitivity_plus_specificity_less_one(right: float, wrong: float) -> None:
    found, error = scripted.slope(pool(right, wrong), 3000, seed=1)
    assert found == pytest.approx(right - wrong, abs=5 * error + 0.01)


def test_intervals_cover_with_a_perfect_judge_and_not_with_a_poor_one() -> None:
    good = scripted.coverage(pool(1, 0), 15, 600, seed=2)
    assert 0.92 < good.seeds < 0.985
    assert 0.92 < good.prompts < 0.985
    poor = scripted.coverage(pool(0.7, 0.0), 15, 600, seed=2)
    assert poor.seeds < 0.7
    assert poor.prompts < 0.8


def test_comparisons_err_as_rarely_as_stated_and_find_what_is_there() -> None:
    same, better = (scripted.decisions(pool(1, 0), gain, 15, 300, seed=3) for gain in (0.0, 0.15))
    assert same.difference == 0
    assert same.significant <= 0.09
    assert 0.1 < better.difference <= 0.15
    assert better.significant > 0.8


def test_a_pool_is_judged_through_pixels() -> None:
    found = scripted.judged_pool(ITEMS[:8], 64, 1, seed=5)
    assert found.right.mean() > 0.8
    assert found.wrong.mean() < 0.2
    dull = scripted.judged_pool(ITEMS[:8], 64, 1, seed=5, draw=blank)
    assert not dull.right.any()


def test_the_card_keeps_what_stands_around_its_tables(tmp_path: Path) -> None:
    file = tmp_path / "CARD.md"
    file.write_text(f"# before\n\n{card.BEGIN}\nold\n{card.END}\n\nafter\n")
    table = card.Table("Title", "Text.", ("a", "b"), [("1", "2")])
    card.write_between_markers(file, card.markdown([table]))
    text = file.read_text()
    assert text.startswith("# before\n")
    assert text.endswith("after\n")
    assert "old" not in text
    assert "| a | b |\n|---|---|\n| 1 | 2 |" in text
    card.write_between_markers(file, card.markdown([table]))
    assert file.read_text() == text, "the same tables again change nothing"


def test_a_card_without_markers_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "CARD.md"
    file.write_text("mine")
    with pytest.raises(UserError, match="found not both"):
        card.write_between_markers(file, "tables")
    assert file.read_text() == "mine"
    with pytest.raises(UserError, match="expected a card"):
        card.write_between_markers(tmp_path / "none.md", "tables")


def test_the_whole_card_can_be_made() -> None:
    least = dataclasses.replace(card.QUICK, pictures=12, edits=1, curve=6, pool=1, runs=10, comparisons=3)
    items = [item for k, item in enumerate(ITEMS) if k % 20 == 0 or item.task == "counting"]
    made = [card._accuracy(items, least, [("clean", blurred(0))]), *card._scripted(items[:12], least)]
    assert all(len(row) == len(table.head) for table in made for row in table.rows)


@pytest.mark.parametrize("what", ["scenes", "judged", "vocabulary"])
def test_sheets_are_written(tmp_path: Path, what: str) -> None:
    out = tmp_path / "sheet.png"
    done = CliRunner().invoke(cli.app, ["show", str(out), "--what", what, "--count", "3", "--size", "64"])
    assert done.exit_code == 0, done.output
    assert out.read_bytes().startswith(b"\x89PNG")
