"""Images of which only mean and covariance are known: a Fréchet distance from there, and nothing else.

The statistics stand whole in one verdict, so that a run of them can be counted again like any other: ``mu``
and ``sigma`` as float64 in base64, ``n``, and the digest of the extractor by role.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.fidelity.measures import MEASURES
from benchmarks.fidelity.metrics.frechet import frechet_distance
from benchmarks.fidelity.metrics.moments import Floats, Moments
from benchmarks.fidelity.metrics.statistics_file import array_names, read_statistics
from benchmarks.fidelity.options import ROLE_OF, Options
from benchmarks.fidelity.scoring import ReferenceOf, summary_text
from lumina_eval.digests import sha256_file
from lumina_eval.errors import UserError
from lumina_eval.records import Aggregate, Item, Metric, Verdict

#: Metrics that mean and covariance are enough for.
ENOUGH: Final = ("fid", "clip_fid", "fd_dinov2")


def is_statistics(address: str) -> bool:
    """Whether ``FILE.npz`` holds ``mu`` and ``sigma``; never true of ``FILE.npz:KEY``."""
    return address.endswith(".npz") and {"mu", "sigma"} <= {*array_names(Path(address))}


def verdict_of(address: str, roles: Collection[str], unknown: str) -> tuple[Item, Verdict]:
    """Return a statistics file as the verdict on one item; ``unknown`` is the extractor's digest if untold.

    Raises UserError as :func:`read_statistics` does.
    """
    found = read_statistics(Path(address))
    digest = found.extractor or unknown
    item = Item(id="statistics", prompt="", task="all")
    held = {"mu": _text(found.moments.mean), "sigma": _text(found.moments.covariance), "n": found.moments.n}
    return item, Verdict(
        item_id=item.id,
        index=0,
        image_sha256=sha256_file(found.file),
        judge=f"statistics@{digest[:12]}",
        output={"extractors": dict.fromkeys(roles, digest), "statistics": held},
    )


def moments_of(verdicts: Sequence[Verdict]) -> Moments | None:
    """Return the statistics that the verdicts are; None if they are rows. UserError for broken ones."""
    if len(verdicts) != 1 or "statistics" not in verdicts[0].output:
        return None
    held = verdicts[0].output["statistics"]
    try:
        mean = _numbers(held["mu"])
        return Moments(held["n"], mean, _numbers(held["sigma"]).reshape(len(mean), -1))
    except (KeyError, TypeError, ValueError, binascii.Error) as error:
        raise UserError(
            f"expected statistics as base64 in the verdict, found {error!r}; fix: judge the file again"
        ) from error


def aggregate(
    options: Options, moments: Moments, verdicts: Sequence[Verdict], reference_of: ReferenceOf
) -> Aggregate:
    """Return the Fréchet distances among the metrics; why the others are not measured is a warning.

    There is no interval: what other prompts would show is not in a mean and a covariance. Raises UserError
    where no metric that was asked for can be had.
    """
    names: dict[str, str] = {}
    metrics: list[Metric] = []
    told: list[str] = []
    for name in options.metrics:
        value = None
        if name in ENOUGH:
            role = ROLE_OF[name]
            reference = reference_of(role, str(verdicts[0].output["extractors"].get(role)))
            names[role] = reference.in_words
            value = frechet_distance(moments, reference.moments)
        else:
            told.append(f"{name} is not measured: of the images, mean and covariance alone are known")
        if name in MEASURES:
            unit = MEASURES[name].unit
            metrics.append(Metric(name=name, value=value, n_prompts=1, n_images=moments.n or 1, unit=unit))
    if not names:
        raise UserError("\n".join(told) + "; fix: --set 'metrics=[\"fid\"]', or give features")
    if moments.n is None:
        told.append("how many images the statistics are of is not known")
    else:
        told.append(f"one file of statistics stands for {moments.n} images")
    return Aggregate(
        metrics=metrics,
        results=[],
        scores=[],
        summary=summary_text(metrics, options, names),
        warnings=told,
        against=list(dict.fromkeys(names.values())),
    )


def _text(array: Floats) -> str:
    return base64.b64encode(array.astype("<f8").tobytes()).decode("ascii")


def _numbers(text: Any) -> Floats:
    return np.frombuffer(base64.b64decode(text, validate=True), dtype="<f8").astype(np.float64)
