"""CLIP and DINOv2 of the true architectures with random weights: rows are those of another computation."""

from __future__ import annotations

import sys
import types
from pathlib import Path

import numpy as np
import pytest
import tiny_fidelity
import torch
from PIL import Image
from tiny_t2i_models import CLIP, MEAN, STD, clip_folder

from benchmarks.fidelity.features.embedders import ClipEmbedder, Dinov2Embedder
from benchmarks.fidelity.features.extractor import Extractor, TextExtractor
from benchmarks.fidelity.features.pictures import read_picture
from lumina_eval.errors import UserError

TEXTS = ["a teal anvil", "Two geese, behind a BARN.", "dog " * 90 + "cat"]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return sorted(tiny_fidelity.every_kind(tmp_path_factory.mktemp("pictures")).values())


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """For 224 pixels, as clean-fid insists."""
    return clip_folder(tmp_path_factory.mktemp("models") / "clip", image_size=224, patch_size=32)


@pytest.fixture(scope="module")
def dinov2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return dinov2_folder(tmp_path_factory.mktemp("models") / "dinov2", 98)


def plain_clip(folder: Path) -> torch.nn.Module:
    import open_clip

    vision = {**CLIP["vision_cfg"], "image_size": 224, "patch_size": 32}  # type: ignore[dict-item]
    model = open_clip.CLIP(**{**CLIP, "vision_cfg": vision, "text_cfg": dict(CLIP["text_cfg"])})  # type: ignore[call-overload]
    model.load_state_dict(torch.load(folder / "open_clip_pytorch_model.bin", weights_only=True))
    return model.eval()


def test_clip_fid_is_that_of_clean_fid(
    clip: Path, files: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    from cleanfid.fid import get_folder_features

    openai = types.ModuleType("clip")
    openai.load = lambda _name, device: (plain_clip(clip).to(device), None)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "clip", openai)
    monkeypatch.delitem(sys.modules, "cleanfid.clip_features", raising=False)
    from cleanfid.clip_features import CLIP_fx, img_preprocess_clip

    sys.modules.pop("cleanfid.clip_features")  # it holds the module that is not OpenAI's
    wanted = get_folder_features(
        str(files[0].parent), CLIP_fx("ViT-B/32", device="cpu"), num_workers=0, batch_size=1,
        device=torch.device("cpu"), custom_fn_resize=img_preprocess_clip, verbose=False,
    )  # fmt: skip
    found = ClipEmbedder(str(clip), device="cpu", batch_size=4).images([read_picture(path) for path in files])
    assert found.shape == (len(files), 16)
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-5)
    assert np.ptp(found, axis=0).min() > 1e-3


def test_texts_are_cut_and_keep_their_end(clip: Path) -> None:
    import open_clip

    embedder = ClipEmbedder(str(clip), device="cpu", batch_size=2)
    tokens = torch.zeros(3, 77, dtype=torch.long)
    start, end = 49406, 49407
    for place, text in enumerate(TEXTS):
        ids = [start, *open_clip.tokenizer.SimpleTokenizer().encode(text)[:75], end]
        tokens[place, : len(ids)] = torch.tensor(ids)
    assert tokens[2, -1] == end
    with torch.no_grad():
        wanted = plain_clip(clip).encode_text(tokens).numpy()  # type: ignore[operator]
    np.testing.assert_allclose(embedder.texts(TEXTS), wanted, atol=1e-6)
    assert embedder.too_long(TEXTS) == [2]
    assert embedder.too_long(["dog " * 75, "dog " * 76]) == [1]
    assert embedder.texts([]).shape == (0, 16)


def test_the_prefix_stands_before_every_text(clip: Path) -> None:
    plain = ClipEmbedder(str(clip), device="cpu")
    hessel = ClipEmbedder(str(clip), prefix="A photo depicts ", device="cpu")
    np.testing.assert_allclose(
        hessel.texts(TEXTS[:2]), plain.texts([f"A photo depicts {text}" for text in TEXTS[:2]]), atol=1e-6
    )
    assert hessel.too_long(["dog " * 72, "dog " * 73]) == [1]
    assert hessel.digest != plain.digest


def test_cmmd_crops_first_and_makes_unit_rows(clip: Path, files: list[Path]) -> None:
    images = [read_picture(path) for path in files]
    wanted = []
    for image in images:
        width, height = image.size
        side = min(width, height)
        x, y = (width - side) // 2, (height - side) // 2
        square = Image.fromarray(np.asarray(image)[y : y + side, x : x + side])
        pixels = np.asarray(square.resize((224, 224), Image.Resampling.BICUBIC), dtype=np.float32) / 255
        seen = torch.tensor((pixels - np.float32(MEAN)) / np.float32(STD)).permute(2, 0, 1)
        # The official code resizes once more, to the size that it has.
        seen = torch.nn.functional.interpolate(seen[None], size=(224, 224), mode="bicubic")
        with torch.no_grad():
            row = plain_clip(clip).encode_image(seen)[0].numpy()  # type: ignore[operator]
        wanted.append(row / np.linalg.norm(row))
    cmmd = ClipEmbedder(str(clip), "cmmd", device="cpu")
    found = cmmd.images(images)
    np.testing.assert_allclose(found, wanted, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-6)
    wide = files.index(next(path for path in files if path.name == "large.jpg"))
    other = ClipEmbedder(str(clip), device="cpu")
    row = other.images(images)[wide]
    assert not np.allclose(row / np.linalg.norm(row), found[wide], atol=1e-4)
    assert other.digest != cmmd.digest


def test_both_are_extractors_and_their_digest_is_of_content(clip: Path, dinov2: Path, tmp_path: Path) -> None:
    embedder = ClipEmbedder(str(clip), device="cpu")
    assert isinstance(embedder, TextExtractor)
    again = clip_folder(tmp_path / "again", image_size=224, patch_size=32)
    assert ClipEmbedder(str(again), device="cpu", batch_size=1).digest == embedder.digest
    assert ClipEmbedder(str(clip_folder(tmp_path / "small")), device="cpu").digest != embedder.digest
    dino = Dinov2Embedder(dinov2, "cpu")
    assert isinstance(dino, Extractor)
    assert Dinov2Embedder(dinov2_folder(tmp_path / "twin", 98), "cpu").digest == dino.digest
    assert Dinov2Embedder(dinov2_folder(tmp_path / "other", 224), "cpu").digest != dino.digest


def dinov2_folder(folder: Path, image_size: int) -> Path:
    from transformers import Dinov2Config, Dinov2Model

    torch.manual_seed(3)
    config = Dinov2Config(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=4, mlp_ratio=2, image_size=image_size,
        patch_size=14, layerscale_value=0.7,
    )  # fmt: skip
    model = Dinov2Model(config)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(0, 0.2)
    model.save_pretrained(folder)
    return folder


def plain_dinov2(folder: Path, image: Image.Image) -> np.ndarray:
    """The authors' model, written out (facebookresearch/dinov2, models/vision_transformer.py)."""
    from safetensors.torch import load_file
    from torchvision import transforms

    weights = {
        key.removeprefix("dinov2."): value for key, value in load_file(folder / "model.safetensors").items()
    }
    transform = transforms.Compose(
        [
            transforms.Resize((224, 224), transforms.InterpolationMode.BICUBIC),
            transforms.ToTensor(),
            transforms.Normalize(np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])),
        ]
    )

    def linear(x: torch.Tensor, name: str) -> torch.Tensor:
        return x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]

    def norm(x: torch.Tensor, name: str) -> torch.Tensor:
        x = (x - x.mean(-1, keepdim=True)) / (x.var(-1, correction=0, keepdim=True) + 1e-6).sqrt()
        return x * weights[f"{name}.weight"] + weights[f"{name}.bias"]

    patches = transform(image).unfold(1, 14, 14).unfold(2, 14, 14).permute(1, 2, 0, 3, 4).reshape(256, -1)
    kernel = weights["embeddings.patch_embeddings.projection.weight"]
    tokens = patches @ kernel.flatten(1).T + weights["embeddings.patch_embeddings.projection.bias"]
    tokens = torch.cat([weights["embeddings.cls_token"][0], tokens])
    positions = weights["embeddings.position_embeddings"][0]
    side = int((len(positions) - 1) ** 0.5)
    if side != 16:
        grid = positions[1:].T.reshape(1, 32, side, side)
        grid = torch.nn.functional.interpolate(grid, scale_factor=16.1 / side, mode="bicubic")
        assert grid.shape[-2:] == (16, 16)
        positions = torch.cat([positions[:1], grid[0].flatten(1).T])
    tokens = tokens + positions
    for layer in ("encoder.layer.0", "encoder.layer.1"):
        x = norm(tokens, f"{layer}.norm1")
        heads = [
            linear(x, f"{layer}.attention.attention.{name}").reshape(257, 4, 8).transpose(0, 1)
            for name in ("query", "key", "value")
        ]
        mixed = (heads[0] @ heads[1].transpose(1, 2) / 8**0.5).softmax(-1) @ heads[2]
        x = linear(mixed.transpose(0, 1).reshape(257, 32), f"{layer}.attention.output.dense")
        tokens = tokens + x * weights[f"{layer}.layer_scale1.lambda1"]
        x = torch.nn.functional.gelu(linear(norm(tokens, f"{layer}.norm2"), f"{layer}.mlp.fc1"))
        tokens = tokens + linear(x, f"{layer}.mlp.fc2") * weights[f"{layer}.layer_scale2.lambda1"]
    return norm(tokens, "layernorm")[0].numpy()


@pytest.mark.parametrize("image_size", [98, 224, 518])
def test_dinov2_is_its_authors_class_token(tmp_path: Path, files: list[Path], image_size: int) -> None:
    folder = dinov2_folder(tmp_path / "model", image_size)
    images = [read_picture(path) for path in files[:5]]
    embedder = Dinov2Embedder(folder, "cpu", batch_size=2)
    found = embedder.images(images)
    assert found.shape == (5, embedder.width)
    np.testing.assert_allclose(found, [plain_dinov2(folder, image) for image in images], atol=1e-4)
    assert np.ptp(found, axis=0).max() > 0.1


def test_models_that_do_not_load_are_said(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"found 'nowhere'.*--set judge\.cmmd="):
        ClipEmbedder("nowhere", "cmmd", device="cpu", key="judge.cmmd")
    (tmp_path / "config.json").write_text('{"model_type": "dinov2"}')
    with pytest.raises(UserError, match=r"expected DINOv2 in .*, found what does not load"):
        Dinov2Embedder(tmp_path, "cpu").images([Image.new("RGB", (8, 8))])
