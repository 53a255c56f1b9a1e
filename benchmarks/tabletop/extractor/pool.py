"""The pictures that the extractor learns from: scenes and what they look like at the side that it reads.

Held-out compositions are among them: it is a measuring instrument, and must know all that there is to see.
Half of the pictures are drawn at twice the side and made smaller as the extractor makes a picture smaller, so
that it sees no difference between the two.
"""

from __future__ import annotations

import io
import itertools
import json
import multiprocessing
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image

from benchmarks.tabletop.world.renderer import render
from benchmarks.tabletop.world.scene import Scene, sample_scene
from lumina_eval.files import make_folder, write_atomic, write_lines
from lumina_eval.progress import Advance

#: Side in pixels that the extractor reads.
SIDE: Final = 64
#: Pictures in one file of the pool.
CHUNK: Final = 1000


@dataclass(frozen=True)
class Pool:
    """Pictures, sRGB uint8 (N, SIDE, SIDE, 3), and their scenes."""

    pictures: npt.NDArray[np.uint8]
    scenes: Sequence[Scene]


def example(seed: int, index: int) -> tuple[npt.NDArray[np.uint8], Scene]:
    """Return example ``index``: picture and scene, a function of seed and index alone."""
    rng = np.random.default_rng([seed, index])
    scene = sample_scene(rng)
    if rng.random() < 0.5:
        return render(scene, SIDE), scene
    large = Image.fromarray(render(scene, 2 * SIDE))
    return np.asarray(large.resize((SIDE, SIDE), Image.Resampling.BICUBIC)), scene


def draw(seed: int, count: int) -> Pool:
    """Draw the first ``count`` examples of a seed."""
    made = [example(seed, index) for index in range(count)]
    return Pool(np.stack([picture for picture, _ in made]), [scene for _, scene in made])


def draw_into(folder: Path, seed: int, chunks: int, workers: int, advance: Advance) -> Pool:
    """Draw ``chunks`` times :data:`CHUNK` examples into a folder, but for those that are there; read all."""
    make_folder(folder)
    files = [folder / f"{seed}-{chunk:04d}.npy" for chunk in range(chunks)]
    lacking = [(file, seed, chunk) for chunk, file in enumerate(files) if not file.exists()]
    advance(CHUNK * (chunks - len(lacking)))
    if lacking:
        with multiprocessing.get_context("spawn").Pool(workers) as processes:
            for _ in processes.imap_unordered(_write_chunk, lacking):
                advance(CHUNK)
    pictures = np.concatenate([np.load(file) for file in files])
    lines = itertools.chain.from_iterable(
        file.with_suffix(".jsonl").read_text(encoding="utf-8").splitlines() for file in files
    )
    return Pool(pictures, [Scene.from_json(json.loads(line)) for line in lines])


def _write_chunk(job: tuple[Path, int, int]) -> None:
    file, seed, chunk = job
    made = [example(seed, chunk * CHUNK + place) for place in range(CHUNK)]
    write_lines(file.with_suffix(".jsonl"), [json.dumps(scene.to_json()) for _, scene in made])
    stream = io.BytesIO()
    np.save(stream, np.stack([picture for picture, _ in made]))
    write_atomic(file, stream.getvalue())
