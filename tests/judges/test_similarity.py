"""CLIP similarity on tiny random weights: the loaded model is the one on disk, the pixels are OpenAI's."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tiny_t2i_models import CLIP, MEAN, STD, clip_folder
from torchvision import transforms

from benchmarks.judges.openai_clip import clip_source
from benchmarks.judges.similarity import ClipSimilarity
from lumina_eval.errors import UserError

TEXTS = ["a teal anvil", "Two geese, behind a BARN.", "a  kite"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return clip_folder(tmp_path_factory.mktemp("models") / "clip")


@pytest.fixture
def images() -> list[Image.Image]:
    noise = np.random.default_rng(0)
    sizes = [(40, 64), (64, 40), (32, 32)]
    return [Image.fromarray(noise.integers(0, 256, (*size, 3), dtype=np.uint8)) for size in sizes]


def plain(folder: Path, image: Image.Image, text: str) -> float:
    """The official procedure, step by step."""
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
    with torch.no_grad():
        seen = model.encode_image(preprocess(image)[None])
        read = model.encode_text(open_clip.tokenize([text]))
    seen /= seen.norm(dim=-1, keepdim=True)
    read /= read.norm(dim=-1, keepdim=True)
    return float(seen @ read.T)


def test_it_is_the_plain_cosine(folder: Path, images: list[Image.Image]) -> None:
    found = ClipSimilarity(str(folder), "cpu").similarities(images, TEXTS)
    assert found == pytest.approx(
        [plain(folder, *pair) for pair in zip(images, TEXTS, strict=True)], abs=1e-6
    )
    assert len(set(found)) == 3


def test_neighbours_do_not_matter(folder: Path, images: list[Image.Image]) -> None:
    clip = ClipSimilarity(str(folder), "cpu", batch_size=2)
    together = clip.similarities(images, TEXTS)
    alone = [clip.similarities([image], [text])[0] for image, text in zip(images, TEXTS, strict=True)]
    assert together == pytest.approx(alone, abs=1e-6)
    assert clip.similarities([], []) == []
    with pytest.raises(ValueError, match="expected one text to each image, found 3 and 1"):
        clip.similarities(images, ["a kite"])


def test_a_text_that_is_too_long_is_an_error_and_is_not_cut(folder: Path, images: list[Image.Image]) -> None:
    clip = ClipSimilarity(str(folder), "cpu")
    assert len(clip.similarities(images[:1], ["dog " * 75])) == 1
    with pytest.raises(UserError, match=r"at most 77 tokens for CLIP, found 78: 'dog dog"):
        clip.similarities(images[:1], ["dog " * 76])


def test_the_activation_must_be_that_of_the_weights() -> None:
    with pytest.raises(UserError, match=r"with QuickGELU.*found 'ViT-B-32'.*=ViT-B-32-quickgelu/openai"):
        ClipSimilarity("ViT-B-32/openai", "cpu")
    with pytest.raises(UserError, match=r"found 'ViT-B-32-quickgelu/laion2b_s34b_b79k' .tags of .*openai"):
        ClipSimilarity("ViT-B-32-quickgelu/laion2b_s34b_b79k", "cpu")  # trained with GELU


def test_a_model_that_is_not_there_is_named(
    tmp_path: Path, images: list[Image.Image], caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(
        UserError, match="expected NAME/TAG of a model of open_clip or a folder, found 'nowhere'"
    ):
        ClipSimilarity("nowhere", "cpu")
    with pytest.raises(UserError, match=r"expected open_clip_config.json in .*, found none"):
        ClipSimilarity(str(tmp_path), "cpu")
    (tmp_path / "open_clip_config.json").write_text("{}")
    caplog.set_level(logging.CRITICAL)
    with pytest.raises(UserError, match=r"cannot load CLIP .*model_cfg"):
        ClipSimilarity(str(tmp_path), "cpu").similarities(images[:1], ["a kite"])


def test_the_digest_is_that_of_the_content(folder: Path, tmp_path: Path) -> None:
    first = ClipSimilarity(str(folder), "cpu")
    again = clip_folder(tmp_path / "again")
    assert ClipSimilarity(str(again), "cpu", batch_size=1).digest == first.digest
    (again / "open_clip_config.json").write_text((again / "open_clip_config.json").read_text() + " ")
    assert ClipSimilarity(str(again), "cpu").digest != first.digest
    assert first.settings == {"dtype": "float32", "device": "cpu"}


def test_the_official_name_is_the_fetched_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LUMINA_EVAL_DATA", str(tmp_path))
    official = {"ViT-L-14-quickgelu/openai": 932768134, "ViT-B-32-quickgelu/openai": 353976522}
    for name, size in official.items():
        asset = f"clip-{name[:8].lower()}"
        with pytest.raises(UserError, match=f"fix: lumina-eval data fetch {asset}"):
            clip_source(name)
        (tmp_path / asset).mkdir()
        file = tmp_path / asset / f"{name[:8]}.pt"
        with file.open("wb") as stream:
            stream.truncate(size)  # a hole of the right size
        assert clip_source(name) == file
    assert clip_source("ViT-B-32/laion2b_s34b_b79k") is None


def test_a_file_in_openais_form(tmp_path: Path, images: list[Image.Image]) -> None:
    import open_clip

    torch.manual_seed(0)
    vision = {**CLIP["vision_cfg"], "width": 64, "head_width": 64}  # type: ignore[dict-item]
    text = {**CLIP["text_cfg"], "width": 64, "heads": 1}  # type: ignore[dict-item]
    model = open_clip.CLIP(embed_dim=16, vision_cfg=vision, text_cfg=text, quick_gelu=True).eval()
    file = tmp_path / "tiny.pt"
    torch.save(model.state_dict(), file)
    clip = ClipSimilarity(str(file), "cpu")
    found = clip.similarities(images[2:], TEXTS[2:])
    pixels = transforms.Compose([transforms.ToTensor(), transforms.Normalize(MEAN, STD)])(images[2])[None]
    with torch.no_grad():
        seen, read = model.encode_image(pixels), model.encode_text(open_clip.tokenize(TEXTS[2:]))
    # OpenAI's form is half precision.
    assert found == pytest.approx(torch.cosine_similarity(seen, read).tolist(), abs=2e-3)
    assert len(clip.digest) == 64
