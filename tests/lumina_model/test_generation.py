"""The whole pipeline: what changes an image, and what may not."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from lumina_model.errors import UserError
from lumina_model.guidance import guided_velocity
from lumina_model.pipeline import Pipeline, draw_noise
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
    sampling = Sampling(steps=3, height=64, width=64, max_text_tokens=200)
    one = pipeline.generate(PROMPTS, [7, 8], sampling)
    other = pipeline.generate([PROMPTS[0], "x " * 20], [7, 99], sampling)
    assert np.array_equal(np.asarray(one[0]), np.asarray(other[0]))
    assert not np.array_equal(np.asarray(one[1]), np.asarray(other[1]))


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
        {"row_renorm": True},
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


def test_mixed_sizes_give_the_images_that_each_gives_alone(pipeline: Pipeline) -> None:
    sampling = Sampling(solver="dpm", steps=4, renorm=1.0, cache=0.2, max_text_tokens=200)
    prompts, seeds, sizes = [*PROMPTS, "a cube"], [7, 8, 9], [(64, 96), (32, 32), (96, 48)]
    together = pipeline.generate(prompts, seeds, sampling, sizes=sizes)
    for prompt, seed, size, image in zip(prompts, seeds, sizes, together, strict=True):
        alone = pipeline.generate(
            [prompt], [seed], Sampling(**sampling.canonical() | {"height": size[0], "width": size[1]})
        )[0]
        assert image.shape == (*size, 3)
        assert np.abs(image.astype(int) - alone).max() <= 1


def test_strength_decides_how_much_of_an_image_is_left(pipeline: Pipeline) -> None:
    sampling = Sampling(solver="euler", steps=10, height=64, width=64, max_text_tokens=200)
    noise, start = draw_noise([1, 2], (16, 8, 8)), draw_noise([3, 4], (16, 8, 8))

    def latents(strength: float, sampling: Sampling = sampling) -> torch.Tensor:
        return pipeline.generate_latents(PROMPTS, noise, sampling, start=start, strength=strength)

    assert torch.equal(latents(1.0), pipeline.generate_latents(PROMPTS, noise, sampling))
    # Three of ten steps are left: the same as solving from the mixture at the grid's eighth time.
    times = sampling.times(16)[7:]
    x = times[0] * start + (1 - times[0]) * noise
    contexts = [
        pipeline.encode_prompts(texts, sampling)
        for texts in (list(map(sampling.final_text, PROMPTS)), ["", ""])
    ]
    velocity = guided_velocity(pipeline.transformer, contexts[0], contexts[1], sampling.guidance)
    with torch.inference_mode():
        torch.testing.assert_close(latents(0.3), SOLVERS["euler"](velocity, x, times), atol=1e-4, rtol=1e-4)
    image = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    changed = pipeline.generate(PROMPTS[:1], [5], sampling, images=[image], strength=0.3)
    assert changed.shape == (1, 64, 64, 3)
    with pytest.raises(UserError, match=r"leaves at least one of 10 steps, found 0.05"):
        latents(0.05)
    with pytest.raises(UserError, match="uint8"):
        pipeline.generate(PROMPTS[:1], [5], sampling, images=[image[:32]], strength=0.3)


def test_low_memory_gives_the_same_images(pipeline: Pipeline, pipeline_folder: Path) -> None:
    sampling = Sampling(solver="euler", steps=3, height=32, width=32, max_text_tokens=200)
    lean = Pipeline.load(pipeline_folder, low_memory=True)
    assert not hasattr(lean.text_encoder, "model")
    assert np.array_equal(
        lean.generate(PROMPTS, [7, 8], sampling), pipeline.generate(PROMPTS, [7, 8], sampling)
    )
    assert lean.generate(PROMPTS[:1], [7], replace(sampling, width=96)).shape == (1, 32, 96, 3)  # in tiles


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
