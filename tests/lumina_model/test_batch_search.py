"""Which batch is taken: never more than fits, never less for more memory, whatever was measured."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lumina_model.batch_search import (
    FLAT,
    MARGIN,
    MOST_UNTOLD,
    PATIENCE,
    WORTH,
    Search,
    Trial,
    choice,
    expected_memory,
    search,
)

SIZES = [2**k for k in range(9)]
SPEEDS = st.lists(st.floats(0.01, 100), min_size=len(SIZES), max_size=len(SIZES))
LINES = st.tuples(st.integers(0, 10**9), st.integers(1, 10**8))
FREE = st.integers(0, 2 * 10**10)


class Device:
    """Draws any batch; its memory is a line over the batch."""

    def __init__(self, speeds: Sequence[float], fixed: int, each: int) -> None:
        self.speeds, self.fixed, self.each = dict(zip(SIZES, speeds, strict=True)), fixed, each
        self.tried: list[int] = []

    def memory(self, size: int) -> int:
        return self.fixed + self.each * size

    def measure(self, size: int) -> Trial:
        self.tried.append(size)
        return Trial(size, self.speeds[size], self.memory(size))


@given(SPEEDS, LINES, FREE)
def test_nothing_larger_is_tried_or_taken_than_fits(
    speeds: list[float], line: tuple[int, int], free: int
) -> None:
    device = Device(speeds, *line)
    found = search(device.measure, free)
    room = (1 - MARGIN) * free
    assert all(device.memory(size) <= room for size in device.tried if size > 1)
    assert found.size == 1 or device.memory(found.size) <= room


@given(SPEEDS, st.lists(st.integers(0, 10**10), min_size=9, max_size=9), FREE, FREE)
def test_more_memory_never_means_fewer_images(
    speeds: list[float], readings: list[int], one: int, other: int
) -> None:
    def at(free: int) -> int:
        trials = [Trial(*each) for each in zip(SIZES, speeds, readings, strict=True)]
        return search(lambda size: trials[SIZES.index(size)], free).size

    assert at(min(one, other)) <= at(max(one, other))


@given(SPEEDS)
def test_no_smaller_batch_is_faster_and_the_next_doublings_bring_too_little(speeds: list[float]) -> None:
    found = search(Device(speeds, 0, 1).measure, 10**9)
    by_size = dict(zip(SIZES, speeds, strict=True))
    place = SIZES.index(found.size)
    assert all(by_size[size] <= by_size[found.size] for size in SIZES[:place])
    assert all(by_size[size] < WORTH * by_size[found.size] for size in SIZES[place + 1 : place + 1 + FLAT])
    assert len(found.trials) == min(place + 1 + FLAT, len(SIZES))


@given(LINES, FREE)
def test_where_every_doubling_pays_memory_alone_decides(line: tuple[int, int], free: int) -> None:
    device = Device(list(map(float, SIZES)), *line)
    room = (1 - MARGIN) * free
    found = search(device.measure, free).size
    fitting = [size for size in SIZES if device.memory(size) <= room]
    # of one image alone it is not known how much of its memory two would share
    assert found == max(fitting, default=1) or (found == 1 and 2 * device.memory(1) > room)


@pytest.mark.parametrize("most", [1, 2, 5, 16])
def test_the_limit_is_kept(most: int) -> None:
    found = search(Device(list(map(float, SIZES)), 0, 1).measure, 10**9, most)
    assert found.size == max(size for size in SIZES if size <= most)
    assert "limit" in found.why


def test_the_line_through_the_last_two_trials_tells_the_next() -> None:
    assert expected_memory([Trial(1, 1, 70)]) == 140
    assert expected_memory([Trial(1, 1, 70), Trial(2, 1, 90), Trial(4, 1, 130)]) == 210
    assert expected_memory([Trial(1, 1, 70), Trial(2, 1, 60)]) == 60  # readings waver
    assert expected_memory([Trial(1, 1, None), Trial(2, 1, 60)]) is None


@pytest.mark.parametrize("full", [1, 2, 8])
def test_a_batch_that_does_not_fit_ends_the_search(full: int) -> None:
    def measure(size: int) -> Trial | None:
        return None if size >= full else Trial(size, size, 1)

    found = search(measure, 10**9)
    assert found.size == max(1, full // 2)
    assert found.why == f"{full} did not fit in memory"
    assert [one.size for one in found.trials] == [size for size in SIZES if size < full]


@pytest.mark.parametrize("free", [None, 10**9])
def test_where_memory_is_not_told_no_large_batch_is_tried(free: int | None) -> None:
    found = search(lambda size: Trial(size, size, None), free)
    assert found.size == MOST_UNTOLD
    assert "does not tell" in found.why


def test_one_flat_doubling_ends_nothing() -> None:
    """The speeds of "How cost grows" in docs/efficiency.md: 8 images hardly pay, 16 do."""
    speeds = {1: 2.10, 2: 3.03, 4: 3.54, 8: 3.67, 16: 4.37, 32: 4.06, 64: 4.1, 128: 9.9}
    found = search(lambda size: Trial(size, speeds[size], size), 10**9)
    assert found.size == 16
    assert found.trials[-1].size == 64
    assert found.why == "up to 64 bring less than 5% more images a second than 16"


def test_no_larger_trial_follows_one_that_took_long() -> None:
    found = search(lambda size: Trial(size, size, 1, seconds=PATIENCE * size / 2), 10**9)
    assert (found.size, len(found.trials)) == (4, 3)
    assert "a trial of 8 would take more than" in found.why


def test_nothing_tried_is_one_image() -> None:
    assert choice([], 10**9) == 1


def test_the_record_is_json_with_the_speed_of_each_size() -> None:
    record: Mapping[str, Any] = Search((Trial(1, 2.5, 7), Trial(2, 2.5, None)), 1, "enough").record()
    assert record == {
        "batch_size": 1,
        "images_per_second": {"1": 2.5, "2": 2.5},
        "memory_bytes": {"1": 7, "2": None},
        "why": "enough",
    }
