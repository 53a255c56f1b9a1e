"""Compiled blocks: equal to the others, and replaced by them, with the reason, where compiling fails."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from lumina_model import embedded
from lumina_model.adapter import LuminaModel
from lumina_model.compiled import CompiledBlocks
from lumina_model.next_dit import NextDiT
from lumina_model.packed_attention import attend
from lumina_model.rope import text_rotation

PROMPT = "a photo of a red circle"


def inputs(model: NextDiT, lengths: list[int]) -> tuple[torch.Tensor, ...]:
    """Tokens, time, rotation and lengths of a row."""
    config = model.config
    parts = [
        text_rotation(length, config.axes_dim_rope, config.rope_theta, torch.device("cpu"))
        for length in lengths
    ]
    tokens = torch.randn(1, sum(lengths), config.hidden_size)
    return tokens, torch.randn(1, config.time_dim), torch.cat(parts, dim=1), torch.tensor(lengths)


def test_compiled_blocks_equal_the_others_in_rows_of_several_kinds(model: NextDiT) -> None:
    blocks = CompiledBlocks()
    with torch.inference_mode():
        for lengths in ([9, 9], [14, 14, 14, 3], [5]):
            given = inputs(model, lengths)
            torch.testing.assert_close(blocks(model, *given), model.run_blocks(*given), atol=1e-4, rtol=1e-4)
    assert blocks.reason is None


def test_rows_of_other_lengths_are_not_compiled_anew(model: NextDiT, monkeypatch: pytest.MonkeyPatch) -> None:
    graphs: list[torch.fx.GraphModule] = []

    def count(graph: torch.fx.GraphModule, given: list[torch.Tensor]) -> Callable[..., object]:
        graphs.append(graph)
        return graph.forward

    monkeypatch.setattr(
        torch, "compile", lambda function, compile=torch.compile: compile(function, backend=count)
    )
    blocks = CompiledBlocks()
    with torch.inference_mode():
        for lengths in ([9, 9], [14, 3, 3], [5, 5, 5, 5, 5, 3], [8, 7], [6, 6, 6, 4, 4]):
            blocks(model, *inputs(model, lengths))
    assert len(graphs) <= 2  # of the first length, then of any


def test_blocks_that_cannot_be_compiled_run_as_they_are_and_say_why_once(
    model: NextDiT, monkeypatch: pytest.MonkeyPatch, recwarn: pytest.WarningsRecorder
) -> None:
    def broken(graph: torch.fx.GraphModule, given: list[torch.Tensor]) -> None:
        raise OSError("no C++ compiler")

    monkeypatch.setattr(
        torch, "compile", lambda function, compile=torch.compile: compile(function, backend=broken)
    )
    blocks = CompiledBlocks()
    given = inputs(model, [9, 9])
    for _ in range(2):
        assert torch.equal(blocks(model, *given), model.run_blocks(*given))
    assert "no C++ compiler" in (blocks.reason or "")
    assert len([one for one in recwarn if "uncompiled" in str(one.message)]) == 1


def test_what_the_step_cache_does_not_skip_runs_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    rows: list[int] = []
    whole = CompiledBlocks.__call__

    def counted(self: CompiledBlocks, *given: Any) -> torch.Tensor:
        rows.append(len(given[-1]))
        return whole(self, *given)

    monkeypatch.setattr(CompiledBlocks, "__call__", counted)
    options = {"device": "cpu", "steps": "6", "cache": "0.4"}
    parts = embedded.parts("low_res")
    drawn = [
        np.asarray(LuminaModel("embedded", "low_res", parts, given).generate([PROMPT], [0])[0])
        for given in (options, {**options, "compile": "true"})
    ]
    assert 2 <= len(rows) < 6, "the first and the last at least, and not all"
    assert np.abs(drawn[0].astype(int) - drawn[1]).max() <= 1


def test_the_promise_to_the_compiler_holds_under_any_kernel(model: NextDiT) -> None:
    """The kernel of plain products returns another order in memory than the others."""
    given = inputs(model, [9])
    with torch.inference_mode(), sdpa_kernel(SDPBackend.MATH):
        assert attend(*torch.randn(3, 1, 9, 4, 8), torch.tensor([9])).is_contiguous()
        compiled = CompiledBlocks()(model, *given)
        torch.testing.assert_close(compiled, model.run_blocks(*given), atol=1e-4, rtol=1e-4)
