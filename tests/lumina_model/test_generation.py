"""The whole pipeline: what changes an image, and what may not."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from diffusers import FluxImg2ImgPipeline
from hypothesis import given
from hypothesis import strategies as st

from lumina_model import load_pipeline
from lumina_model.branches import branches
from lumina_model.errors import UserError
from lumina_model.guidance import guided_velocity
from lumina_model.low_memory import offload_layers
from lumina_model.mixed_sizes import crop, pad
from lumina_model.noise import draw_noise
from lumina_model.pipeline import Pipeline, _last_steps
from lumina_model.sampling import Sampling
from lumina_model.solvers import SOLVERS

PROMPTS = ["a photo of a red cube", "two blue spheres and a green cone left of a photo"]
SAMPLING = Sampling(solver="euler", steps=5, height=64, width=96, max_text_tokens=256)


@pytest.fixture
def pipeline(pipeline_folder: Path) -> Pipeline:
    return Pipeline.load(pipeline_folder)


def test_load_takes_defaults_from_the_folder(pipeline: Pipeline) -> None:
    assert (pipeline.sampling.height, pipeline.sampling.width, pipeline.sampling.shift) == (64, 64, 6.0)
    assert pipeline.sampling.system_prompt == "real"


def test_image_does_not_depend_on_neighbours(pipeline: Pipeline) -> None:
    """A longer text beside it changes the shape of the batch, so the rounding and nothing more."""
    sampling = Sampling(steps=3, height=64, width=64, max_text_tokens=200)
    one, longer, other = (
        np.asarray(pipeline.generate([PROMPTS[0], text], [7, seed], sampling)).astype(int)
        for text, seed in ((PROMPTS[1], 8), ("x " * 20, 99), ("y " * 20, 5))
    )
    assert np.array_equal(longer[0], other[0])
    difference = np.abs(one[0] - longer[0])
    assert difference.max() <= 1
    assert (difference > 0).mean() < 1e-3
    assert not np.array_equal(one[1], longer[1])


def test_batch_of_16_is_close_to_16_batches(pipeline: Pipeline) -> None:
    sampling = Sampling(solver="euler", steps=3, height=64, width=64, max_text_tokens=200)
    prompts, seeds = PROMPTS * 8, list(range(16))
    together = [np.asarray(image).astype(int) for image in pipeline.generate(prompts, seeds, sampling)]
    alone = [
        np.asarray(pipeline.generate([prompt], [seed], sampling)[0]).astype(int)
        for prompt, seed in zip(prompts, seeds, strict=True)
    ]
    difference = np.abs(np.stack(together) - np.stack(alone))
    assert difference.max() <= 1
    assert (difference > 0).mean() < 1e-3


def test_noise_belongs_to_the_seed() -> None:
    a, b = draw_noise([3, 4], (2, 3)), draw_noise([4, 3, 0], (2, 3))
    assert torch.equal(a[0], b[1])
    assert torch.equal(a[1], b[0])
    assert not torch.equal(a[0], a[1])


def test_progress_counts_solver_steps(pipeline: Pipeline) -> None:
    told: list[tuple[int, int]] = []
    sampling = Sampling(steps=3, height=64, width=64, max_text_tokens=200)
    pipeline.generate(PROMPTS[:1], [0], sampling, lambda done, total: told.append((done, total)))
    assert told == [(1, 3), (2, 3), (3, 3)]


def test_sampling_fields_reach_the_pixels(pipeline: Pipeline) -> None:
    base = Sampling(steps=2, height=64, width=64, max_text_tokens=200).canonical()
    changes: list[dict[str, object]] = [
        {},
        {"solver": "euler"},
        {"steps": 3},
        {"shift": 3.0},
        {"guidance": 2.0},
        {"renorm": 0.5},
        {"renorm": "rows"},
        {"renorm": None},
        {"truncation": 0.2},
        {"guidance_start": 0.1},
        {"grid": "dpm", "solver": "dpm"},
        {"solver": "heun"},
        {"dynamic_shift": True},
        {"cache": 1e6, "steps": 4},
        {"system_prompt": "base"},
        {"negative_prompt": "a cube"},
    ]
    noise = draw_noise([1], (16, 8, 8))
    latents = [
        pipeline.generate_latents(PROMPTS[:1], noise, Sampling(**(base | change))) for change in changes
    ]
    for i, one in enumerate(latents):
        for j in range(i):
            assert not torch.equal(one, latents[j]), (changes[i], changes[j])


@pytest.mark.parametrize(
    "sampling",
    [
        Sampling(solver="dpm", steps=4, cache=0.2, max_text_tokens=200),
        Sampling(
            solver="heun", steps=3, renorm="rows", truncation=0.5, guidance_start=0.05, max_text_tokens=200
        ),
    ],
)
def test_mixed_sizes_give_the_latents_that_each_gives_alone(pipeline: Pipeline, sampling: Sampling) -> None:
    prompts, seeds, sizes = [*PROMPTS, "a cube"], [7, 8, 9], [(64, 96), (32, 32), (256, 48)]
    shapes = [(size[0] // 8, size[1] // 8) for size in sizes]
    noises = [draw_noise([seed], (16, *shape))[0] for seed, shape in zip(seeds, shapes, strict=True)]
    starts = [draw_noise([seed + 50], (16, *shape))[0] for seed, shape in zip(seeds, shapes, strict=True)]
    together = crop(
        pipeline.generate_latents(
            prompts, pad(noises), sampling, sizes=shapes, start=pad(starts), strength=0.9
        ),
        shapes,
    )
    for i, size in enumerate(sizes):
        alone = pipeline.generate_latents(
            [prompts[i]], noises[i][None], replace(sampling, height=size[0], width=size[1]),
            start=starts[i][None], strength=0.9,
        )[0]  # fmt: skip
        assert (together[i] - alone).abs().max() <= 1e-4 * alone.abs().max()
    images = pipeline.generate(prompts, seeds, sampling, sizes=sizes)
    assert [image.shape for image in images] == [(*size, 3) for size in sizes]


def test_the_dynamic_shift_is_that_of_each_image_or_refused(pipeline: Pipeline) -> None:
    sampling = Sampling(steps=2, dynamic_shift=True, max_text_tokens=200)
    with pytest.raises(UserError, match="one area for the dynamic shift"):
        pipeline.generate(PROMPTS, [1, 2], sampling, sizes=[(64, 64), (32, 32)])
    assert len(pipeline.generate(PROMPTS, [1, 2], sampling, sizes=[(64, 32), (32, 64)])) == 2


def test_strength_decides_how_much_of_an_image_is_left(pipeline: Pipeline) -> None:
    sampling = Sampling(solver="euler", steps=10, height=64, width=64, max_text_tokens=200)
    noise, start = draw_noise([1, 2], (16, 8, 8)), draw_noise([3, 4], (16, 8, 8))

    def latents(strength: float) -> torch.Tensor:
        return pipeline.generate_latents(PROMPTS, noise, sampling, start=start, strength=strength)

    assert torch.equal(latents(1.0), pipeline.generate_latents(PROMPTS, noise, sampling))
    # Three of ten steps are left: the same as solving from the mixture at the grid's eighth time.
    times = sampling.times(16)[7:]
    x = times[0] * start + (1 - times[0]) * noise
    texts = [sampling.final_text(prompt) for prompt in PROMPTS]
    contexts = [pipeline.encode_prompts(group, sampling) for group in (texts, ["", ""])]
    pair = branches(pipeline.transformer, contexts[0], contexts[1], noise.shape)
    velocity = guided_velocity(*pair, sampling.guidance, 1.0)
    with torch.inference_mode():
        torch.testing.assert_close(latents(0.3), SOLVERS["euler"](velocity, x, times), atol=1e-4, rtol=1e-4)


@given(steps=st.integers(1, 60), strength=st.floats(0.01, 1))
def test_strength_leaves_the_steps_that_diffusers_leaves(steps: int, strength: float) -> None:
    scheduler = SimpleNamespace(timesteps=list(range(steps)), order=1, set_begin_index=lambda _: None)
    theirs = FluxImg2ImgPipeline.get_timesteps(SimpleNamespace(scheduler=scheduler), steps, strength, "cpu")
    assert len(_last_steps(torch.arange(steps + 1), strength)) - 1 == theirs[1]


def test_an_image_to_start_from_is_encoded_as_it_is(pipeline: Pipeline) -> None:
    """At almost no strength little but the autoencoder's own round trip is left, channel by channel."""
    sampling = Sampling(
        solver="euler", steps=50, shift=1.0, guidance=1.0, height=64, width=64, max_text_tokens=200
    )
    ramp = np.linspace(0, 255, 64).astype(np.uint8)
    image = np.stack([np.broadcast_to(ramp, (64, 64)), np.broadcast_to(ramp[:, None], (64, 64)),
                      np.full((64, 64), 200, np.uint8)], axis=-1)  # fmt: skip
    values = torch.from_numpy(image.copy()).permute(2, 0, 1)[None] / 127.5 - 1
    latents = pipeline.autoencoder.encode(values)
    noise = draw_noise([5], (16, 8, 8))
    expected = pipeline.generate_latents(PROMPTS[:1], noise, sampling, start=latents, strength=0.02)
    drawn = pipeline.generate(PROMPTS[:1], [5], sampling, images=[image], strength=0.02)
    assert np.array_equal(drawn, pipeline.autoencoder.decode(expected).numpy())
    other = pipeline.generate(PROMPTS[:1], [5], sampling, images=[image[..., ::-1].copy()], strength=0.02)
    assert not np.array_equal(drawn, other)


def test_mistakes_with_images_are_told(pipeline: Pipeline) -> None:
    sampling = Sampling(solver="euler", steps=10, height=64, width=64, max_text_tokens=200)
    image = np.zeros((64, 64, 3), dtype=np.uint8)
    with pytest.raises(UserError, match=r"found none, at strength 0\.3"):
        pipeline.generate(PROMPTS[:1], [5], sampling, strength=0.3)
    with pytest.raises(UserError, match="at most 1, found 0"):
        pipeline.generate(PROMPTS[:1], [5], sampling, images=[image], strength=0)
    with pytest.raises(UserError, match="uint8"):
        pipeline.generate(PROMPTS[:1], [5], sampling, images=[image[:32]], strength=0.3)
    with pytest.raises(UserError, match="starting latents"):
        pipeline.generate_latents(
            PROMPTS[:1],
            draw_noise([1], (16, 8, 8)),
            sampling,
            start=draw_noise([1], (16, 4, 4)),
            strength=0.5,
        )


def test_low_memory_gives_the_same_images(pipeline: Pipeline, pipeline_folder: Path) -> None:
    sampling = Sampling(solver="euler", steps=3, max_text_tokens=200)
    lean = Pipeline.load(pipeline_folder, low_memory=True)
    assert lean.text_encoder is None
    assert lean.autoencoder.largest_whole == 512
    assert all(parameter.is_meta for parameter in lean.transformer.parameters())
    told: list[tuple[int, int]] = []
    found = lean.generate(PROMPTS, [7, 8], sampling, lambda done, total: told.append((done, total)))
    assert told == [(done, 6) for done in range(1, 7)]
    alone = [
        pipeline.generate([prompt], [seed], sampling)[0] for prompt, seed in zip(PROMPTS, [7, 8], strict=True)
    ]
    assert np.array_equal(found, np.stack(alone))


def test_layers_that_visit_the_device_compute_the_same(pipeline: Pipeline) -> None:
    sampling = Sampling(solver="euler", steps=2, cache=1e-9, max_text_tokens=200)
    expected = pipeline.generate(PROMPTS, [7, 8], sampling)
    offload_layers(pipeline.transformer, torch.device("cpu"))
    assert all(parameter.is_meta for parameter in pipeline.transformer.parameters())
    assert np.array_equal(pipeline.generate(PROMPTS, [7, 8], sampling), expected)


def test_a_call_that_names_little_draws_at_the_checkpoint_s_own(pipeline_folder: Path) -> None:
    pipeline = load_pipeline(pipeline_folder, dtype=torch.bfloat16)
    images = pipeline.generate(
        PROMPTS[:1], seeds=[0], sampling=Sampling(solver="euler", steps=2, guidance=4.0)
    )
    assert images.shape == (1, 64, 64, 3)
    assert images.dtype == np.uint8


def test_float16_is_refused_where_it_would_be_used(pipeline_folder: Path) -> None:
    with pytest.raises(UserError, match="black"):
        Pipeline.load(pipeline_folder, dtype=torch.float16)


@pytest.mark.parametrize(
    ("prompts", "seeds", "sampling", "message"),
    [
        (["a"], [1, 2], SAMPLING, "2 seeds"),
        ([], [], SAMPLING, "at least one"),
        (["a"], [-1], SAMPLING, "found -1"),
        (["a"], [1], Sampling(height=64, width=64, dtype="bfloat16"), "found bfloat16"),
    ],
)
def test_bad_input(
    pipeline: Pipeline, prompts: list[str], seeds: list[int], sampling: Sampling, message: str
) -> None:
    with pytest.raises(UserError, match=message):
        pipeline.generate(prompts, seeds, sampling)
