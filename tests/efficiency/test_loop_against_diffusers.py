"""The program that sets our loop beside diffusers': its ways draw the same latents, caches skip as told."""

import re

import pytest
import torch
from diffusers import Lumina2Pipeline

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
    main([*SMALL, "--dtype", "float32", "--no-compile", "--float8"])
    shown = [line.strip() for line in capsys.readouterr().out.splitlines()]
    rows = {line.split("  ")[0]: line.split() for line in shown if re.search(r"  \d+\.\d{3} ?", line)}
    assert list(rows) == [
        "diffusers", "diffusers, cache-dit", "ours", "ours, float8", "ours, cache",
        "ours, chain of 18 dpm, float8", "ours, chain of 18 dpm, float8, cache",
    ]  # fmt: skip
    assert float(rows["diffusers"][-1]) < 1e-5
    assert float(rows["ours"][-1]) == 0
    assert 1e-4 < float(rows["ours, float8"][-1]) < 0.5
    assert rows["ours, cache"][-1].endswith("x"), "no share, no distance"
    chains = [" ".join(row) for name, row in rows.items() if "chain" in name]
    assert not any(re.search(r"\dx", row) for row in chains), "diffusers made another number of steps"


def test_the_chain_is_a_ratio_to_diffusers_at_its_default(capsys: pytest.CaptureFixture[str]) -> None:
    main([*SMALL, "--steps=30", "--dtype", "float32", "--no-compile", "--no-cache"])
    (chain,) = [line for line in capsys.readouterr().out.splitlines() if "chain of 18 dpm" in line]
    assert re.search(r" \d+\.\d\dx", chain)


@pytest.fixture
def no_code(monkeypatch: pytest.MonkeyPatch) -> None:
    """`torch.compile` makes graphs, and runs them as they are."""
    whole = torch.compile
    monkeypatch.setattr(torch, "compile", lambda call, mode=None, **how: whole(call, backend="eager", **how))


@pytest.mark.usefixtures("no_code")
def test_batches_of_many_sizes_are_compiled_each(capsys: pytest.CaptureFixture[str]) -> None:
    main([*SMALL, "--dtype=float32", "--batches", "1", "2", "3", "4", "5", "--steps=3"])
    shown = capsys.readouterr().out
    assert all(f"batch {size}" in shown for size in range(1, 6))
    for name in ("diffusers, one graph", "diffusers, cache-dit, compiled", "ours, compiled"):
        assert shown.count(name) == 5, name
    assert "Cache-DiT" not in shown


@pytest.mark.usefixtures("no_code")
def test_a_graph_without_a_break_draws_the_same(given: tuple[torch.Tensor, torch.Tensor]) -> None:
    """`fullgraph` raises where a graph breaks, so drawing is the proof."""
    model = random_model(TRIAL)
    with torch.inference_mode():
        plain = their_latents(their_pipeline(model), SAMPLING, NEGATIVE_TOKENS, *given)
        unbroken = compiled_without_break(their_pipeline(model), "default")
        for _ in range(2):  # a new generation has new masks
            torch.testing.assert_close(their_latents(unbroken, SAMPLING, NEGATIVE_TOKENS, *given), plain)


def test_cache_dit_computes_the_asked_for_steps(given: tuple[torch.Tensor, torch.Tensor]) -> None:
    untouched = Lumina2Pipeline.__call__
    pipeline = cached(random_model(TRIAL), SAMPLING, skipped(SAMPLING, 2))
    assert Lumina2Pipeline.__call__ is untouched, "the others run as diffusers made them"
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
        (["--device", "cpu", "--repeats", "0"], "--repeats of 1 or more, found 0"),
        (["--device", "cpu", "--steps", "2"], "--steps of 3 or more for a cache"),
        (["--device", "cpu", "--batches", "0"], "batches of 1 or more"),
        (["--device", "cpu", "--tokens", "300"], "fewer than 300 tokens"),
        (["--device", "cpu", "--peak-seconds", "0"], "--peak-seconds above 0"),
    ],
)
def test_mistakes_are_told(arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2
    assert told in capsys.readouterr().err
