"""Runs that hold times and no verdicts: what they are called, and how to say what cannot be done with them.

A time is no content. It is measured again each time and nobody can derive it from what was kept, so a run of
times has an id of its own, no receipt, and no prompt to be paired by.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from lumina_eval.errors import UserError
from lumina_eval.records import Manifest

#: ``judge_kind`` of such a run, and ``judge.name`` of its protocol.
CLOCK: Final = "clock"


def holds_times(manifest: Manifest) -> bool:
    """Tell whether a run is a measurement: it holds times, and no verdicts."""
    return manifest.judge_kind == CLOCK


def refuse_times(manifest: Manifest, place: Path | str, wanted: str, fix: str) -> None:
    """Raise UserError if the run at ``place`` holds times.

    ``wanted`` is what it would have to be instead, in words; ``fix`` is where to go with a measurement.
    """
    if holds_times(manifest):
        raise UserError(
            f"expected {wanted}, found a measurement of {manifest.benchmark}, whose times come out of no "
            f"verdict and are not the same twice, in {place}; fix: {fix}"
        )
