"""The run's identity from what a receipt holds: its digest and id, and the keys of its images, made again."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from lumina_eval.digests import digest_of
from lumina_eval.errors import UserError
from lumina_eval.plugins import Benchmark
from lumina_eval.receipts.evidence import Evidence
from lumina_eval.receipts.findings import Finding
from lumina_eval.receipts.record import Receipt
from lumina_eval.records import ImageRef, Item, Manifest
from lumina_eval.runs import run_id
from lumina_eval.store import ImageStore

#: What stands for a model where images, verdicts or features came from elsewhere (lumina_eval/external).
EXTERNAL: Final = ("images", "verdicts", "features")

Wording = tuple[str, str]
"""What a model puts before and after each prompt."""


def came_from_elsewhere(made: Manifest) -> bool:
    """Tell whether no model of ours generated: such a run has no plan, no suite and no sampler."""
    alone = made.suite is None and made.sampler_version is None and made.stage is None
    return alone and made.model in EXTERNAL and set(made.components) == {made.model}


def wording_of(
    made: Manifest,
    items: Sequence[Item],
    plan: Sequence[ImageRef],
    texts: Mapping[str, str] | None,
    store: Path,
) -> Wording | None:
    """Return the wording under which all keys of a plan follow, looked up in the image store.

    None where the prompts alone give the keys, or where neither they nor the store do.
    """
    if not plan or first_wrong_key(made, items, plan, texts, ("", "")) is None:
        return None
    asked = {item.id: _given(item.prompt, texts) for item in items}
    images = ImageStore(store)
    for ref in plan:
        try:
            record = json.loads(images.path(ref.key).with_suffix(".json").read_bytes())
            text, prompt = str(record["origin"]["text"]), asked[ref.item_id]
        except (OSError, ValueError, KeyError, TypeError):
            continue
        starts = [at for at in range(len(text)) if text.startswith(prompt, at)]
        wordings = [(text[:at], text[at + len(prompt) :]) for at in starts]
        fitting = (one for one in wordings if first_wrong_key(made, items, plan, texts, one) is None)
        return next(fitting, None)
    return None


def first_wrong_key(
    made: Manifest,
    items: Sequence[Item],
    plan: Sequence[ImageRef],
    texts: Mapping[str, str] | None,
    wording: Wording,
) -> ImageRef | None:
    """Return the first image whose key is not that of :func:`lumina_eval.plan.make_plan`; None if all are."""
    identity, (before, after) = _model_part(made), wording
    asked = {item.id: _given(item.prompt, texts) for item in items}
    for ref in plan:
        text = f"{before}{asked.get(ref.item_id)}{after}"
        if ref.key != digest_of({**identity, "text": text, "seed": ref.seed}):
            return ref
    return None


def identity_findings(receipt: Receipt, evidence: Evidence, benchmark: Benchmark | None) -> Iterator[Finding]:
    """Yield whether the run's digest and id follow from what the receipt says that was run."""
    made = receipt.manifest
    if evidence.items is None or evidence.plan is None:
        yield Finding("identity", "UNCHECKED", "items and plan are not both at hand")
        return
    try:
        given: Mapping[str, Any] | None = getattr(benchmark, "given", None)
    except UserError as error:
        yield Finding("identity", "UNCHECKED", str(error))
        return
    identities = [
        {**one, **known}
        for one in _identities(receipt, evidence.items, evidence.plan)
        for known in ([given, {}] if given else [{}])
    ]
    fitting = next((one for one in identities if digest_of(one) == made.run_digest), None)
    stage = f"{made.stage or 'none'}-rewritten" if made.rewriting and "suite" in identities[0] else made.stage
    if came_from_elsewhere(made):
        stage = made.title
    if fitting is None:
        if benchmark is None:
            yield Finding("identity", "UNCHECKED", "not derived without the benchmark, which may add to it")
        elif given is not None:
            yield Finding("identity", "UNCHECKED", "it needs what the user gave as well: --reference")
        else:
            what = "prompts, plan, model, sampling and judge in the receipt give another run digest"
            yield Finding("identity", "FAIL", what)
    elif run_id(fitting, made.benchmark, made.protocol, made.model, stage) != made.run_id:
        yield Finding("identity", "FAIL", f"the run's id is not that of its digest {made.run_digest[:12]}")
    else:
        yield Finding("identity", "PASS", f"run digest {made.run_digest[:12]} follows from what is stated")
    if came_from_elsewhere(made):
        yield from _content(receipt, evidence)


def _identities(receipt: Receipt, items: Sequence[Item], plan: Sequence[ImageRef]) -> list[dict[str, Any]]:
    """Return what ``_manifest`` in evaluation.py, or external/record.py, may have made the digest of."""
    made = receipt.manifest
    common: dict[str, Any] = {
        "benchmark": made.benchmark,
        "protocol": made.protocol,
        "protocol_digest": made.protocol_digest,
        "items": digest_of([item.model_dump(mode="json") for item in items]),
        "judge": made.judge,
    }
    if came_from_elsewhere(made):
        common |= {"expected": receipt.result.coverage.expected, "kind": made.model, "content": made.digest}
        # a file without a single image is told to hold one per prompt
        counts = [made.images_per_prompt, 0] if made.images_per_prompt == 1 else [made.images_per_prompt]
        return [{**common, "images_per_prompt": count} for count in counts]
    found = {
        **common,
        "images_per_prompt": made.images_per_prompt,
        "suite": made.suite,
        "model": made.model,
        "stage": made.stage,
        "step": made.step,
        "identity": _model_part(made),
        "keys": digest_of([ref.key for ref in plan]),
    }
    if made.rewriting is not None:
        found["rewriting"] = made.rewriting.model_dump(mode="json", exclude={"name"})
    return [found]


def _content(receipt: Receipt, evidence: Evidence) -> Iterator[Finding]:
    """Say whether images or features from elsewhere are those that the run names by one digest."""
    made, coverage = receipt.manifest, receipt.result.coverage
    if evidence.verdicts is None or made.model == "verdicts" or coverage.judged != coverage.generated:
        return
    if made.model == "images":
        content = digest_of([[one.item_id, one.index, one.image_sha256] for one in evidence.verdicts])
    else:
        content = digest_of([one.image_sha256 for one in evidence.verdicts])
    if content != made.digest:
        yield Finding("content", "FAIL", f"the verdicts are not on the {made.model} that the run names")


def _model_part(made: Manifest) -> dict[str, Any]:
    """Return what :func:`lumina_eval.plan.model_identity` was for the run's model."""
    return {
        "components": made.components,
        "sampling": made.sampling,
        "sampler_version": made.sampler_version,
        "device": (made.device or "").split(":")[0],
    }


def _given(prompt: str, texts: Mapping[str, str] | None) -> str:
    return prompt if texts is None else texts.get(prompt, prompt)
