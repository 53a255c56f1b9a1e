"""Compiled blocks: equal to the others, and replaced by them, with the reason, where compiling fails."""

import pytest
import torch

from lumina_model.compiled import CompiledBlocks
from lumina_model.next_dit import NextDiT
from lumina_model.rope import text_rotation


def inputs(model: NextDiT, length: int) -> tuple[torch.Tensor, torch.Tensor, tuple[torch.Tensor, ...], None]:
    config = model.config
    rotation = text_rotation(length, config.axes_dim_rope, config.rope_theta, torch.device("cpu"))
    return torch.randn(2, length, config.hidden_size), torch.randn(2, config.time_dim), rotation, None


def test_compiled_blocks_equal_the_others_at_several_lengths(model: NextDiT) -> None:
    blocks = CompiledBlocks()
    with torch.inference_mode():
        for length in (9, 14):
            given = inputs(model, length)
            torch.testing.assert_close(blocks(model, *given), model.run_blocks(*given), atol=1e-4, rtol=1e-4)
    assert blocks.reason is None


def test_blocks_that_cannot_be_compiled_run_as_they_are_and_say_why_once(
    model: NextDiT, monkeypatch: pytest.MonkeyPatch, recwarn: pytest.WarningsRecorder
) -> None:
    def broken(graph: torch.fx.GraphModule, given: list[torch.Tensor]) -> None:
        raise OSError("no C++ compiler")

    monkeypatch.setattr(
        torch, "compile", lambda function, compile=torch.compile: compile(function, backend=broken)
    )
    blocks = CompiledBlocks()
    given = inputs(model, 9)
    for _ in range(2):
        assert torch.equal(blocks(model, *given), model.run_blocks(*given))
    assert "no C++ compiler" in (blocks.reason or "")
    assert len([one for one in recwarn if "uncompiled" in str(one.message)]) == 1
