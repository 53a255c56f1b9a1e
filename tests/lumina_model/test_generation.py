"""The whole pipeline: against diffusers', and what may not change an image."""

from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import Lumina2Pipeline

from lumina_model.errors import UserError
from lumina_model.pipeline import Pipeline, draw_noise
from lumina_model.sampling import Sampling

PROMPTS = ["a photo of a red cube", "two blue spheres and a green cone left of a photo"]
SAMPLING = Sampling(solver="euler", steps=5, height=64, width=96, max_text_tokens=256)


@pytest.fixture
def pipeline(pipeline_folder: Path) -> Pipeline:
    return Pipeline.load(pipeline_folder)


@pytest.mark.parametrize("guidance", [1.0, 4.0])
def test_equals_diffusers(pipeline_folder: Path, pipeline: Pipeline, guidance: float) -> None:
    theirs = Lumina2Pipeline.from_pretrained(pipeline_folder)
    theirs.set_progress_bar_config(disable=True)
    noise = draw_noise([5, 6], (16, 8, 12))
    common = {
        "prompt": PROMPTS,
        "height": 64,
        "width": 96,
        "num_inference_steps": 5,
        "guidance_scale": guidance,
        "cfg_normalization": False,  # on by default, and another operation than the official one
    }
    expected = theirs(latents=noise, output_type="latent", **common).images
    found = pipeline.generate_latents(
        PROMPTS, noise, Sampling(**(SAMPLING.canonical() | {"guidance": guidance}))
    )
    assert expected.std() > 0.1
    assert (found - expected).abs().max() <= 1e-4 * expected.abs().max()

    images = theirs(latents=noise, output_type="np", **common).images
    pixels = pipeline.autoencoder.decode(found).numpy()
    assert images.std() > 0.01
    assert np.abs(pixels.astype(int) - np.round(images * 255)).max() <= 2


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
        {"truncation": 0.2},
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
