"""Pairs of options of which one would do nothing: refused before an image is made; others are accepted."""

import itertools
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

from lumina_model.adapter import LuminaModel, checkpoint_parts
from lumina_model.errors import UserError
from lumina_model.guidance import guided_velocity
from lumina_model.idle_options import check_options
from lumina_model.sampling import Sampling
from lumina_model.solvers import SOLVERS

EACH = {
    "solver": "dpm", "steps": "2", "guidance": "1", "renorm": "1", "guidance_start": "0.1",
    "guidance_every": "2", "truncation": "0.5", "truncation_ratio": "0.5", "cache": "0.3",
    "cache_coefficients": "v2", "dynamic_shift": "true", "shift": "3", "negative_prompt": "blue",
    "grid": "dpm", "compile": "true", "dtype": "bfloat16",
}  # fmt: skip
#: Pairs beside which the one or the other has no effect, or which exclude each other.
REFUSED = {
    ("guidance", "renorm"), ("guidance", "guidance_start"), ("guidance", "truncation"),
    ("guidance", "truncation_ratio"), ("guidance", "negative_prompt"), ("guidance", "guidance_every"),
    ("truncation", "truncation_ratio"), ("dynamic_shift", "shift"), ("steps", "cache"),
    ("steps", "truncation"),
}  # fmt: skip
#: Options that move a state of a few numbers under a made-up velocity, and what each is without.
WITHOUT = {
    "solver": "euler", "steps": "20", "guidance": "4", "renorm": "none", "guidance_start": "0",
    "guidance_every": "1", "truncation": "none", "truncation_ratio": "none", "dynamic_shift": "false",
    "shift": "none",
}  # fmt: skip


def checked(options: dict[str, str]) -> Sampling:
    compiled = options.get("compile") == "true"
    given = {name: value for name, value in options.items() if name != "compile"}
    sampling = Sampling(solver="euler", steps=2 if "steps" in given else 20).updated(given)
    check_options(given, sampling, "cpu", compiled)
    return sampling


def drawn(sampling: Sampling) -> torch.Tensor:
    """Where a solver comes to with a made-up velocity: the oracle of what has an effect."""
    times = sampling.times(4096)

    def both(x: torch.Tensor, t: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return torch.cos(3 * x + t), torch.sin(2 * x - t)

    velocity = guided_velocity(
        lambda x, t: both(x, t)[0], both, sampling.guidance, sampling.renorm, sampling.guidance_stop(times),
        start=sampling.guidance_start, every=sampling.guidance_every,
    )  # fmt: skip
    return SOLVERS[sampling.solver](velocity, torch.linspace(-1, 1, 12).reshape(1, 3, 2, 2), times)


@pytest.mark.parametrize("pair", list(itertools.combinations(EACH, 2)), ids="-".join)
def test_every_pair_is_drawn_as_it_was_asked_for_or_refused(pair: tuple[str, str]) -> None:
    options = {name: EACH[name] for name in pair}
    refused = bool(REFUSED & {pair, pair[::-1]})
    refused |= "cache_coefficients" in pair and "cache" not in pair  # coefficients of no cache
    refused |= "grid" in pair and "solver" not in pair  # a grid of another solver
    if refused:
        with pytest.raises(UserError, match="fix: "):
            checked(options)
    else:
        found = checked(options)
        for name in pair:
            if name in WITHOUT:
                without = found.updated({name: WITHOUT[name], "grid": "auto"})
                assert not torch.equal(drawn(found), drawn(without)), name


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"guidance": "1", "truncation": "0.25"}, "found truncation, though guidance is 1"),
        ({"guidance": "1", "guidance_every": "2"}, "found guidance_every, though guidance is 1"),
        ({"guidance_every": "2", "steps": "1"}, "found guidance_every, .* fewer than two are guided"),
        ({"cache": "0.3", "solver": "dpm", "steps": "2"}, "all of 2 evaluations"),
        ({"points": "18", "steps": "17"}, "one of points and steps"),
        ({"guidance_start": "1"}, "guidance at one of the times"),
        ({"truncation_ratio": "0"}, "guidance at one of the times"),
        ({"solver": "dpm", "truncation": "0.0001"}, "guidance at one of the times"),
        (
            {"truncation": "1.5"},
            "found truncation, though guidance ends after the last time that a step visits",
        ),
        ({"truncation": "1"}, "found truncation, though guidance ends after"),
        ({"truncation_ratio": "1"}, "found truncation_ratio, though guidance ends after"),
        ({"steps": "2", "truncation": "0.99"}, r"a step visits \(0.143\); fix: an earlier time"),
        ({"cache_coefficients": "v2"}, "there is no cache"),
        ({"shift": "3", "dynamic_shift": "true"}, "dynamic_shift takes its place"),
        ({"system_prompt_in_negative": "false"}, "there is no negative_prompt"),
    ],
)
def test_what_has_no_effect_is_told_with_the_reason(options: dict[str, str], told: str) -> None:
    with pytest.raises(UserError, match=told):
        checked(options)


def test_what_is_idle_by_default_or_switched_off_is_no_mistake() -> None:
    off = {"guidance": "1", "truncation": "none", "renorm": "none", "cache": "none", "guidance_start": "0"}
    assert checked(off).guidance == 1
    checked({"guidance": "1"})  # renorm is 1 by default
    checked({"cache": "0.3", "solver": "midpoint", "steps": "2"})


def test_truncation_is_held_against_the_times_that_the_solver_visits() -> None:
    """Heun looks at t = 1 and midpoint between the times of the grid, where Euler does neither."""
    checked({"solver": "heun", "truncation": "1"})
    middle = {"solver": "midpoint", "steps": "2", "truncation": "0.3"}  # it visits 0, 0.07, 0.14, 0.57
    assert not torch.equal(drawn(checked(middle)), drawn(checked(middle).updated({"truncation": "none"})))
    with pytest.raises(UserError, match=r"a step visits \(0.571\)"):
        checked({**middle, "truncation": "0.6"})
    late = checked({"solver": "midpoint", "steps": "2", "guidance_start": "0.3"})  # the last middle alone
    assert not torch.equal(drawn(late), drawn(late.updated({"guidance": "1"})))


def test_a_refused_option_gives_other_images_where_it_does_something(pipeline_folder: Path) -> None:
    """The oracle of the table above: with guidance 1 truncation moves no pixel, with 4 it does."""

    def image(**options: str) -> np.ndarray:
        given = {"device": "cpu", "solver": "euler", "steps": "3", "max_text_tokens": "200", **options}
        model = LuminaModel("m", "m", checkpoint_parts(str(pipeline_folder)), {"device": "cpu"})
        sampling = model.settings.updated({k: v for k, v in given.items() if k != "device"})
        return np.asarray(model.pipeline.generate(["a cube"], [1], sampling))

    assert np.array_equal(image(guidance="1"), image(guidance="1", truncation="0.25"))
    assert not np.array_equal(image(guidance="4"), image(guidance="4", truncation="0.25"))


def test_the_model_refuses_before_it_reads_weights(
    pipeline_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LuminaModel, "load", lambda *_: pytest.fail("weights were read"))
    options = {"device": "cpu", "guidance": "1", "truncation": "0.25"}
    model = LuminaModel("m", "m", checkpoint_parts(str(pipeline_folder)), options)
    with pytest.raises(UserError, match="guidance is 1"):
        model.sampling()


def test_slow_bfloat16_is_said_and_an_unknown_device_for_compile_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sampling = Sampling(dtype="bfloat16")
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX2")
    for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
        monkeypatch.setattr(torch.cpu, name, lambda: False, raising=False)
    with pytest.warns(UserWarning, match="no instructions for bfloat16"):
        check_options({"dtype"}, sampling, "cpu", False)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: True, raising=False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_options({"dtype"}, sampling, "cpu", False)
    with pytest.raises(UserError, match="device cpu or cuda for compile, found mps"):
        check_options({}, Sampling(), "mps", True)
