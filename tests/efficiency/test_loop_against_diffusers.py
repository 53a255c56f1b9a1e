"""The program that sets our loop beside diffusers': its ways draw the same latents, caches skip as told."""

import pytest
import torch

from benchmarks.efficiency.diffusers_loops import (
    cached,
    compiled_without_break,
    their_latents,
    their_pipeline,
)
from benchmarks.efficiency.loop_against_diffusers import (
    NEGATIVE_TOKENS,
    TRIAL,
    main,
    random_model,
    skipped,
)
from lumina_model.sampling import Sampling

SMALL = [
    "--size=trial", "--device=cpu", "--side=64", "--batches=2", "--steps=4", "--repeats=1",
    "--peak-seconds=0.1",
]  # fmt: skip
SAMPLING = Sampling(solver="euler", steps=8, renorm=None, height=64, width=64)


@pytest.fixture
def given() -> tuple[torch.Tensor, torch.Tensor]:
    """Noise and features of two texts."""
    generator = torch.Generator().manual_seed(0)
    return torch.randn(2, 16, 8, 8, generator=generator), torch.randn(2, 9, 64, generator=generator)


def test_all_loops_have_a_row_and_those_of_one_sampling_agree(capsys: pytest.CaptureFixture[str]) -> None:
    main([*SMALL, "--dtype", "float32", "--no-compile"])
    lines = [line.split() for line in capsys.readouterr().out.splitlines() if "x" in line and "%" in line]
    names = [
        " ".join(words[: next(i for i, word in enumerate(words) if word[0].isdigit())]) for words in lines
    ]
    assert names == ["diffusers", "ours", "ours, chain"]
    assert float(lines[0][-1]) < 1e-5
    assert float(lines[1][-1]) == 0


def test_a_graph_without_a_break_draws_the_same(
    given: tuple[torch.Tensor, torch.Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`fullgraph` raises where a graph breaks, so drawing is the proof."""
    whole = torch.compile
    monkeypatch.setattr(torch, "compile", lambda call, **how: whole(call, backend="eager", **how))
    model = random_model(TRIAL)
    with torch.inference_mode():
        plain = their_latents(their_pipeline(model), SAMPLING, NEGATIVE_TOKENS, *given)
        unbroken = compiled_without_break(their_pipeline(model))
        for _ in range(2):  # a new generation has new masks
            torch.testing.assert_close(their_latents(unbroken, SAMPLING, NEGATIVE_TOKENS, *given), plain)


def test_cache_dit_computes_the_asked_for_steps(given: tuple[torch.Tensor, torch.Tensor]) -> None:
    pipeline = cached(their_pipeline(random_model(TRIAL)), SAMPLING, skipped(SAMPLING, 2))
    calls: list[int] = []
    pipeline.transformer.layers[1].register_forward_pre_hook(lambda *_: calls.append(1))
    with torch.inference_mode():
        their_latents(pipeline, SAMPLING, NEGATIVE_TOKENS, *given)
    assert len(calls) == 2 * 5  # both branches of evaluations 0, 2, 4, 6 and the last


def test_the_schedule_keeps_the_first_and_the_last_evaluation() -> None:
    assert skipped(SAMPLING, 2) == [1, 3, 5]
    assert skipped(SAMPLING, 3) == [1, 2, 4, 5]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--device", "cpu", "--side", "100"], "multiple of 16 pixels, found 100"),
        (["--device", "cpu", "--cache-every", "1"], "--cache-every of 2 or more"),
    ],
)
def test_mistakes_are_told(arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2
    assert told in capsys.readouterr().err
