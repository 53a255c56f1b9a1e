"""A training set on disk: a folder with one JSONL file and the images it names.

Each line is an object with ``image_path`` (relative to the JSONL file) and ``prompt``; it may carry
``captions``, a table language → level → text, from which a stage draws. Nothing here knows where the
images came from.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from lumina_model.errors import UserError


@dataclasses.dataclass(frozen=True, slots=True)
class Example:
    """One image with its texts; ``captions`` maps language → level → text and may be empty."""

    image_path: Path
    prompt: str
    captions: Mapping[str, Mapping[str, str]]


def read_examples(path: Path) -> list[Example]:
    """Read a JSONL training list.

    Args:
        path: the ``.jsonl`` file, or a folder that holds ``train.jsonl``.

    Raises:
        UserError: the file is absent or empty, a line is no JSON object or lacks a key.
    """
    file = path / "train.jsonl" if path.is_dir() else path
    if not file.is_file():
        raise UserError(
            f"expected a training list at {file}, found no such file; "
            f"fix: check the folder, or make a set with `lumina-eval tabletop dataset {path}`"
        )
    examples = []
    with file.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            try:
                record: dict[str, Any] = json.loads(line)
                captions = record.get("captions") or {}
                examples.append(Example(file.parent / record["image_path"], record["prompt"], captions))
            except (json.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
                raise UserError(
                    f"expected a JSON object with image_path and prompt, found {line.strip()[:80]!r} "
                    f"({error}), in {file} line {number}; fix: mend or drop that line"
                ) from error
    if not examples:
        raise UserError(f"expected at least one example, found an empty list, in {file}")
    return examples


def load_images(paths: Sequence[Path], size: int) -> torch.Tensor:
    """Load square images, area-averaged down to ``size`` pixels.

    Returns:
        (B, 3, size, size) float32 in [-1, 1].

    Raises:
        UserError: a file cannot be read as an image.
    """
    arrays = []
    for path in paths:
        try:
            with Image.open(path) as image:
                rgb = image.convert("RGB")
        except OSError as error:
            raise UserError(
                f"expected an image, found {error}, in {path}; fix: make the training set again"
            ) from error
        if rgb.size != (size, size):
            rgb = rgb.resize((size, size), Image.Resampling.BOX)
        arrays.append(np.asarray(rgb))
    batch = torch.from_numpy(np.stack(arrays))  # (B, H, W, 3)
    return batch.permute(0, 3, 1, 2).float() / 127.5 - 1.0


def batch_indices(seed: int, step: int, count: int, batch: int) -> npt.NDArray[np.int64]:
    """Return the examples of one step: a function of (seed, step) alone, so that a resumed run sees the same.

    Examples are drawn without repetition within a step, and equally often on average.
    """
    rng = np.random.default_rng([seed, step])
    return rng.choice(count, size=min(batch, count), replace=False)


def draw_caption(
    example: Example,
    rng: np.random.Generator,
    languages: Mapping[str, float],
    levels: Mapping[str, float],
) -> str:
    """Draw one text of an example by the weights of languages and levels; ``prompt`` where there is none."""
    language = _draw(rng, languages)
    level = _draw(rng, levels)
    return example.captions.get(language, {}).get(level, example.prompt)


def all_texts(examples: Sequence[Example]) -> Iterator[str]:
    """Yield every text of a training set."""
    for example in examples:
        yield example.prompt
        for levels in example.captions.values():
            yield from levels.values()


def _draw(rng: np.random.Generator, weights: Mapping[str, float]) -> str:
    names = list(weights)
    shares = np.array([weights[name] for name in names], dtype=np.float64)
    return names[int(rng.choice(len(names), p=shares / shares.sum()))]
