"""The published numbers derived again from the verdicts in a receipt, and all else that can be checked.

What passes says that the numbers follow from the verdicts by the rules, that prompts, images, seeds and keys
are those of the protocol and the plan, and that all of it fits the run's digest. None of that is a signature:
whoever makes up verdicts and all digests with them passes. That the verdicts are on these images is said by
``--images``; that the judge says so, by judging them again; that the model made them, by the command.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from lumina_eval import plugins
from lumina_eval.digests import digest_of
from lumina_eval.errors import UserError, is_user_error, reason_of
from lumina_eval.evaluation import find_protocol
from lumina_eval.plan import components_digest
from lumina_eval.protocol import ResolvedProtocol
from lumina_eval.provenance import provenance
from lumina_eval.receipts.choice import choice_findings, selection_finding
from lumina_eval.receipts.evidence import Evidence, unpack
from lumina_eval.receipts.findings import Finding
from lumina_eval.receipts.identity import identity_findings
from lumina_eval.receipts.images import image_findings
from lumina_eval.receipts.numbers import number_findings
from lumina_eval.receipts.record import Receipt, digest_of_fields
from lumina_eval.records import Aggregate, Provenance
from lumina_eval.rerun import command_of
from lumina_eval.runs import protocol_of, read_result

#: What a record and its receipt must agree in; seconds may change after it is made, and places are not in it.
STATED: Final = ("model", "digest", "metrics", "intervals_version", "coverage")


def check_receipt(
    receipt: Receipt,
    value: dict[str, Any],
    folder: Path,
    tolerance: float,
    images: Path | None = None,
    reference: str | None = None,
) -> list[Finding]:
    """Check a receipt that was read from the JSON ``value`` and lies in ``folder``.

    ``tolerance`` is the largest relative difference of a number that is not the same to the last bit.
    ``images`` is a store, or a folder in the benchmark's layout, to hold against the verdicts;
    ``reference`` is what fidelity's images are held against, where it is the user's own.
    """
    found = [_own_digest(receipt, value)]
    evidence, parts = unpack(receipt, folder)
    found += parts
    found += _labels(receipt, evidence)
    found += choice_findings(receipt, evidence)
    protocol = protocol_of(receipt.manifest)
    try:
        benchmark = plugins.benchmark(receipt.manifest.benchmark, reference=reference)
    except UserError as error:
        found += identity_findings(receipt, evidence, None)
        return [*found, *_protocol(receipt, protocol, None), Finding("metrics", "ABSENT", str(error))]
    found += identity_findings(receipt, evidence, benchmark)
    found += _protocol(receipt, protocol, benchmark)
    installed = _installed(benchmark, protocol, receipt.manifest.protocol_digest)
    same_code = _code(receipt)
    same = same_code.state == "PASS"
    found += [selection_finding(receipt, evidence, benchmark, protocol, installed, same), same_code]
    aggregate = _aggregate(benchmark, protocol, evidence)
    if isinstance(aggregate, Finding):
        found.append(aggregate)
    else:
        judged = len(evidence.verdicts or [])
        found += number_findings(receipt, aggregate, evidence.plan, judged, tolerance, same)
    if images is not None:
        found += image_findings(benchmark, protocol, evidence.plan, evidence.verdicts, images)
    return found


def record_beside(receipt: Receipt, folder: Path) -> Iterator[Finding]:
    """Hold the record of a run folder, if it is one, against the receipt that lies in it."""
    record = folder / "metrics.json"
    if not (folder / "manifest.json").is_file() or not record.is_file():
        return
    try:
        there = read_result(folder)
    except UserError as error:
        yield Finding("record beside it", "FAIL", str(error))
        return
    ours, other = ({name: getattr(one, name) for name in STATED} for one in (receipt.result, there))
    if apart := [name for name in STATED if ours[name] != other[name]]:
        said = f"{', '.join(apart)} of {record.name} differ from the receipt; make the receipt anew"
        yield Finding("record beside it", "FAIL", said)
    else:
        yield Finding("record beside it", "PASS", f"{record.name} states what the receipt states")


def _own_digest(receipt: Receipt, value: dict[str, Any]) -> Finding:
    found = digest_of_fields(value)
    if found == receipt.digest:
        return Finding("receipt", "PASS", f"unaltered, digest {found[:12]}")
    return Finding(
        "receipt", "FAIL", f"altered after it was made: its digest is {found[:12]}, not {receipt.digest[:12]}"
    )


def _labels(receipt: Receipt, evidence: Evidence) -> Iterator[Finding]:
    """What manifest, result, plan and verdicts say of the same thing has to be the same."""
    made, result = receipt.manifest, receipt.result
    names = (
        "benchmark", "protocol", "suite", "subset", "model", "checkpoint", "digest", "stage", "step",
        "changed", "rewriting", "seconds",
    )  # fmt: skip
    wrong = [name for name in names if getattr(made, name) != getattr(result, name)]
    if result.title is not None and result.title != made.title:
        wrong.append("title")
    if receipt.command != command_of(made):
        yield Finding("labels", "FAIL", f"the command is not that of the run, {command_of(made)}")
    if wrong:
        yield Finding("labels", "FAIL", f"manifest and result do not agree on {', '.join(wrong)}")
    if receipt.command == command_of(made) and not wrong:
        yield Finding("labels", "PASS", f"manifest and result speak of one run, {made.run_id}")
    if evidence.plan:
        yield _checkpoint(receipt)
    if evidence.verdicts is not None and (made.judge_kind != "saved" or evidence.plan):
        label = f"{made.judge.partition('@')[0]}@{digest_of([made.judge_digest, made.judge_settings])[:12]}"
        other = next((verdict.judge for verdict in evidence.verdicts if verdict.judge != label), made.judge)
        if other == label:
            yield Finding("judge", "PASS", f"every verdict is by {label}")
        else:
            yield Finding("judge", "FAIL", f"expected verdicts by {label}, found {other}")


def _checkpoint(receipt: Receipt) -> Finding:
    made = receipt.manifest
    digest = components_digest(made.components)
    if digest == made.digest:
        return Finding("checkpoint", "PASS", f"{len(made.components)} components, digest {digest[:12]}")
    return Finding("checkpoint", "FAIL", "the digest of the checkpoint is not that of its components")


def _protocol(
    receipt: Receipt, protocol: ResolvedProtocol, benchmark: plugins.Benchmark | None
) -> Iterator[Finding]:
    stated = receipt.manifest.protocol_digest
    if protocol.digest != stated:
        yield Finding(
            "protocol",
            "FAIL",
            f"the values have digest {protocol.digest[:12]}, not {stated[:12]}: they were altered, or this "
            "is another version of the rules",
        )
        return
    yield Finding("protocol", "PASS", f"{protocol.name}, digest {stated[:12]}")
    if benchmark is None:
        return
    try:
        here = find_protocol(benchmark, protocol.name, protocol.changed)
    except UserError as error:
        yield Finding("protocol", "NOTE", f"not installed here, its values are in the receipt ({error})")
        return
    if here.digest != stated:
        yield Finding(
            "protocol",
            "NOTE",
            f"{protocol.name} has other rules in this installation, digest {here.digest[:12]}; the numbers "
            "below are by the rules in the receipt",
        )


def _installed(
    benchmark: plugins.Benchmark, protocol: ResolvedProtocol, digest: str
) -> ResolvedProtocol | None:
    """Return the protocol of that name here, if its rules are those; its suites are in no digest."""
    try:
        here = find_protocol(benchmark, protocol.name, protocol.changed)
    except UserError:
        return None
    return here if here.digest == digest else None


def _code(receipt: Receipt) -> Finding:
    """Say whether the code that checks is known to be the code that made the run."""
    made, here = receipt.manifest.provenance, provenance()
    if _named(made) != _named(here):
        return Finding("code", "NOTE", f"made by lumina-eval {_named(made)}, checked by {_named(here)}")
    for which, one in (("made", made), ("checked", here)):
        if one.git_sha is None or one.git_dirty is not False:
            return Finding(
                "code", "NOTE", f"{which} by lumina-eval {_named(one)}: which code that is, is open"
            )
    return Finding("code", "PASS", f"checked by the version that made the run, {_named(here)}")


def _named(one: Provenance) -> str:
    """Return version and commit of lumina-eval in words."""
    version = one.packages.get("lumina-eval", "unknown")
    changed = " with changes that are in no commit" if one.git_dirty else ""
    return f"{version} at {(one.git_sha or 'no commit')[:12]}{changed}"


def _aggregate(
    benchmark: plugins.Benchmark, protocol: ResolvedProtocol, evidence: Evidence
) -> Aggregate | Finding:
    if evidence.items is None or evidence.verdicts is None:
        return Finding("metrics", "UNCHECKED", "items and verdicts are not both at hand")
    try:
        return benchmark.aggregate(protocol, evidence.items, evidence.verdicts)
    except Exception as error:
        if is_user_error(error):
            return Finding("metrics", "UNCHECKED", str(error))
        return Finding("metrics", "FAIL", f"the rules cannot read the verdicts: {reason_of(error)}")
