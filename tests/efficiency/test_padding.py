"""What padding costs: counted by hand, and never less for a plan that is sorted."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.efficiency.padding import main, padding


def test_padding_by_hand() -> None:
    found = padding([1, 4, 1, 4, 2], 2, float)
    assert (found.planned, found.in_order, found.none) == (2 * 4 + 2 * 4 + 2, 2 * 1 + 2 * 4 + 4, 12)
    assert found.share == pytest.approx(18 / 12 - 1)
    assert found.gain == pytest.approx(1 - 14 / 18)


@given(st.lists(st.integers(1, 40), min_size=1, max_size=30), st.integers(1, 6))
def test_a_batch_of_one_has_no_padding_and_a_sorted_plan_no_gain(lengths: list[int], batch: int) -> None:
    assert padding(lengths, 1, float).share == pytest.approx(0)
    assert padding(sorted(lengths), batch, float).gain == pytest.approx(0)
    found = padding(lengths, batch, float)
    assert found.none <= found.planned


def test_a_batch_of_none_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--batch", "0"])
    assert "--batch 16" in capsys.readouterr().err
