"""Our metrics against the tools that they are quoted from, as installed here, on the same features.

A tool's default may change under a number (torchmetrics' resizing did in 1.8), so what the tests hold at the
pinned versions is held here at the user's own: features of the embedded world's pictures go through our code,
clean-fid's and torchmetrics', and the three have to agree.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.fidelity import reference
from benchmarks.fidelity.features.opening import open_extractor
from benchmarks.fidelity.metrics.frechet import frechet_distance
from benchmarks.fidelity.metrics.kernel import kid_reference
from benchmarks.fidelity.metrics.kernel_subsets import kid_clean_fid
from benchmarks.fidelity.metrics.moments import Moments
from benchmarks.geneval import prompt_set
from lumina_eval.errors import UserError
from lumina_eval.evaluation import find_protocol
from lumina_eval.protocol import ResolvedProtocol
from lumina_eval.verification import Check, Evidence

if TYPE_CHECKING:
    from benchmarks.fidelity.adapter import Fidelity

Rows = NDArray[np.floating[Any]]

#: Largest relative difference: sums are taken in another order, and theirs need a matrix square root.
SAME: Final = 1e-7
#: Pictures of each prompt in each of the two sets.
COUNT: Final = 2


def checks(bench: Fidelity, evidence: Evidence) -> Iterator[Check]:
    """Yield a row for each metric and tool.

    Raises UserError for images or verdicts, which nothing here looks at.
    """
    if evidence.images is not None or evidence.verdicts is not None:
        raise UserError(
            "expected no --images and no --verdicts for fidelity, which is verified on the embedded world's "
            f"pictures, found {evidence.images or evidence.verdicts}; fix: leave the option out"
        )
    small, large = two_sets(find_protocol(bench, "tabletop"))
    fid = frechet_distance(Moments.of(small), Moments.of(large))
    unbiased = kid_reference(large).discrepancy(small, None).value
    for name, tool, theirs, ours in (
        ("fid", "clean-fid", _clean_fid, fid),
        ("fid", "torchmetrics", _torchmetrics_fid, fid),
        ("kid, drawn as clean-fid", "clean-fid", _clean_kid, kid_clean_fid(small, large)),
        ("kid, all images", "torchmetrics", _torchmetrics_kid, unbiased),
    ):
        expected = theirs(small, large)
        yield Check(
            name=name,
            against=f"{tool} {version(tool)}",
            expected=expected,
            found=ours,
            tolerance=SAME * abs(expected),
            n=len(small),
        )


def two_sets(protocol: ResolvedProtocol) -> tuple[Rows, Rows]:
    """Return features (N, 64) of pictures drawn at 64 and at 128 pixels: alike, yet not the same."""
    prompts = tuple(item.prompt for item in prompt_set.items_of(protocol))
    extractor = open_extractor("tabletop", device="cpu")
    sets = (reference.drawn(prompts, COUNT, seed, side, extractor).rows for seed, side in ((2, 64), (3, 128)))
    small, large = (rows.astype(np.float64) for rows in sets if rows is not None)
    return small, large


def _clean_fid(one: Rows, two: Rows) -> float:
    from cleanfid.fid import fid_from_feats

    return float(fid_from_feats(one, two))


def _clean_kid(one: Rows, two: Rows) -> float:
    """clean-fid draws from numpy's global generator: it is seeded here, and afterwards as it was before."""
    from cleanfid.fid import kernel_distance

    before = np.random.get_state()
    try:
        np.random.seed(0)
        return float(kernel_distance(two, one))
    finally:
        np.random.set_state(before)


def _as_they_are() -> Any:
    """Return what takes the place of torchmetrics' network: features are given instead of images."""
    import torch

    network: Any = torch.nn.Identity()
    network.num_features = 64  # of the embedded extractor; torchmetrics sums in tables of that width
    return network


def _torchmetrics_fid(one: Rows, two: Rows) -> float:
    import torch
    from torchmetrics.image.fid import FrechetInceptionDistance

    tool = FrechetInceptionDistance(feature=_as_they_are()).set_dtype(torch.float64)
    tool.update(torch.from_numpy(two), real=True)
    tool.update(torch.from_numpy(one), real=False)
    return float(tool.compute())


def _torchmetrics_kid(one: Rows, two: Rows) -> float:
    """A single subset of all images: the unbiased estimate, which no seed changes."""
    import torch
    from torchmetrics.image.kid import KernelInceptionDistance

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that it keeps all features: they are few
        tool = KernelInceptionDistance(feature=_as_they_are(), subsets=1, subset_size=len(one))
    tool.update(torch.from_numpy(two), real=True)
    tool.update(torch.from_numpy(one), real=False)
    return float(tool.compute()[0])
