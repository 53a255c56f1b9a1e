"""Write a training set to disk, in the form that a user's own data has: images and a JSONL list.

``train.jsonl`` names every image; ``curated.jsonl`` names the subset for the last training stage: nothing is
covered, nothing is at the rim, no more than four things lie on the table. Compositions held out as *unseen*
never occur.
"""

from __future__ import annotations

import dataclasses
import json
import multiprocessing
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from rich.progress import track

from benchmarks.tabletop.world import splits
from benchmarks.tabletop.world.captions import captions
from benchmarks.tabletop.world.renderer import render
from benchmarks.tabletop.world.scene import Scene, sample_scene
from benchmarks.tabletop.world.vocabulary import TEXTURES
from lumina_eval.errors import UserError


def write_dataset(
    folder: Path,
    count: int,
    *,
    size: int = 128,
    seed: int = 0,
    workers: int = 1,
    patterned: float | None = None,
) -> None:
    """Draw ``count`` seen scenes and write them with their captions.

    Args:
        folder: gets ``images/``, ``train.jsonl`` and ``curated.jsonl``.
        count: number of images.
        size: side in pixels.
        seed: example ``i`` is a function of (seed, i), whatever the number of workers.
        workers: processes.
        patterned: share of things that have a pattern; None for the world's own, 0.45.

    Raises:
        UserError: the folder cannot be written.
    """
    try:
        (folder / "images").mkdir(parents=True, exist_ok=True)
        jobs = ((folder, index, size, seed, patterned) for index in range(count))
        with (
            multiprocessing.Pool(workers) as pool,
            (folder / "train.jsonl").open("w", encoding="utf-8") as train,
            (folder / "curated.jsonl").open("w", encoding="utf-8") as curated,
        ):
            examples = pool.imap(_write_example, jobs, chunksize=64)
            for line, chosen in track(examples, "scenes", total=count):
                train.write(line)
                if chosen:
                    curated.write(line)
    except OSError as error:
        raise UserError(
            f"expected a writable folder, found {error.strerror}, at {folder}; fix: give another one"
        ) from error


def example_scene(index: int, seed: int, patterned: float | None = None) -> tuple[Scene, np.random.Generator]:
    """Return the scene of a training example and the generator that goes on to draw its captions."""
    rng = np.random.default_rng([seed, index])
    while splits.is_unseen(scene := _drawn(rng, patterned)):
        pass
    return scene, rng


def _drawn(rng: np.random.Generator, patterned: float | None) -> Scene:
    scene = sample_scene(rng)
    if patterned is None:
        return scene
    plain, *patterns = TEXTURES
    textures = [
        patterns[int(rng.integers(len(patterns)))] if rng.random() < patterned else plain
        for _ in scene.things
    ]
    things = zip(scene.things, textures, strict=True)
    return dataclasses.replace(scene, things=tuple(dataclasses.replace(t, texture=x) for t, x in things))


def is_curated(scene: Scene) -> bool:
    """Tell whether a scene is curated: four things at most, well apart, clear of the rim."""
    things = scene.things
    apart = all(
        (a.x - b.x) ** 2 + (a.y - b.y) ** 2 >= ((a.diameter + b.diameter) / 2) ** 2
        for i, a in enumerate(things)
        for b in things[:i]
    )
    clear = all(t.diameter / 2 + 0.03 <= min(t.x, t.y, 1 - t.x, 1 - t.y) for t in things)
    return len(things) <= 4 and apart and clear


def _write_example(job: tuple[Path, int, int, int, float | None]) -> tuple[str, bool]:
    folder, index, size, seed, patterned = job
    scene, rng = example_scene(index, seed, patterned)
    texts = captions(scene, rng)
    name = f"images/{index:06d}.png"
    Image.fromarray(render(scene, size)).save(folder / name, compress_level=1)
    record: dict[str, Any] = {"image_path": name, "prompt": texts["en"]["short"], "captions": texts}
    return json.dumps(record, ensure_ascii=False) + "\n", is_curated(scene)
