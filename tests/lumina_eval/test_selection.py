"""Best of many equals: the naive score is lucky, the reported one is not."""

from __future__ import annotations

import numpy as np
import pytest

from lumina_eval.errors import UserError
from lumina_eval.records import Score
from lumina_eval.statistics.selection import best_of


def scores_of(values: np.ndarray) -> list[Score]:
    return [
        Score(item_id=f"{i}", task="ab"[i % 2], index=k, value=float(value))
        for i, row in enumerate(values)
        for k, value in enumerate(row)
    ]


def test_the_best_of_equals_is_reported_without_its_luck():
    generator = np.random.default_rng(0)
    naive, reported, held = [], [], []
    for _ in range(150):
        candidates = {str(c): scores_of(generator.random((30, 2)) < 0.5) for c in range(8)}
        choice = best_of(candidates)
        naive.append(max(choice.chosen_on.values()))
        reported.append(choice.reported.value)
        low, high = choice.reported.ci_prompts
        held.append(low <= 0.5 <= high)
    error = np.std(reported) / np.sqrt(150)
    assert abs(np.mean(reported) - 0.5) < 3 * error
    assert np.mean(naive) > 0.5 + 10 * error
    assert np.mean(held) > 0.9


def test_a_clearly_better_candidate_is_chosen_and_the_halves_do_not_depend_on_the_others():
    generator = np.random.default_rng(1)
    good, bad, worse = (scores_of(generator.random((40, 4)) < p) for p in (0.9, 0.5, 0.4))
    one, other = best_of({"bad": bad, "good": good}), best_of({"good": good, "worse": worse, "bad": bad})
    assert one.name == other.name == "good"
    assert one.reported == other.reported
    assert one.reported.n_prompts == 20


def test_candidates_that_cannot_be_halved_or_compared_are_refused():
    with pytest.raises(UserError, match="found one in b"):
        best_of({"x": scores_of(np.ones((3, 1)))})
    with pytest.raises(UserError, match="only in x"):
        best_of({"x": scores_of(np.ones((8, 1))), "y": scores_of(np.ones((6, 1)))})
    with pytest.raises(UserError, match="none"):
        best_of({})
