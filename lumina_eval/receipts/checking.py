"""The published numbers derived again from the verdicts in a receipt, and all else that can be checked.

What passes says that the numbers follow from the verdicts by the rules, that the rules are those of the
protocol, and that no seed was chosen. That the judge said so of these images is said by ``--images`` and by
judging them again; that the model made them, by the command in the receipt.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from lumina_eval import plugins
from lumina_eval.digests import digest_of, sha256_bytes
from lumina_eval.errors import UserError, is_user_error, reason_of
from lumina_eval.evaluation import find_protocol
from lumina_eval.plan import components_digest
from lumina_eval.protocol import ResolvedProtocol
from lumina_eval.provenance import provenance
from lumina_eval.receipts.findings import Finding
from lumina_eval.receipts.images import image_findings
from lumina_eval.receipts.making import command_of
from lumina_eval.receipts.numbers import number_findings
from lumina_eval.receipts.record import Packed, Receipt, digest_of_fields
from lumina_eval.records import Aggregate, ImageRef, Item, Record, Verdict
from lumina_eval.runs import protocol_of
from lumina_eval.seeds import image_seed

R = TypeVar("R", bound=Record)


@dataclass(frozen=True)
class Evidence:
    """The lines of a receipt as records; None where they are not at hand or cannot be read."""

    items: list[Item] | None
    plan: list[ImageRef] | None
    verdicts: list[Verdict] | None


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
    evidence, parts = _unpack(receipt, folder)
    found += parts
    found += _labels(receipt, evidence)
    protocol = protocol_of(receipt.manifest)
    try:
        benchmark = plugins.benchmark(receipt.manifest.benchmark, reference=reference)
    except UserError as error:
        return [*found, *_protocol(receipt, protocol, None), Finding("metrics", "ABSENT", str(error))]
    found += _protocol(receipt, protocol, benchmark)
    aggregate = _aggregate(benchmark, protocol, evidence)
    if isinstance(aggregate, Finding):
        found.append(aggregate)
    else:
        same_code = _code(receipt)
        found.append(same_code)
        judged = len(evidence.verdicts or [])
        found += number_findings(
            receipt, aggregate, evidence.plan, judged, tolerance, same_code.state == "PASS"
        )
    if images is not None:
        found += image_findings(benchmark, protocol, evidence.plan, evidence.verdicts, images)
    return found


def _own_digest(receipt: Receipt, value: dict[str, Any]) -> Finding:
    found = digest_of_fields(value)
    if found == receipt.digest:
        return Finding("receipt", "PASS", f"unaltered, digest {found[:12]}")
    return Finding(
        "receipt", "FAIL", f"altered after it was made: its digest is {found[:12]}, not {receipt.digest[:12]}"
    )


def _unpack(receipt: Receipt, folder: Path) -> tuple[Evidence, list[Finding]]:
    found: list[Finding] = []

    def lines(name: str, part: Packed, kind: type[R]) -> list[R] | None:
        records, finding = _records(name, part, folder, kind)
        found.append(finding)
        return records

    evidence = Evidence(
        lines("items", receipt.items, Item),
        lines("plan", receipt.plan, ImageRef),
        lines("verdicts", receipt.verdicts, Verdict),
    )
    if receipt.rewritten is not None:
        found.append(_rewritten(receipt, receipt.rewritten, folder))
    return evidence, found


def _records(name: str, part: Packed, folder: Path, kind: type[R]) -> tuple[list[R] | None, Finding]:
    try:
        data = part.read(folder)
    except OSError as error:
        where = folder / str(part.file)
        return None, Finding(name, "UNCHECKED", f"cannot read {where}: {error.strerror}; put it beside")
    except ValueError as error:
        return None, Finding(name, "FAIL", f"the lines {error}")
    whole = sha256_bytes(data) == part.sha256
    try:
        records = [kind.model_validate(json.loads(line)) for line in data.decode().split("\n") if line]
    except (ValueError, ValidationError) as error:
        return None, Finding(name, "FAIL", f"a line is no {kind.__name__}: {reason_of(error)}")
    if not whole:
        return records, Finding(name, "FAIL", f"altered: {len(records)} lines, not those of the run")
    return records, Finding(name, "PASS", f"{len(records)} lines, unaltered")


def _rewritten(receipt: Receipt, part: Packed, folder: Path) -> Finding:
    try:
        found = sha256_bytes(part.read(folder))
    except (OSError, ValueError) as error:
        return Finding("rewritten", "UNCHECKED", f"the texts: {error}")
    stated = receipt.manifest.rewriting
    if found == part.sha256 and stated is not None and stated.outputs == found:
        return Finding("rewritten", "PASS", f"the texts that the model was given, {found[:8]}")
    return Finding("rewritten", "FAIL", "altered: the texts are not those that the run names")


def _labels(receipt: Receipt, evidence: Evidence) -> Iterator[Finding]:
    """What manifest, result, plan and verdicts say of the same thing has to be the same."""
    made, result = receipt.manifest, receipt.result
    names = (
        "benchmark", "protocol", "suite", "subset", "model", "checkpoint", "digest", "stage", "step",
        "changed", "rewriting",
    )  # fmt: skip
    wrong = [name for name in names if getattr(made, name) != getattr(result, name)]
    if receipt.command != command_of(made):
        yield Finding("labels", "FAIL", f"the command is not that of the run, {command_of(made)}")
    elif wrong:
        yield Finding("labels", "FAIL", f"manifest and result do not agree on {', '.join(wrong)}")
    else:
        yield Finding("labels", "PASS", f"manifest and result speak of one run, {made.run_id}")
    if evidence.plan:
        yield _checkpoint(receipt)
    if evidence.plan and evidence.items is not None:
        yield _seeds(made.base_seed, evidence.plan, evidence.items)
    if evidence.verdicts is not None and made.judge_kind != "saved":
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


def _seeds(base_seed: int, plan: Sequence[ImageRef], items: Sequence[Item]) -> Finding:
    prompts = {item.id: item.prompt for item in items}
    for ref in plan:
        if ref.item_id not in prompts:
            return Finding(
                "seeds", "FAIL", f"the plan has an image of prompt {ref.item_id}, which is not asked"
            )
        if ref.seed != image_seed(base_seed, prompts[ref.item_id], ref.index):
            where = f"image {ref.index} of prompt {ref.item_id}"
            return Finding("seeds", "FAIL", f"{where} has seed {ref.seed}, not the one that follows")
    return Finding("seeds", "PASS", f"all {len(plan)} follow from base seed {base_seed}; none was chosen")


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


def _code(receipt: Receipt) -> Finding:
    """Say whether the code that checks is the code that made the run."""
    made, here = receipt.manifest.provenance, provenance()
    there_is = f"{made.packages.get('lumina-eval', 'unknown')} at {(made.git_sha or 'no commit')[:12]}"
    here_is = f"{here.packages.get('lumina-eval', 'unknown')} at {(here.git_sha or 'no commit')[:12]}"
    if there_is == here_is:
        return Finding("code", "PASS", f"checked by the version that made the run, {here_is}")
    return Finding("code", "NOTE", f"made by lumina-eval {there_is}, checked by {here_is}")


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
