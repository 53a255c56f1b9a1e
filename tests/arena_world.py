"""Small runs for arenas: folders as the harness writes them, with images that know whose they are."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import uvicorn
from PIL import Image

from benchmarks.arena.export import Exported, export_arena
from benchmarks.arena.manifest import manifest_path, read_manifest_of_export
from benchmarks.arena.matchups import entrants
from benchmarks.arena.serve.app import application
from benchmarks.arena.serve.arena import Arena
from benchmarks.arena.serve.command import LOOPBACK_NAMES, listen
from lumina_eval.digests import digest_of
from lumina_eval.records import ImageRef, Item, Manifest
from lumina_eval.runs import RunFolder
from lumina_eval.store import ImageStore

PROMPTS = [f"a photo of {number} things" for number in range(6)]
SHA = "0" * 64


def pixels(model: str, prompt: str, index: int, side: int) -> np.ndarray:
    """Return noise that is the same for the same words."""
    rng = np.random.default_rng(int(digest_of([model, prompt, index])[:8], 16))
    return rng.integers(0, 256, (side, side, 3), dtype=np.uint8)


def make_run(
    out: Path,
    model: str,
    prompts: Sequence[str] = PROMPTS,
    *,
    images: int = 2,
    side: int = 16,
    without: Sequence[tuple[str, int]] = (),
) -> Path:
    """Write a run of ``model`` below ``out``; prompts are of category ``even`` or ``odd`` by their place."""
    folder, store = out / "runs" / f"fake-plain-{model}", ImageStore(out / "images").open()
    items = [
        Item(id=f"{k:05d}", prompt=prompt, task="odd" if k % 2 else "even")
        for k, prompt in enumerate(prompts)
    ]
    refs = []
    for item in items:
        for index in range(images):
            key = digest_of([model, item.prompt, index])
            refs.append(ImageRef(item_id=item.id, index=index, seed=index, key=key))
            if (item.prompt, index) not in without:
                image = Image.fromarray(pixels(model, item.prompt, index, side))
                store.write(key, image, {"model": model, "prompt": item.prompt})
    manifest = Manifest(
        run_id=folder.name, run_digest=digest_of(model), benchmark="fake", protocol="plain",
        protocol_digest=SHA, protocol_values={}, model=model, title=model, images_per_prompt=images,
        judge="none", judge_kind="scorer", judge_digest=SHA, store="../../images",
    )  # fmt: skip
    RunFolder(folder).begin(manifest, items, refs)
    (folder / "metrics.json").write_text("{}")  # the run is whole
    return folder


def make_arena(
    folder: Path, models: Sequence[str] = ("bright", "dull", "wild"), **of_runs: object
) -> Exported:
    """Export an arena of small runs into ``folder / "arena"``."""
    runs = [make_run(folder / "world", model, **of_runs) for model in models]  # type: ignore[arg-type]
    return export_arena(entrants(runs), folder / "arena", "arena")


@contextlib.contextmanager
def open_to_votes(folder: Path) -> Iterator[tuple[str, str]]:
    """Serve an arena from a thread of this process; give its address and the leaderboard's.

    It starts at once, but cannot be killed and does not print: where that counts, see ``serving``.
    """
    arena = Arena(folder, read_manifest_of_export(manifest_path(folder)))
    listener = listen("127.0.0.1", 0)
    config = uvicorn.Config(
        application(arena, LOOPBACK_NAMES), log_level="warning", access_log=False, server_header=False
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    address = f"http://127.0.0.1:{listener.getsockname()[1]}"
    try:
        yield address, f"{address}/leaderboard?key={arena.signer.owner_key()}"
    finally:
        server.should_exit = True
        thread.join()
        listener.close()
        arena.box.close()


@contextlib.contextmanager
def serving(folder: Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], str, str]]:
    """Serve an arena in a process of its own on a free port; give it, its address and the leaderboard's."""
    program = "from benchmarks.arena.cli import app; app()"  # without the other commands, which load slowly
    command = [sys.executable, "-c", program, "serve", str(folder), "--port", "0", *options]
    env = {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "200"}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env)
    assert process.stdout is not None
    guard = threading.Timer(120, process.kill)
    guard.start()
    try:
        addresses = [process.stdout.readline().split()[-1] for _ in range(2)]
        process.stdout.readline()
        yield process, addresses[0].rstrip("/"), addresses[1]
    finally:
        guard.cancel()
        process.terminate()
        process.communicate()
