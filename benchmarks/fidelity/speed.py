"""How long a Fréchet distance takes, beside clean-fid: `python -m benchmarks.fidelity.speed`.

Both see the same statistics of random features of full rank, in one process: ours keeps to two cores,
clean-fid's ``scipy.linalg.sqrtm`` has all of them.
"""

from __future__ import annotations

import json
import os
import statistics
import time
import warnings
from collections.abc import Callable
from typing import Annotated, Final

import numpy as np
import typer

from benchmarks.fidelity.metrics.frechet import frechet_distance
from benchmarks.fidelity.metrics.moments import Moments, RunningMoments

#: Ours takes a second or two, and the median of a few is no accident of a busy machine; theirs is timed once.
ROUNDS: Final = 5


def moments_of(rows: int, width: int, seed: int) -> Moments:
    """Return moments of correlated features whose scales span a decade; their covariance is of full rank."""
    rng = np.random.default_rng(seed)
    mixing = rng.standard_normal((width, width)) / np.sqrt(width) * np.logspace(0, -1, width)
    running = RunningMoments()
    for start in range(0, rows, 1000):
        running.update(rng.standard_normal((min(1000, rows - start), width)) @ mixing.T + 0.4)
    return running.moments()


def timed(distance: Callable[[], float]) -> tuple[float, float]:
    """Return the distance, and the seconds it took."""
    start = time.perf_counter()
    found = float(distance())
    return found, time.perf_counter() - start


def main(
    width: Annotated[int, typer.Option(min=2)] = 2048,
    rows: Annotated[int, typer.Option(min=2, help="Images in each set.")] = 10_000,
    seed: int = 0,
) -> None:
    """Print one JSON object: seconds of both, their ratio, and how far the distances differ."""
    from cleanfid.fid import frechet_distance as clean_fid

    frechet_distance(moments_of(200, 64, seed), moments_of(200, 64, seed + 1))  # threads are started once
    one, two = (moments_of(rows, width, seed + place) for place in range(2))
    rounds = [timed(lambda: frechet_distance(one, two)) for _ in range(ROUNDS)]
    ours, seconds = rounds[0][0], statistics.median(took for _, took in rounds)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        theirs, their_seconds = timed(lambda: clean_fid(one.mean, one.covariance, two.mean, two.covariance))
    print(
        json.dumps(
            {
                "width": width,
                "images": rows,
                "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
                "fid": ours,
                "seconds": round(seconds, 2),
                "clean_fid_seconds": round(their_seconds, 2),
                "times_faster": round(their_seconds / seconds, 1),
                "relative_difference": abs(ours - theirs) / abs(theirs),
            }
        )
    )


if __name__ == "__main__":
    typer.run(main)
