"""Inception Score against torch-fidelity; CLIP-score conventions against torchmetrics and closed forms."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch_fidelity.metric_isc import isc_features_to_metric
from torchmetrics.functional.multimodal.clip_score import clip_score as torchmetrics_clip_score
from transformers import CLIPConfig, CLIPModel
from transformers.modeling_outputs import BaseModelOutputWithPooling

from benchmarks.fidelity.metrics.clip_score import clip_score, cosines, pair_scores
from benchmarks.fidelity.metrics.inception_score import inception_score
from lumina_eval.errors import UserError


@pytest.mark.parametrize(("n", "splits"), [(100, 10), (103, 10), (20, 1)])
def test_inception_score_is_torch_fidelitys(n: int, splits: int) -> None:
    logits = np.random.default_rng(0).standard_normal((n, 12)).astype(np.float32) * 3
    for shuffle, seed in ((True, 2020), (True, 7), (False, None)):
        theirs = isc_features_to_metric(torch.from_numpy(logits), splits, shuffle, seed)
        found = inception_score(logits, splits, seed)
        assert found.mean == pytest.approx(theirs["inception_score_mean"], rel=1e-12)
        assert found.std == pytest.approx(theirs["inception_score_std"], rel=1e-9, abs=1e-12)


def test_inception_score_at_its_ends() -> None:
    sure = np.where(np.tile(np.eye(5, dtype=bool), (20, 1)), 0.0, -2000.0)
    assert inception_score(sure, 1).mean == pytest.approx(5)
    assert inception_score(np.zeros((100, 5))).mean == pytest.approx(1)
    assert inception_score(sure[:1].repeat(20, axis=0)).mean == pytest.approx(1)
    with pytest.raises(UserError, match="at least 10 images for 10 splits, found 9"):
        inception_score(sure[:9])


class PlainProcessor:
    """Pixels to ±1 and letters to tokens, so that torchmetrics' own code runs without a download."""

    def __call__(self, images: Any = None, text: Any = None, **_: Any) -> dict[str, torch.Tensor]:
        if images is not None:
            return {"pixel_values": torch.stack([image.float() / 127.5 - 1 for image in images])}
        longest = max(map(len, text))
        ids = [[ord(letter) % 90 + 2 for letter in line] + [1] * (longest + 1 - len(line)) for line in text]
        return {"input_ids": torch.tensor(ids), "attention_mask": torch.ones(len(ids), longest + 1)}


def tiny_clip(seed: int) -> CLIPModel:
    torch.manual_seed(seed)
    size = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = CLIPConfig(
        text_config={**size, "vocab_size": 99, "max_position_embeddings": 20, "eos_token_id": 1},
        vision_config={**size, "image_size": 16, "patch_size": 8},
        projection_dim=8,
    )
    return CLIPModel(config).eval()


def tensor_of(output: Any) -> torch.Tensor:
    """transformers 5 wraps the embedding."""
    found = output.pooler_output if isinstance(output, BaseModelOutputWithPooling) else output
    assert isinstance(found, torch.Tensor)
    return found


@pytest.mark.parametrize("seed", range(4))
def test_torchmetrics_convention(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Seeds whose mean is above and below zero: only the mean is clamped."""
    model, processor = tiny_clip(seed), PlainProcessor()
    for name in ("get_image_features", "get_text_features"):
        embed = getattr(model, name)
        monkeypatch.setattr(model, name, lambda *args, embed=embed: tensor_of(embed(*args)))
    images = torch.randint(0, 256, (6, 3, 16, 16), generator=torch.Generator().manual_seed(seed))
    texts = ["a cat", "a dog", "two red cubes", "a clock", "blue", "nothing"]
    with torch.no_grad():
        theirs = torchmetrics_clip_score(list(images), texts, lambda: (model, processor))
        pixels, words = processor(images=list(images)), processor(text=texts)
        found = cosines(
            model.get_image_features(pixels["pixel_values"]).numpy(),
            model.get_text_features(words["input_ids"], words["attention_mask"]).numpy(),
        )
    assert clip_score(found, "torchmetrics") == pytest.approx(float(theirs), rel=1e-4, abs=1e-4)
    assert clip_score(found, "cosine") * 100 == pytest.approx(pair_scores(found, "torchmetrics").mean())


def test_what_is_clamped_where() -> None:
    mixed, low = [0.4, -0.2], [0.2, -0.4]
    assert clip_score(mixed, "hessel") == pytest.approx(2.5 * 0.4 / 2)
    assert clip_score(mixed, "torchmetrics") == pytest.approx(10)
    assert clip_score(mixed, "cosine") == pytest.approx(0.1)
    assert clip_score(low, "hessel") == pytest.approx(2.5 * 0.2 / 2)
    assert clip_score(low, "torchmetrics") == 0
    assert clip_score(low, "cosine") == pytest.approx(-0.1)
    assert pair_scores(low, "hessel").tolist() == [0.5, 0]
    assert pair_scores(low, "torchmetrics").tolist() == [20, -40]


def test_cosines() -> None:
    images, texts = np.array([[3.0, 4.0], [1.0, 0.0]]), np.array([[6.0, 8.0], [-2.0, 0.0]])
    assert cosines(images, texts) == pytest.approx([1, -1])
    assert cosines(images, texts[::-1]) == pytest.approx([-0.6, 0.6])


def test_what_is_refused() -> None:
    with pytest.raises(UserError, match=r"\(2, 3\) and \(1, 3\)"):
        cosines(np.ones((2, 3)), np.ones((1, 3)))
    with pytest.raises(UserError, match="zeros in pair 1"):
        cosines(np.array([[1.0], [0.0]]), np.ones((2, 1)))
    with pytest.raises(UserError, match="did you mean hessel"):
        pair_scores([0.1], "hesel")  # type: ignore[arg-type]
    with pytest.raises(UserError, match="at least one image"):
        clip_score([], "cosine")
