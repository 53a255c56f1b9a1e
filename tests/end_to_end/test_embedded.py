"""The embedded model: its bundle, and the images it makes, against diffusers and against itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import Lumina2Pipeline
from PIL import Image

from benchmarks.geneval.adapter import GenEval
from lumina_eval import protocol, testing
from lumina_eval.plugins import benchmark
from lumina_eval.records import Verdict
from lumina_model import embedded
from lumina_model.adapter import open_embedded
from lumina_model.checkpoint import assemble_pipeline
from lumina_model.errors import UserError
from lumina_model.noise import draw_noise
from lumina_model.pipeline import Pipeline
from lumina_model.sampling import Sampling
from lumina_model.weights import iterate_tensors

MEBIBYTE = 2**20
PROMPTS = ["a photo of a red star", "a photo of two circles", "a photo of a cross left of a heart"]


def test_the_bundle_is_whole_and_within_its_budget() -> None:
    embedded.verify()
    sizes = [file.stat().st_size for file in embedded.weight_files()]
    assert sum(sizes) <= 36 * MEBIBYTE
    assert max(sizes) <= 15 * MEBIBYTE
    for stage in embedded.STAGES:
        tensors = dict(iterate_tensors(embedded.parts(stage)["transformer"]))
        assert sum(tensor.numel() for tensor in tensors.values()) <= 5_000_000
        assert {tensor.dtype for tensor in tensors.values()} == {torch.bfloat16}


def test_a_changed_weight_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import shutil

    copy = tmp_path / "embedded"
    shutil.copytree(embedded.FOLDER, copy)
    monkeypatch.setattr(embedded, "FOLDER", copy)
    file = copy / "stages/low_res/transformer/diffusion_pytorch_model.safetensors"
    raw = bytearray(file.read_bytes())
    raw[-1] ^= 1
    file.write_bytes(raw)
    with pytest.raises(UserError, match="low_res/transformer"):
        embedded.verify()


def test_stages_are_in_order_and_steps_rise() -> None:
    models = open_embedded("", {"device": "cpu"})
    assert [model.stage for model in models] == list(embedded.STAGES)
    steps = [model.step or 0 for model in models]
    assert steps == sorted(steps)
    assert len(set(steps)) == 3
    with pytest.raises(UserError, match="hq_tuning"):
        open_embedded("hq", {})


def test_the_exported_folder_gives_the_same_image_in_diffusers(tmp_path: Path) -> None:
    assemble_pipeline(embedded.parts("hq_tuning"), tmp_path)
    theirs = Lumina2Pipeline.from_pretrained(tmp_path, torch_dtype=torch.float32)
    theirs.set_progress_bar_config(disable=True)
    ours = Pipeline.load(tmp_path)
    noise = draw_noise([3, 4, 5], (16, 16, 16))
    expected = theirs(
        PROMPTS, latents=noise, height=128, width=128, num_inference_steps=10, guidance_scale=4.0,
        cfg_normalization=False, output_type="np",
    ).images  # fmt: skip
    sampling = Sampling(
        solver="euler", steps=10, guidance=4.0, renorm=None, height=128, width=128, max_text_tokens=256
    )
    pixels = ours.autoencoder.decode(ours.generate_latents(PROMPTS, noise, sampling)).numpy()
    assert pixels.std() > 10
    assert np.abs(pixels.astype(int) - np.round(expected * 255)).max() <= 2


def test_batches_of_one_and_sixteen_agree_in_pixels_and_verdicts() -> None:
    """Sixteen at once and each of them alone, of several tasks."""
    (model,) = open_embedded("hq_tuning", {"device": "cpu"})
    bench = benchmark("geneval")
    assert isinstance(bench, GenEval)
    rules = protocol.resolve("tabletop", bench.protocols(), (), bench.protocol_keys)
    items = list(bench.items(rules))[:: len(bench.items(rules)) // 16][:16]
    prompts, seeds = [item.prompt for item in items], list(range(16))
    together = model.generate(prompts, seeds)
    alone = [model.generate([prompt], [seed])[0] for prompt, seed in zip(prompts, seeds, strict=True)]
    difference = np.abs(_pixels(together) - _pixels(alone))
    assert difference.max() <= 1
    assert (difference > 0).mean() < 1e-3
    judge = bench.judge(rules)
    outputs = [judge.judge(images, items) for images in (together, alone)]
    assert _classes(outputs[0]) == _classes(outputs[1])
    scores, others = (
        bench.aggregate(rules, items, [
            Verdict(item_id=item.id, index=0, image_sha256="0" * 64, judge="tabletop@" + "0" * 12,
                    output=dict(output))
            for item, output in zip(items, judged, strict=True)
        ]).scores
        for judged in outputs
    )  # fmt: skip
    assert len(scores) == 16
    assert len({item.task for item in items}) >= 4
    assert scores == others


def test_it_keeps_the_harness_contract() -> None:
    (model,) = open_embedded("low_res", {"device": "cpu"})
    testing.check_model(model)


def _pixels(images: list[Image.Image]) -> np.ndarray:
    return np.stack([np.asarray(image, dtype=np.int16) for image in images])


def _classes(outputs: object) -> list[object]:
    return [({k: len(v) for k, v in o["detections"].items()}, o["colors"]) for o in outputs]  # type: ignore[attr-defined]
