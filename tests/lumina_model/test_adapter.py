"""The checkpoint as the harness drives it, where memory is short."""

from collections.abc import Sequence
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
    generate = Pipeline.generate

    def within_memory(self: Pipeline, prompts: Sequence[str], *rest: Any) -> Any:
        asked.append(len(prompts))
        if len(prompts) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return generate(self, prompts, *rest)

    monkeypatch.setattr(Pipeline, "generate", within_memory)
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

    monkeypatch.setattr(Pipeline, "generate", never)
    model = LuminaModel("m", "m", checkpoint_parts(str(pipeline_folder)), OPTIONS)
    with pytest.raises(torch.OutOfMemoryError), pytest.warns(UserWarning, match="1 at a time"):
        model.generate(PROMPTS[:2], SEEDS[:2])


def test_compile_takes_true_or_false(pipeline_folder: Path) -> None:
    parts = checkpoint_parts(str(pipeline_folder))
    with pytest.raises(UserError, match="true or false"):
        LuminaModel("m", "m", parts, OPTIONS | {"compile": "yes please"})
    assert LuminaModel("m", "m", parts, OPTIONS | {"compile": "true"}).environment()["compiled"] is True
    assert LuminaModel("m", "m", parts, OPTIONS).load().blocks is None
