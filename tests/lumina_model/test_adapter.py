"""The checkpoint as the harness drives it, where memory is short."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lumina_model.adapter import LuminaModel, checkpoint_parts
from lumina_model.errors import UserError
from lumina_model.pipeline import Pipeline

OPTIONS = {"device": "cpu", "solver": "euler", "steps": "2", "max_text_tokens": "200"}
PROMPTS, SEEDS = ["a cube", "a cone", "a ball", "a cube", "a cone"], [1, 2, 3, 4, 5]


@pytest.fixture
def sizes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Batches asked for; of a device that holds two images at once."""
    asked: list[int] = []
    begin = Pipeline.begin

    def within_memory(self: Pipeline, prompts: Sequence[str], *rest: Any) -> Any:
        asked.append(len(prompts))
        if len(prompts) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return begin(self, prompts, *rest)

    monkeypatch.setattr(Pipeline, "begin", within_memory)
    return asked


def test_a_batch_that_does_not_fit_is_halved_once_and_said(pipeline_folder: Path, sizes: list[int]) -> None:
    model = LuminaModel("m", "m", checkpoint_parts(str(pipeline_folder)), OPTIONS)
    with pytest.warns(UserWarning, match="do not fit") as told:
        images = model.generate(PROMPTS, SEEDS)
    assert [str(one.message).partition(":")[0] for one in told] == [
        f"{n} images do not fit in the memory of cpu" for n in (5, 3)
    ]
    again = model.generate(PROMPTS, SEEDS)
    assert sizes == [5, 3, 2, 2, 1, 2, 2, 1]
    assert all(np.array_equal(one, other) for one, other in zip(images, again, strict=True))
    alone = [np.asarray(model.generate([p], [s])[0]).astype(int) for p, s in zip(PROMPTS, SEEDS, strict=True)]
    assert all(np.abs(np.asarray(one) - other).max() <= 1 for one, other in zip(images, alone, strict=True))


def test_an_image_that_does_not_fit_alone_is_an_error(
    pipeline_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(Pipeline, "begin", never)
    model = LuminaModel("m", "m", checkpoint_parts(str(pipeline_folder)), OPTIONS)
    with pytest.raises(torch.OutOfMemoryError), pytest.warns(UserWarning, match="1 at a time"):
        model.generate(PROMPTS[:2], SEEDS[:2])


def test_compile_takes_true_or_false(pipeline_folder: Path) -> None:
    parts = checkpoint_parts(str(pipeline_folder))
    with pytest.raises(UserError, match="true or false"):
        LuminaModel("m", "m", parts, OPTIONS | {"compile": "yes please"})
    assert LuminaModel("m", "m", parts, OPTIONS | {"compile": "true"}).environment()["compiled"] is True
    assert LuminaModel("m", "m", parts, OPTIONS).load().blocks is None


def test_on_a_cpu_images_are_whole_when_the_next_batch_begins(
    pipeline_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has no time to spare: what is decoded beside would only be in the way."""
    model = LuminaModel("m", "m", checkpoint_parts(str(pipeline_folder)), OPTIONS)
    begun = model.begin(PROMPTS[:2], SEEDS[:2])
    expected = model.generate(PROMPTS[:2], SEEDS[:2])
    monkeypatch.setattr(model.pipeline.autoencoder, "decode", None)
    assert all(np.array_equal(one, other) for one, other in zip(begun(), expected, strict=True))


def test_tiles_of_large_images_are_part_of_what_names_them(pipeline_folder: Path) -> None:
    parts = checkpoint_parts(str(pipeline_folder))
    for height, tile in (("2048", None), ("2064", 1024)):
        assert LuminaModel("m", "m", parts, OPTIONS | {"height": height}).sampling().get("tile") == tile


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_a_gpu_a_batch_is_decoded_while_the_next_is_drawn(pipeline_folder: Path) -> None:
    model = LuminaModel("m", "m", checkpoint_parts(str(pipeline_folder)), OPTIONS | {"device": "cuda"})
    expected = [model.generate([prompt], [seed]) for prompt, seed in zip(PROMPTS, SEEDS, strict=True)]
    with ThreadPoolExecutor(1) as other:
        found = [
            other.submit(model.begin([prompt], [seed])) for prompt, seed in zip(PROMPTS, SEEDS, strict=True)
        ]
    for one, images in zip(found, expected, strict=True):
        assert np.array_equal(one.result()[0], images[0])
