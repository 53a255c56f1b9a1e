"""``--model diffusers:DIR``: what of a pipeline's folder names its images."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from lumina_eval.models import open_models

INDEX: dict[str, Any] = {
    "_class_name": "DDPMPipeline",
    "_diffusers_version": "0.30.0",
    "unet": ["diffusers", "UNet2DModel"],
    "scheduler": ["diffusers", "DDPMScheduler"],
}


def components(folder: Path, index: dict[str, Any], scheduler: dict[str, Any]) -> dict[str, str]:
    for name, content in {
        "model_index.json": index,
        "unet/config.json": {"sample_size": 8},
        "scheduler/scheduler_config.json": scheduler,
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(json.dumps(content))
    (model,) = open_models(f"diffusers:{folder}", {"device": "cpu"})
    return dict(model.components())


def test_scheduler_class_pipeline_class_and_scheduler_config_name_the_images(tmp_path: Path) -> None:
    steps = {"num_train_timesteps": 1000}
    plain = components(tmp_path / "plain", INDEX, steps)
    assert set(plain) == {"unet", "scheduler", "model_index"}
    scheduler = {**INDEX, "scheduler": ["diffusers", "DDIMScheduler"]}
    assert components(tmp_path / "class", scheduler, steps) != plain
    assert components(tmp_path / "pipeline", {**INDEX, "_class_name": "DDIMPipeline"}, steps) != plain
    assert components(tmp_path / "config", INDEX, {"num_train_timesteps": 100}) != plain


def test_version_order_and_place_of_the_folder_do_not_name_the_images(tmp_path: Path) -> None:
    steps = {"num_train_timesteps": 1000}
    plain = components(tmp_path / "plain", INDEX, steps)
    other = dict(reversed({**INDEX, "_diffusers_version": "0.31.0", "_name_or_path": "x"}.items()))
    assert components(tmp_path / "other", other, steps) == plain
