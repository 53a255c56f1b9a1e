from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.dpg.questions import Question
from benchmarks.dpg.rules import (
    MissingParentError,
    asked,
    crop_score,
    dpg_score,
    item_score,
    raw_scores,
    with_dependencies,
)


def question(number: int, *parents: int, row: int = 0) -> Question:
    return Question(row, number, parents, "a - b (c)", f"{number}?")


def walked(questions: list[Question], *raw: int) -> list[float]:
    scores = {one.id: float(score) for one, score in zip(questions, raw, strict=True)}
    return list(with_dependencies(questions, scores).values())


def test_only_the_exact_word_counts() -> None:
    questions = [question(n) for n in range(1, 7)]
    answers = dict(zip((q.text for q in questions), ["yes", "Yes", "yes.", " yes", "no", ""], strict=True))
    assert list(raw_scores(questions, answers).values()) == [1, 0, 0, 0, 0, 0]


def test_a_no_runs_down_a_chain_of_earlier_parents() -> None:
    chain = [question(1, 0), question(2, 1), question(3, 2)]
    assert walked(chain, 0, 1, 1) == [0, 0, 0]
    assert walked(chain, 1, 1, 1) == [1, 1, 1]


def test_a_parent_that_comes_later_is_seen_with_its_raw_score() -> None:
    late = [question(3, 2), question(2, 1), question(1, 0)]
    assert walked(late, 1, 1, 0) == [1, 0, 0]


def test_any_parent_is_enough() -> None:
    both = [question(1, 0), question(2, 0), question(3, 1, 2)]
    assert walked(both, 1, 0, 1) == [1, 0, 0]


def test_parents_are_looked_up_until_one_is_no() -> None:
    """As in the official walk, so that its failure depends on the answers."""
    gap = [question(2, 0), question(3, 2, 1)]
    assert walked(gap, 0, 1) == [0, 0]
    with pytest.raises(MissingParentError, match="question 3 depends on question 1"):
        walked(gap, 1, 1)


def test_means_are_those_of_the_official_script() -> None:
    assert crop_score({1: 1.0, 2: 0.0, 3: 0.0}) == 1 / 3
    assert item_score([0.4, 0.6, 0.4, 0.4]) == 0.44999999999999996
    assert dpg_score([0.5, 0.44999999999999996]) == 47.5


def test_the_first_row_of_the_file_is_skipped_wherever_its_item_goes_on() -> None:
    rows = [question(1, 0, row=0), question(2, 0, row=1), question(3, 1, row=2)]
    assert [q.id for q in asked(rows, skip_first_row=True, later_block="replaces")] == [2, 3]
    assert [q.id for q in asked(rows, skip_first_row=False, later_block="replaces")] == [1, 2, 3]
    assert not asked(rows[:1], skip_first_row=True, later_block="replaces")


def test_a_later_block_replaces_the_earlier_ones_or_joins_them() -> None:
    rows = [question(n, 0, row=row) for n, row in ((1, 1), (2, 2), (3, 5), (4, 8), (5, 9))]
    assert [q.id for q in asked(rows, skip_first_row=True, later_block="replaces")] == [4, 5]
    assert [q.id for q in asked(rows, skip_first_row=True, later_block="joins")] == [1, 2, 3, 4, 5]


@st.composite
def graphs(draw: st.DrawFn) -> tuple[list[Question], list[int]]:
    ids = draw(st.permutations(range(1, draw(st.integers(1, 6)) + 1)))
    parents = st.lists(st.sampled_from([0, *ids]), min_size=1, max_size=3)
    questions = [question(n, *draw(parents), row=row) for row, n in enumerate(ids)]
    return questions, draw(st.lists(st.integers(0, 1), min_size=len(ids), max_size=len(ids)))


@settings(max_examples=300, deadline=None)
@given(graphs())
def test_the_walk_against_a_definition(graph: tuple[list[Question], list[int]]) -> None:
    """A question holds if it and its later parents were answered yes, and its earlier parents hold."""
    questions, raw = graph
    place = {one.id: k for k, one in enumerate(questions)}

    def holds(k: int) -> bool:
        parents = [place[p] for p in questions[k].parents if p]
        return bool(raw[k]) and all(holds(p) if p < k else bool(raw[p]) for p in parents)

    assert walked(questions, *raw) == [float(holds(k)) for k in range(len(questions))]


@settings(max_examples=200, deadline=None)
@given(graphs())
def test_dependencies_only_take_away_and_the_walk_is_done_at_once(
    graph: tuple[list[Question], list[int]],
) -> None:
    questions, raw = graph
    scores = {one.id: float(score) for one, score in zip(questions, raw, strict=True)}
    found = with_dependencies(questions, scores)
    assert all(found[number] <= scores[number] for number in scores)
    earlier = all(
        p in {q.id for q in questions[:k]} | {0} for k, one in enumerate(questions) for p in one.parents
    )
    if earlier:
        assert with_dependencies(questions, found) == found
    assert scores == {one.id: float(score) for one, score in zip(questions, raw, strict=True)}


def test_every_answer_to_three_questions() -> None:
    """All 8 answers to a question with two parents, one of them late, by hand."""
    questions = [question(1, 0), question(2, 1, 3), question(3, 0)]
    for a, b, c in itertools.product((0, 1), repeat=3):
        assert walked(questions, a, b, c) == [a, b * a * c, c]
