"""Stated numbers held against those that the rules give: to the last bit, else within a tolerance."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from lumina_eval.digests import sha256_bytes
from lumina_eval.receipts.findings import Finding, State
from lumina_eval.receipts.record import Receipt
from lumina_eval.records import Aggregate, Coverage, ImageRef, Interval, Metric
from lumina_eval.statistics.means import INTERVALS_VERSION


def number_findings(
    receipt: Receipt,
    aggregate: Aggregate,
    plan: Sequence[ImageRef] | None,
    judged: int,
    tolerance: float,
    same_code: bool,
) -> Iterator[Finding]:
    """Yield a finding for the coverage, the rules of the intervals, each metric, and the lines of records.

    Lines and intervals differ between versions of the code where no value does: only by the ``same_code`` is
    that wrong.
    """
    differs: State = "FAIL" if same_code else "NOTE"
    by = "" if same_code else ", by another version of the code"
    yield _coverage(receipt.result.coverage, aggregate, plan, judged)
    yield _intervals(receipt.result.intervals_version, differs)
    exact = True
    derived = {metric.name: metric for metric in aggregate.metrics}
    stated = {metric.name: metric for metric in receipt.result.metrics}
    for name in dict.fromkeys((*stated, *derived)):
        exact = exact and stated.get(name) == derived.get(name)
        yield _metric(name, stated.get(name), derived.get(name), tolerance, None if same_code else receipt)
    if receipt.result.against != aggregate.against:
        here, there = (
            " and ".join(one) or "nothing named" for one in (aggregate.against, receipt.result.against)
        )
        yield Finding("against", differs, f"held against {here}; stated {there}{by}")
    scores = "".join(f"{score.model_dump_json()}\n" for score in aggregate.scores)
    results = "".join(f"{line}\n" for line in aggregate.results)
    for what, text, digest in (
        ("scores", scores, receipt.scores_sha256),
        ("results", results, receipt.results_sha256),
    ):
        if sha256_bytes(text.encode()) == digest:
            yield Finding(what, "PASS", f"the same {text.count(chr(10))} lines")
        elif exact:
            yield Finding(what, differs, f"other lines than those of the run, with the same metrics{by}")
        else:
            yield Finding(what, "NOTE", "other lines than those of the run, as the metrics differ")


def _coverage(
    stated: Coverage, aggregate: Aggregate, plan: Sequence[ImageRef] | None, judged: int
) -> Finding:
    wrong = []
    if stated.judged != judged:
        wrong.append(f"{stated.judged} judged, there are {judged} verdicts")
    if not stated.judged <= stated.generated <= stated.expected:
        wrong.append(f"{stated.generated} generated, {stated.judged} judged of {stated.expected} expected")
    if stated.failed != stated.expected - stated.judged:
        wrong.append(f"{stated.failed} failed, {stated.expected} less {stated.judged} are not that many")
    if plan and stated.expected != len(plan):
        wrong.append(f"{stated.expected} expected, the plan has {len(plan)}")
    if stated.excluded != aggregate.excluded:
        wrong.append(f"{stated.excluded} excluded, the rules exclude {aggregate.excluded}")
    if wrong:
        return Finding("images judged", "FAIL", "; ".join(f"stated {one}" for one in wrong))
    return Finding("images judged", "PASS", f"{stated.judged} of {stated.expected} images judged")


def _intervals(version: int, differs: State) -> Finding:
    """Say by which rules the intervals were made; the code that made the run knows one version alone."""
    if version == INTERVALS_VERSION:
        return Finding("intervals", "PASS", f"made under intervals of version {version}, as here")
    said = f"made under intervals of version {version}; this lumina-eval makes version {INTERVALS_VERSION}"
    if differs == "FAIL":
        return Finding("intervals", differs, f"said to be {said}, and its code is that of the run")
    if version > INTERVALS_VERSION:
        return Finding("intervals", differs, f"{said}, and is older: a newer one derives them")
    again = "whoever has the run makes them anew with its own command, from the verdicts that are there"
    return Finding("intervals", differs, f"{said}; {again}")


def _metric(
    name: str, stated: Metric | None, derived: Metric | None, tolerance: float, other_code: Receipt | None
) -> Finding:
    """Hold a metric against the derived one; ``other_code`` is the receipt where other code made it."""
    if stated is None:
        return Finding(name, "FAIL", f"the rules give {_number(derived)}, and the receipt says nothing of it")
    if derived is None:
        return Finding(name, "FAIL", f"stated {_number(stated)}, and the rules know no such metric")
    if stated == derived:
        return Finding(name, "PASS", f"{_number(stated)}, the same to the last bit")
    wrong = [
        f"{what} {_text(one)} stated, {_text(other)} from the verdicts"
        for what, one, other in _pairs(stated, derived)
        if not _close(one, other, tolerance)
    ]
    if wrong and other_code is not None and all(one.startswith("ci_") for one in wrong):
        said = f"{_number(stated)} is the same, its intervals are not: {'; '.join(wrong)}"
        return Finding(name, "NOTE", f"{said}; {_with_its_code(other_code)}")
    if wrong:
        return Finding(name, "FAIL", "; ".join(wrong))
    return Finding(name, "PASS", f"{_number(stated)}, the same but for rounding (within {tolerance:g})")


def _with_its_code(receipt: Receipt) -> str:
    """Say how intervals are derived by the code that made them."""
    made = receipt.manifest.provenance
    if made.git_sha is None:
        return "they were made by code of no known commit, so that they cannot be derived"
    sha = made.git_sha[:12]
    dirty = ", with changes that are in no commit" if made.git_dirty is not False else ""
    return f"made at commit {sha}{dirty}; to derive them: git checkout {sha}, then receipt check again"


Value = float | str | None


def _pairs(stated: Metric, derived: Metric) -> Iterator[tuple[str, Value, Value]]:
    """Yield what two metrics say of the same thing."""
    for what in ("value", "n_prompts", "n_images", "unit"):
        yield what, getattr(stated, what), getattr(derived, what)
    for what in ("ci_seeds", "ci_prompts"):
        for place, end in enumerate(("low", "high")):
            yield f"{what} {end}", _end(getattr(stated, what), place), _end(getattr(derived, what), place)


def _end(interval: Interval | None, place: int) -> float | None:
    return None if interval is None else interval[place]


def _close(one: Value, other: Value, tolerance: float) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=tolerance, abs_tol=tolerance)
    return one == other


def _number(metric: Metric | None) -> str:
    return "nothing" if metric is None else _text(metric.value)


def _text(value: Value) -> str:
    return "unknown" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)
