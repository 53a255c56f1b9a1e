"""DPT depth on tiny random weights: each step against the official procedure, written out here."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tiny_t2i_models import dpt_folder
from torch.nn.functional import interpolate
from torchvision import transforms

from benchmarks.judges.depth import DptDepth, nearness_of, picture_of, pixels_of
from lumina_eval.errors import UserError


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return dpt_folder(tmp_path_factory.mktemp("models") / "dpt")


@pytest.fixture
def images() -> list[Image.Image]:
    noise = np.random.default_rng(0)
    return [
        Image.fromarray(noise.integers(0, 256, (*size, 3), dtype=np.uint8)).resize((size[1] * 9, size[0] * 9))
        for size in [(6, 9), (8, 8)]
    ]


def official_pixels(image: Image.Image) -> torch.Tensor:
    steps = [transforms.Resize([480, 480]), transforms.ToTensor(), transforms.Normalize(mean=0.5, std=0.5)]
    found: torch.Tensor = transforms.Compose(steps)(image)
    return found


def official_picture(depth: torch.Tensor, size: tuple[int, int]) -> Image.Image:
    depth = (depth - depth.min()) / (depth.max() - depth.min())
    wide = interpolate(depth[None, None], size=(size[1], size[0]), mode="bilinear", align_corners=True)
    return Image.fromarray(255 * wide[0, 0].numpy()).convert("L")


def at_480(folder: Path) -> torch.nn.Module:
    """The same weights in a model made for 480 pixels, its positions interpolated before it is loaded."""
    from safetensors.torch import load_file
    from transformers import DPTConfig, DPTForDepthEstimation

    weights = load_file(folder / "model.safetensors")
    name = "dpt.embeddings.position_embeddings"
    first, grid = weights[name][:, :1], weights[name][:, 1:].reshape(1, 4, 4, -1).permute(0, 3, 1, 2)
    grid = interpolate(grid, size=(30, 30), mode="bilinear").permute(0, 2, 3, 1).flatten(1, 2)
    config = DPTConfig.from_pretrained(folder)
    config.image_size = 480
    model = DPTForDepthEstimation(config)
    model.load_state_dict({**weights, name: torch.cat([first, grid], dim=1)})
    return model.eval()


def test_pixels_are_the_official_ones(images: list[Image.Image]) -> None:
    for image in images:
        np.testing.assert_allclose(pixels_of(image), official_pixels(image).numpy(), atol=1e-6)


@pytest.mark.parametrize("size", [(7, 5), (480, 480), (640, 300)])
def test_the_picture_is_the_official_one(size: tuple[int, int]) -> None:
    depth = torch.from_numpy(np.random.default_rng(1).gamma(2, 3, (480, 480)).astype(np.float32))
    found, wanted = picture_of(depth.numpy(), size), official_picture(depth, size)
    assert (found.mode, found.size) == ("L", size)
    np.testing.assert_array_equal(np.asarray(found), np.asarray(wanted))


def test_a_flat_map_is_far_everywhere() -> None:
    assert np.asarray(picture_of(np.full((4, 4), 3, dtype=np.float32), (5, 3))).max() == 0


def test_nearness_is_from_0_to_1() -> None:
    found = nearness_of(Image.fromarray(np.array([[0, 51], [102, 255]], dtype=np.uint8)))
    np.testing.assert_array_equal(found, np.array([[0, 0.2], [0.4, 1]], dtype=np.float32))


def test_the_whole_way_is_the_official_one(folder: Path, images: list[Image.Image]) -> None:
    model = at_480(folder)
    found = DptDepth(folder, "cpu").depth_pictures(images)
    for image, picture in zip(images, found, strict=True):
        with torch.no_grad():
            depth = model(pixel_values=official_pixels(image)[None]).predicted_depth[0]
        wanted = np.asarray(official_picture(depth, image.size)).astype(int)
        assert picture.size == image.size
        assert wanted.std() > 5, "a map that tells something"
        assert np.abs(np.asarray(picture).astype(int) - wanted).max() <= 1


def test_neighbours_do_not_matter(folder: Path, images: list[Image.Image]) -> None:
    together = DptDepth(folder, "cpu").depth_pictures(images)
    alone = DptDepth(folder, "cpu", batch_size=1).depth_pictures(images)
    for one, other in zip(together, alone, strict=True):
        assert np.abs(np.asarray(one).astype(int) - np.asarray(other).astype(int)).max() <= 1


def test_weights_that_are_not_there_or_not_whole(tmp_path: Path, images: list[Image.Image]) -> None:
    with pytest.raises(UserError, match="DPT for depth"):
        DptDepth(tmp_path / "nowhere", "cpu")
    (tmp_path / "config.json").write_text('{"model_type": "dpt"}')
    with pytest.raises(UserError, match=r"DPT for depth in .*, found what does not load"):
        DptDepth(tmp_path, "cpu").depth_pictures(images)


def test_a_parameter_that_is_lacking_is_an_error(
    folder: Path, tmp_path: Path, images: list[Image.Image]
) -> None:
    from safetensors.torch import load_file, save_file

    weights = load_file(folder / "model.safetensors")
    (tmp_path / "config.json").write_bytes((folder / "config.json").read_bytes())
    never_read = {name for name in weights if "fusion_stage.layers.0.residual_layer1" in name}
    assert len(never_read) == 4
    kept = {name: value for name, value in weights.items() if name not in never_read}
    save_file(kept, tmp_path / "model.safetensors", {"format": "pt"})
    wanted = DptDepth(folder, "cpu").depth_pictures(images[:1])
    assert DptDepth(tmp_path, "cpu").depth_pictures(images[:1]) == wanted, "published weights lack these four"
    del kept["head.head.0.weight"]
    save_file(kept, tmp_path / "model.safetensors", {"format": "pt"})
    with pytest.raises(UserError, match=r"all parameters of DPT for depth .*head.head.0.weight"):
        DptDepth(tmp_path, "cpu").depth_pictures(images)


def test_the_digest_is_that_of_the_content(folder: Path, tmp_path: Path) -> None:
    same = DptDepth(dpt_folder(tmp_path / "same"), "cpu", batch_size=3)
    assert same.digest == DptDepth(folder, "cpu").digest
    assert same.settings == {"image_size": 480, "dtype": "float32", "device": "cpu"}
    config = tmp_path / "same" / "config.json"
    config.write_text(config.read_text().replace("bottleneck", "preactivation"))
    assert DptDepth(tmp_path / "same", "cpu").digest != same.digest
