"""The colour classifier on a tiny CLIP, held to the official procedure step by step."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tiny_t2i_models import CLIP, MEAN, STD, clip_folder
from torchvision import transforms

from benchmarks.geneval.vocabulary import COLORS
from benchmarks.judges.colors import ColorClassifier, crop_of
from benchmarks.judges.detectors.detection import Detection
from lumina_eval.errors import UserError

NAMES = ["dog", "wine glass", "dog", "computer keyboard", "toothbrush", "dog"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = clip_folder(tmp_path_factory.mktemp("models") / "clip")
    state = torch.load(made / "open_clip_pytorch_model.bin", weights_only=True)
    draw = torch.Generator().manual_seed(3)
    for name, value in state.items():  # larger weights: else every picture has nearly the same features
        if name == "visual.conv1.weight" or (name.startswith("visual.transformer") and value.ndim == 2):
            state[name] = 0.3 * torch.randn(value.shape, generator=draw)
    torch.save(state, made / "open_clip_pytorch_model.bin")
    return made


@pytest.fixture
def crops() -> list[Image.Image]:
    noise = np.random.default_rng(0)
    sizes = [(40, 64), (64, 40), (32, 32), (9, 50), (20, 20), (33, 70)]
    coarse = [noise.integers(0, 256, (2, 2, 3), dtype=np.uint8) for _ in sizes]
    return [Image.fromarray(one).resize(size) for one, size in zip(coarse, sizes, strict=True)]


def plain(folder: Path, crop: Image.Image, name: str) -> list[float]:
    """The scores of the ten colours, as CLIP_benchmark's zero-shot classification computes them."""
    import open_clip

    model = open_clip.CLIP(**CLIP).eval()
    model.load_state_dict(torch.load(folder / "open_clip_pytorch_model.bin", weights_only=True))
    preprocess = transforms.Compose(
        [
            transforms.Resize(32, interpolation=transforms.InterpolationMode.BICUBIC),
            transforms.CenterCrop(32),
            transforms.ToTensor(),
            transforms.Normalize(MEAN, STD),
        ]
    )
    scores = []
    with torch.no_grad():
        seen = model.encode_image(preprocess(crop)[None])[0]
        seen /= seen.norm()
        for color in COLORS:
            texts = [f"a photo of a {color} {name}", f"a photo of a {color}-colored {name}",
                     f"a photo of a {color} object"]  # fmt: skip
            read = [model.encode_text(open_clip.tokenize([text]))[0] for text in texts]
            mean = sum(one / one.norm() for one in read) / 3
            scores.append(100 * float(seen @ (mean / mean.norm())))
    return scores


def test_the_color_is_that_of_the_plain_computation(folder: Path, crops: list[Image.Image]) -> None:
    found = ColorClassifier(str(folder), COLORS, "cpu", batch_size=4).classify(crops, NAMES)
    for color, crop, name in zip(found, crops, NAMES, strict=True):
        scores = plain(folder, crop, name)
        assert scores[COLORS.index(color)] == pytest.approx(max(scores), abs=1e-4)
    assert len(set(found)) > 1


def test_batches_and_earlier_classes_change_nothing(folder: Path, crops: list[Image.Image]) -> None:
    classifier = ColorClassifier(str(folder), COLORS, "cpu", batch_size=6)
    together = classifier.classify(crops, NAMES)
    alone = [
        ColorClassifier(str(folder), COLORS, "cpu", batch_size=1).classify([crop], [name])[0]
        for crop, name in zip(crops[:3], NAMES[:3], strict=True)
    ]
    assert together[:3] == alone
    assert classifier.classify(crops[::-1], NAMES[::-1]) == together[::-1]
    assert classifier.classify([], []) == []


def test_a_crop_is_the_object_on_grey() -> None:
    image = Image.new("RGB", (8, 6), (255, 0, 0))
    mask = np.zeros((6, 8), dtype=bool)
    mask[2:4, 3:6] = True
    mask[3, 3] = False
    crop = crop_of(image, Detection((2.5, 1.5, 6.5, 4.5), 0.9, "dog", mask))
    expected = np.full((2, 4, 3), 153, dtype=np.uint8)  # half to even: (2, 2, 6, 4)
    expected[0, 1:4] = (255, 0, 0)
    expected[1, 2:4] = (255, 0, 0)
    assert np.array_equal(np.asarray(crop), expected)
    bare = crop_of(image, Detection((2.5, 1.5, 6.5, 4.5), 0.9, "dog"))
    assert np.array_equal(np.asarray(bare), np.full((2, 4, 3), (255, 0, 0)))


def test_an_object_without_extent_is_a_pixel() -> None:
    assert crop_of(Image.new("RGB", (8, 6)), Detection((3.0, 2.0, 3.2, 2.1), 0.4, "dog")).size == (1, 1)


def test_the_digest_knows_weights_and_colors(folder: Path, tmp_path: Path) -> None:
    first = ColorClassifier(str(folder), COLORS, "cpu").digest
    assert ColorClassifier(str(folder), COLORS[:9], "cpu").digest != first
    other = tmp_path / "clip"
    other.mkdir()
    for file in folder.iterdir():
        (other / file.name).write_bytes(file.read_bytes())
    assert ColorClassifier(str(other), COLORS, "cpu").digest == first


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ("ViT-L-14/openai", "QuickGELU.*--set judge.colors=ViT-L-14-quickgelu/openai"),
        ("no-such/model", "found 'no-such/model'.*--set judge.colors=ViT-L-14-quickgelu/openai"),
    ],
)
def test_wrong_names_come_with_the_right_one(weights: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        ColorClassifier(weights, COLORS, "cpu")


def test_a_folder_of_something_else(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="expected open_clip_config"):
        ColorClassifier(str(tmp_path), COLORS, "cpu")


def test_a_file_of_something_else(tmp_path: Path) -> None:
    (tmp_path / "x.pt").write_bytes(b"nothing")
    with pytest.raises(UserError, match="fix: lumina-eval data fetch clip-vit-l-14"):
        ColorClassifier(str(tmp_path / "x.pt"), COLORS, "cpu").classify([Image.new("RGB", (4, 4))], ["dog"])
