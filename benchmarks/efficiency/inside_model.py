"""How much of ``lumina-eval generate`` is the model: ``python -m benchmarks.efficiency.inside_model``.

The command is run in a process of its own, from the start of the interpreter to its end, into an empty
folder; the parts of the model are watched in it. The model is text encoder, denoiser and decoder: what any
harness would have to wait for. On a GPU calls return before the work is done, so this is for a CPU.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.efficiency.command_line import without_traceback
from lumina_eval.errors import ExitCode, UserError

INSIDE: Final = ("text encoder", "denoiser", "decoder")
START: Final = "start, until the command runs"
WEIGHTS: Final = "reading weights, imports for it"
REST: Final = "all else: plan, waiting for files, end"
#: Once for a command, however many images it makes.
ONCE: Final = (START, "digests of weights", WEIGHTS)
#: What is run where nothing is said: 6 tasks x 4 prompts x 4 images.
USUAL: Final = ("geneval", "--protocol", "tabletop", "--model", "embedded:hq_tuning", "--limit", "4")
#: The share that is asked of a CPU with the embedded model.
ASKED: Final = 0.9


@dataclass(frozen=True)
class Shares:
    """Seconds of a command by part; they add up to its wall time."""

    wall: float
    seconds: Mapping[str, float]
    beside: Mapping[str, float]
    """In other threads meanwhile; no part of the wall time."""
    images: int

    @property
    def inside(self) -> float:
        """Share of the wall time in the model, 0 to 1."""
        return self._inside / self.wall

    @property
    def inside_in_the_long_run(self) -> float:
        """The same without what is paid once for a command: what it comes to with many images."""
        return self._inside / (self.wall - sum(self.seconds.get(name, 0.0) for name in ONCE))

    @property
    def _inside(self) -> float:
        return sum(self.seconds.get(name, 0.0) for name in INSIDE)


def shares(words: Sequence[str]) -> Shares:
    """Run ``lumina-eval generate`` with these words and return where its time went.

    Raises UserError if it fails, or makes no image.
    """
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "spans.json"
        argv = [sys.executable, "-m", __spec__.name if __spec__ else __name__, "--child", str(report)]
        argv += ["--", "generate", *words, "--device", "cpu", "--out", str(Path(folder) / "out")]
        begun = time.perf_counter()
        done = subprocess.run([*argv, "--json"], capture_output=True, text=True, check=False)
        wall = time.perf_counter() - begun
        if done.returncode:
            said = (done.stderr.strip().splitlines() or ["nothing"])[-1].removeprefix("error: ")
            command = shlex.join(["lumina-eval", "generate", *words])
            raise UserError(
                f"expected a command that ends well, found exit {done.returncode} ({said}), in {command}; "
                "fix: the words after --, until that command alone ends well"
            )
        found = json.loads(report.read_text())
        images = sum(json.loads(line)["made"] for line in done.stdout.splitlines())
    if not images:
        raise UserError("expected images to be made, found none; fix: name a model that makes some")
    seconds = dict(found["seconds"])
    seconds[START] += wall - found["lasted"]
    seconds[REST] = wall - sum(seconds.values())
    return Shares(wall, seconds, found["beside"], images)


@without_traceback
def main(arguments: Sequence[str] | None = None) -> None:
    """Parse the command line, run the command, say where its time went."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--at-least", type=float, help="exit 1 if the share in the model is below, e.g. 0.9")
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("words", nargs="*", help=f"after --: of lumina-eval generate, else {' '.join(USUAL)}")
    given = parser.parse_args(arguments)
    if given.child is not None:
        _watched(given.words, given.child)
        return
    words = given.words or list(USUAL)
    found = shares(words)
    print(f"lumina-eval generate {' '.join(words)}")
    print("\n".join(lines(found)))
    if given.at_least is not None and found.inside < given.at_least:
        sys.exit(ExitCode.GATE_FAILED)


def lines(found: Shares) -> list[str]:
    """Return the parts, the largest first, as Markdown, and the shares below."""
    rows = sorted(found.seconds.items(), key=lambda row: -row[1])
    beside = [f"{name} {seconds:.2f} s" for name, seconds in found.beside.items()]
    return [
        "",
        "| part | seconds | share |",
        "|---|---:|---:|",
        *(f"| {name} | {seconds:.2f} | {seconds / found.wall:.1%} |" for name, seconds in rows),
        "",
        f"{found.images} images in {found.wall:.1f} s; in another thread meanwhile: "
        f"{', '.join(beside) or 'nothing'}.",
        f"In the model (text encoder, denoiser, decoder): {found.inside:.1%} of the whole command, "
        f"{found.inside_in_the_long_run:.1%} without what is paid once. Asked: {ASKED:.0%}.",
    ]


def _watched(words: Sequence[str], report: Path) -> None:
    """Run ``lumina-eval`` in this process with its parts watched, and write the seconds to ``report``."""
    begun = time.perf_counter()
    from benchmarks.efficiency.spans import Spans
    from lumina_eval.store import ImageStore
    from lumina_model import adapter, pipeline
    from lumina_model.autoencoder import Autoencoder
    from lumina_model.branches import Row
    from lumina_model.next_dit import NextDiT
    from lumina_model.text_encoder import TextEncoder

    spans = Spans()
    spans.seconds[START] = time.perf_counter() - begun  # mostly torch, which the command would import
    spans.watch(TextEncoder, "encode", "text encoder")
    spans.watch(NextDiT, "encode_context", "denoiser")
    spans.watch(Row, "__call__", "denoiser")
    spans.watch(Autoencoder, "decode", "decoder")
    spans.watch(pipeline.Pipeline, "begin", "noise, solver, guidance")
    spans.watch(pipeline.Pipeline, "load", WEIGHTS)
    spans.watch(adapter, "component_digests", "digests of weights")
    spans.watch(ImageStore, "write", "writing images")
    (command,) = importlib.metadata.entry_points(group="console_scripts", name="lumina-eval")
    sys.argv = ["lumina-eval", *words]
    try:
        command.load()()
    finally:
        lasted = time.perf_counter() - begun
        report.write_text(
            json.dumps({"lasted": lasted, "seconds": spans.seconds, "beside": spans.beside}), "utf-8"
        )


if __name__ == "__main__":
    main()
