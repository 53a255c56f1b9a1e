"""What may stand in a protocol's table ``[judge]``, and what is said where something else does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from benchmarks.dpg.judging import open_judge as open_dpg
from benchmarks.geneval.opening import open_judge as open_geneval
from benchmarks.t2i_compbench.judging import open_judge as open_t2i
from lumina_eval.errors import UserError

Opener = Callable[[dict[str, Any]], object]
HOW: dict[str, Any] = {"device": "cpu", "batch_size": 4}
GENEVAL = {"detector": "mask2former", "weights": "x", "colors": "x", "colored_above": 0.05, **HOW}
T2I = {"vqa": "x", "detector": "x", "threshold": 0.5, "clip": "x", "depth": "x", **HOW}
DPG = {"answerer": "blip", "weights": "x", **HOW}
WHOLE = "a whole number of at least 1 for judge.batch_size"


@pytest.mark.parametrize(
    ("opener", "table"),
    [(open_geneval, GENEVAL), (open_t2i, T2I), (open_dpg, DPG)],
    ids=["geneval", "t2i", "dpg"],
)
def test_every_judge_tells_alike_what_is_wrong_with_its_table(opener: Opener, table: dict[str, Any]) -> None:
    first = next(iter(table))
    rest = {key: value for key, value in table.items() if key != first}
    cases = [
        ({**table, "devise": "cpu"}, r"unknown key in the table \[judge\]: 'devise'; did you mean .*device"),
        (
            {**rest, f"{first}s": "x"},
            rf"unknown key .*: '{first}s'; did you mean {first}",
        ),
        ({**table, "batch_size": 0}, rf"expected {WHOLE}, found 0; fix: --set judge.batch_size=VALUE"),
        ({**table, "batch_size": True}, rf"expected {WHOLE}, found True"),
        ({**table, "batch_size": "4"}, rf"expected {WHOLE}, found '4'"),
        ({**table, "device": 3}, r"expected a text for judge.device, found 3; fix: --set judge.device=VALUE"),
        (rest, rf"expected {first}, .* table \[judge\], found no {first}; fix: extends"),
    ]
    for wrong, told in cases:
        with pytest.raises(UserError, match=told):
            opener(wrong)


@pytest.mark.parametrize(
    ("opener", "table", "told"),
    [
        (open_geneval, {**GENEVAL, "detector": "mask2forner"}, "unknown judge.detector .* mean mask2former"),
        (
            open_geneval,
            {**GENEVAL, "colored_above": 1.5},
            "a number of at least 0 and of at most 1 for judge.c",
        ),
        (open_geneval, {**GENEVAL, "colored_above": float("nan")}, "for judge.colored_above, found nan"),
        (
            open_t2i,
            {**T2I, "threshold": 1},
            "a number of at least 0 and below 1 for judge.threshold, found 1",
        ),
        (open_dpg, {**DPG, "choice": "json"}, "unknown judge.choice 'json'"),
        (open_dpg, {**DPG, "answerer": 1}, "one of mplug, blip, .* for judge.answerer, found 1"),
        (open_dpg, {**DPG, "timeout": 0.0}, "a number above 0 for judge.timeout, found 0.0"),
    ],
)
def test_ranges_and_choices(opener: Opener, table: dict[str, Any], told: str) -> None:
    with pytest.raises(UserError, match=told):
        opener(table)
