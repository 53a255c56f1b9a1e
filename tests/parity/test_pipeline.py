"""The whole pipeline against diffusers', setting by setting, from the same folder and the same noise."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import Lumina2Pipeline

from lumina_model.pipeline import Pipeline, draw_noise
from lumina_model.sampling import Sampling

PROMPTS = ["a photo of a red cube", "two blue spheres and a green cone left of a photo"]

#: Ours -> diffusers'. Its normalisation is another than the official one, and on unless it is switched off.
CASES: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"guidance": 1.0}, {"guidance_scale": 1.0}),
    ({"guidance": 4.0}, {"guidance_scale": 4.0}),
    ({"guidance": 4.0, "steps": 11}, {"guidance_scale": 4.0, "num_inference_steps": 11}),
    ({"guidance": 4.0, "row_renorm": True}, {"guidance_scale": 4.0, "cfg_normalization": True}),
    ({"guidance": 4.0, "truncation_ratio": 0.25}, {"guidance_scale": 4.0, "cfg_trunc_ratio": 0.25}),
    (
        {"guidance": 4.0, "truncation_ratio": 0.6, "row_renorm": True},
        {"guidance_scale": 4.0, "cfg_trunc_ratio": 0.6, "cfg_normalization": True},
    ),
    (
        {"guidance": 3.0, "negative_prompt": "a green cone", "system_prompt_in_negative": False},
        {"guidance_scale": 3.0, "negative_prompt": ["a green cone"] * 2},
    ),
    ({"grid": "diffusers"}, {}),
]


@pytest.mark.parametrize(("ours", "theirs"), CASES)
def test_latents_and_pixels_equal_diffusers(
    pipeline_folder: Path, ours: dict[str, Any], theirs: dict[str, Any]
) -> None:
    reference = Lumina2Pipeline.from_pretrained(pipeline_folder)
    reference.set_progress_bar_config(disable=True)
    noise = draw_noise([5, 6], (16, 8, 12))
    common = {
        "prompt": PROMPTS,
        "height": 64,
        "width": 96,
        "num_inference_steps": 5,
        "cfg_normalization": False,
        **theirs,
    }
    expected = reference(latents=noise, output_type="latent", **common).images
    pipeline = Pipeline.load(pipeline_folder)
    sampling = Sampling(**{"solver": "euler", "steps": 5, "height": 64, "width": 96, **ours})
    found = pipeline.generate_latents(PROMPTS, noise, sampling)
    assert expected.std() > 0.1
    assert (found - expected).abs().max() <= 1e-4 * expected.abs().max()

    images = reference(latents=noise, output_type="np", **common).images
    pixels = pipeline.autoencoder.decode(found).numpy()
    assert images.std() > 0.01
    assert np.abs(pixels.astype(int) - np.round(images * 255)).max() <= 2


def test_dpm_equals_diffusers_scheduler_in_the_pipeline(pipeline_folder: Path) -> None:
    """Flow-DPM-Solver through the same transformer: diffusers' scheduler steps, our velocities."""
    from diffusers import DPMSolverMultistepScheduler

    pipeline = Pipeline.load(pipeline_folder)
    sampling = Sampling(solver="dpm", steps=6, height=64, width=64, guidance=1.0)
    noise = draw_noise([5], (16, 8, 8))
    scheduler = DPMSolverMultistepScheduler(
        prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=6.0, final_sigmas_type="zero"
    )
    scheduler.set_timesteps(6)
    context = pipeline.encode_prompts([sampling.final_text(PROMPTS[0])], sampling)
    x = noise
    with torch.inference_mode():
        for moment in scheduler.timesteps:
            t = (1 - scheduler.sigmas[scheduler.step_index or 0])[None]
            x = scheduler.step(-pipeline.transformer(x, t, context), moment, x).prev_sample
    found = pipeline.generate_latents(PROMPTS[:1], noise, sampling)
    assert (found - x).abs().max() <= 1e-3 * x.abs().max()
