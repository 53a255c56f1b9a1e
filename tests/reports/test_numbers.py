"""How numbers are written."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports import numbers


@given(st.floats(allow_nan=False, allow_infinity=False, min_value=-1e6, max_value=1e6), st.integers(0, 5))
def test_a_written_number_reads_back_within_its_last_digit(value: float, places: int) -> None:
    text = numbers.fixed(value, places)
    assert math.isclose(float(text.replace("−", "-")), value, abs_tol=0.5 * 10.0**-places + 1e-9)
    assert text not in ("−0", "−0.0", "−0.00", "−0.000")


@pytest.mark.parametrize("value", [None, math.nan, math.inf])
def test_the_unknown_is_an_em_dash(value: float | None) -> None:
    assert numbers.fixed(value, 3) == "—"
    assert numbers.signed(value, 3) == "—"
    assert numbers.p_value(value) == "—"
    assert numbers.duration(value) == "—"


def test_differences_carry_their_sign() -> None:
    assert [numbers.signed(v, 2) for v in (0.1, -0.1, 0.0)] == ["+0.10", "−0.10", "0.00"]


def test_a_p_value_is_never_an_exact_zero() -> None:
    assert [numbers.p_value(p) for p in (0.0, 0.0004, 0.04)] == ["< 0.001", "< 0.001", "0.040"]


@given(st.integers(0, 10**6), st.integers(1, 10**6))
def test_full_coverage_is_only_written_when_nothing_is_missing(part: int, whole: int) -> None:
    part = min(part, whole)
    assert (numbers.percent(part, whole) == "100 %") == (part == whole)
    assert not numbers.percent(part, whole).startswith("100.0")


def test_nothing_expected_has_no_coverage() -> None:
    assert numbers.percent(0, 0) == "—"
