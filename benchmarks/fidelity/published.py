"""KID and CMMD as their tools publish them, for figures that stand beside those of papers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from benchmarks.fidelity.measures import Measured, Rows, Sets, measured
from benchmarks.fidelity.metrics.kernel_subsets import kid_clean_fid, kid_torch_fidelity
from benchmarks.fidelity.options import Kid

_DRAWN: Final[dict[Kid, Callable[[Rows, Rows], float]]] = {
    "torch-fidelity": kid_torch_fidelity,
    "clean-fid": kid_clean_fid,
}
#: The seeds are torch-fidelity's own and, clean-fid having none, that of ``numpy.random.seed(0)``.
_TOLD: Final[dict[Kid, str]] = {
    "torch-fidelity": "as torch-fidelity draws it: 100 subsets of 1000 images, seed 2020",
    "clean-fid": "as clean-fid draws it: 100 subsets of at most 1000 images, after numpy.random.seed(0)",
}


def measured_as(name: str, kid: Kid, sets: Sets, told: list[str]) -> Measured:
    """Return a metric as :func:`measured` does, but KID by the subsets of a tool where one is named.

    Subsets overlap, so that KID has no interval. What is published besides is ``told``. Raises UserError as
    ``measured`` does, and for sets smaller than the tool's subsets.
    """
    if name != "kid" or kid == "all":
        found = measured(name, sets)
        if name == "cmmd" and found.biased is not None:
            told.append(f"cmmd with the bias of its N, as its authors publish it, is {found.biased:.6g}")
        return found
    if sets.reference.rows is None:
        return measured(name, sets)  # which says what is missing
    told.append(f"kid is drawn {_TOLD[kid]}; it has no interval, and judge.kid = all has no seed")
    return Measured(_DRAWN[kid](sets.rows, sets.reference.rows))
