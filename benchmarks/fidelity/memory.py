"""Does memory grow with the images? `python -m benchmarks.fidelity.memory` looks at 3,000 and at 30,000.

Small random pictures are made batch by batch, a random projection stands for the network, the features go to
a file that is mapped, and FID, KID, precision, recall, density and coverage are computed from there. Each
count has a process of its own. Resident memory counts the pages of the mapped file too, which the system
takes back when it needs them; anonymous memory is the rest, which it cannot.

This is what the metrics need, and not what the command takes: verdicts hold their rows as text, and
``lumina-eval judge fidelity --features`` grows by some 33 KB an image of 2048 features (metrics = ["fid"],
against statistics: a peak of 924 MiB at 5,001 rows, of 1,255 MiB at 15,001).
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray

from benchmarks.fidelity.metrics.frechet import frechet_distance
from benchmarks.fidelity.metrics.kernel import kid_reference
from benchmarks.fidelity.metrics.moments import Moments, RunningMoments
from benchmarks.fidelity.metrics.neighbours import density_coverage, precision_recall

SIDE, BATCH = 16, 100


def extracted(file: Path, images: int, width: int, seed: int) -> tuple[NDArray[Any], Moments]:
    """Stream pictures into a file of features; return it mapped, and the moments."""
    rng = np.random.default_rng(seed)
    projection = np.random.default_rng(0).standard_normal((3 * SIDE**2, width), dtype=np.float32) / SIDE
    written = np.lib.format.open_memmap(file, mode="w+", dtype=np.float32, shape=(images, width))
    running = RunningMoments()
    for start in range(0, images, BATCH):
        pictures = rng.integers(0, 256, (min(BATCH, images - start), 3 * SIDE**2), dtype=np.uint8)
        features = (pictures.astype(np.float32) / 255 + 0.01 * seed) @ projection
        written[start : start + len(features)] = features
        running.update(features)
    written.flush()
    del written
    return np.load(file, mmap_mode="r"), running.moments()


def measured(images: int, width: int) -> dict[str, Any]:
    """Compute every metric of that many images in this process."""
    peak = AnonymousPeak()
    with tempfile.TemporaryDirectory() as folder:
        generated, own = extracted(Path(folder, "generated.npy"), images, width, seed=1)
        reference, real = extracted(Path(folder, "reference.npy"), images, width, seed=2)
        found = {
            "fid": frechet_distance(own, real),
            "kid": kid_reference(reference).discrepancy(generated).value,
            **precision_recall(generated, reference)._asdict(),
            **density_coverage(generated, reference)._asdict(),
        }
    return {
        "images": images,
        "width": width,
        "peak_resident_mib": peak_resident(),
        "peak_anonymous_mib": peak.stop(),
        "features_mib": 2 * images * width * 4 / 2**20,
        **found,
    }


def peak_resident() -> float:
    """Return the most memory that this process had resident, in MiB."""
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20


class AnonymousPeak:
    """Looks at this process's anonymous memory a hundred times a second, where /proc tells it."""

    def __init__(self) -> None:
        self._most, self._done = 0.0, threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def stop(self) -> float | None:
        """Return the most that was seen, in MiB; None where it cannot be seen."""
        self._done.set()
        self._thread.join()
        return self._most or None

    def _watch(self) -> None:
        status = Path("/proc/self/status")
        while status.exists() and not self._done.wait(0.01):
            found = re.search(r"RssAnon:\s+(\d+) kB", status.read_text())
            self._most = max(self._most, int(found[1]) / 1024 if found else 0.0)


def main(
    images: Annotated[int | None, typer.Option(min=10, help="Only this many, in this process.")] = None,
    width: Annotated[int, typer.Option(min=2)] = 64,
) -> None:
    """Print one JSON object for each count of images."""
    if images is not None:
        print(json.dumps(measured(images, width)))
        return
    for count in (3_000, 30_000):
        options = ["--images", str(count), "--width", str(width)]
        subprocess.run([sys.executable, "-m", "benchmarks.fidelity.memory", *options], check=True)


if __name__ == "__main__":
    typer.run(main)
