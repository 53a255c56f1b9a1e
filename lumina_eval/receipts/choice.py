"""Could anybody have chosen? Prompts by the protocol's selection, images by index, seed and key."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

from lumina_eval.errors import is_user_error, reason_of
from lumina_eval.external.expected import GIVEN
from lumina_eval.plan import select
from lumina_eval.plugins import Benchmark
from lumina_eval.protocol import ResolvedProtocol
from lumina_eval.receipts.evidence import Evidence
from lumina_eval.receipts.findings import Finding, State
from lumina_eval.receipts.identity import came_from_elsewhere, first_wrong_key
from lumina_eval.receipts.record import Receipt
from lumina_eval.records import ImageRef, Item, Manifest, Verdict
from lumina_eval.runs import protocol_of
from lumina_eval.seeds import image_seed


def choice_findings(receipt: Receipt, evidence: Evidence) -> Iterator[Finding]:
    """Yield what plan and verdicts say of choice: which images of each prompt, with which seeds and keys."""
    made, items, plan = receipt.manifest, evidence.items, evidence.plan
    if items is None or plan is None:
        return
    if len({item.id for item in items}) != len(items):
        yield Finding("prompts", "FAIL", "a prompt stands in the items twice")
    if came_from_elsewhere(made):
        if plan:
            yield Finding("seeds", "FAIL", f"{made.model} from elsewhere have no plan, and there is one")
        else:
            said = f"{made.model} came from elsewhere: seeds are not known, and images may have been chosen"
            yield Finding("seeds", "NOTE", said)
        yield from _verdicts(evidence.verdicts, [], {item.id for item in items})
        return
    if not plan:
        yield Finding("seeds", "FAIL", "a model generated, and the plan is empty")
        return
    yield _indices(made.images_per_prompt, plan, items)
    yield _seeds(made, plan, items)
    yield _keys(receipt, evidence, plan, items)
    yield from _verdicts(evidence.verdicts, plan, set())


def selection_finding(
    receipt: Receipt,
    evidence: Evidence,
    benchmark: Benchmark,
    protocol: ResolvedProtocol,
    installed: ResolvedProtocol | None,
    same_code: bool,
) -> Finding:
    """Say whether the prompts are those that the protocol selects for suite and subset.

    Where the protocol is not ``installed`` with these rules, other prompts than ours are a note. Where the
    code may be another, so is other knowledge about them, if it leads to the same values.
    """
    made, items = receipt.manifest, evidence.items
    if items is None:
        return Finding("prompts", "UNCHECKED", "the items are not at hand")
    try:
        whole = list(benchmark.items(protocol))
        if came_from_elsewhere(made):
            return _from_elsewhere(receipt, items, whole)
        per_task = re.match(r"(\d{1,9}) per task", made.subset or "")
        limit = int(per_task[1]) if per_task else max(len(whole), 1)
        suite = (installed or protocol).suite(made.suite or "standard")
        chosen = select(whole, suite, limit, made.images_per_prompt)
    except Exception as error:
        if is_user_error(error):
            state: State = "NOTE" if came_from_elsewhere(made) else "UNCHECKED"
            return Finding("prompts", state, f"those of the protocol are not at hand: {error}")
        return Finding("prompts", "FAIL", f"the protocol's rules give no prompts: {reason_of(error)}")
    part = made.subset or "the whole protocol"
    if [_as_json(item) for item in chosen.items] == [
        _as_json(item) for item in items
    ] and chosen.subset == made.subset:
        return Finding("prompts", "PASS", f"the {len(items)} that the protocol selects for {part}")
    said = (
        f"the {len(items)} are not those that the protocol selects for {part}, which are {len(chosen.items)}"
    )
    return Finding("prompts", "FAIL" if installed is not None else "NOTE", said)


def _as_json(item: Item) -> Any:
    """Metadata may have keys that are numbers before they are written."""
    return item.model_dump(mode="json")


def _asked(item: Item) -> tuple[str, str, str, str | None]:
    return item.id, item.prompt, item.task, item.split


def _other_metadata(
    evidence: Evidence,
    benchmark: Benchmark,
    protocol: ResolvedProtocol,
    ours: Sequence[Item],
    same_code: bool,
) -> Finding:
    """The prompts are ours, what the rules know of each is not: say whether it leads to other values."""
    said = f"the {len(ours)} that the protocol selects, but with other metadata than in this installation"
    if same_code:
        return Finding("prompts", "FAIL", said)

    def values(items: Sequence[Item]) -> dict[str, float | None]:
        found = benchmark.aggregate(protocol, items, evidence.verdicts or [])
        return {metric.name: metric.value for metric in found.metrics}

    try:
        alike = values(ours) == values(evidence.items or [])
    except Exception as error:
        return Finding("prompts", "UNCHECKED", f"{said}, with which the rules fail: {reason_of(error)}")
    if alike:
        return Finding("prompts", "NOTE", f"{said}, which gives the same value of every metric")
    return Finding(
        "prompts", "UNCHECKED", f"{said}, which gives other values: check with the commit of the run"
    )


def _from_elsewhere(receipt: Receipt, items: Sequence[Item], whole: Sequence[Item]) -> Finding:
    lacking = Counter(item.prompt for item in whole) - Counter(item.prompt for item in items)
    said_a_part = GIVEN in (receipt.manifest.subset or "")
    if lacking and not said_a_part and receipt.result.coverage.complete:
        return Finding("prompts", "FAIL", f"said to be all, {lacking.total()} of the protocol's are lacking")
    return Finding(
        "prompts", "NOTE", f"{len(items)} were given, {lacking.total()} of the protocol's were not"
    )


def _indices(per_prompt: int, plan: Sequence[ImageRef], items: Sequence[Item]) -> Finding:
    asked = [(item.id, index) for item in items for index in range(min(per_prompt, len(plan) + 1))]
    there = [(ref.item_id, ref.index) for ref in plan]
    if there == asked:
        return Finding("indices", "PASS", f"images 0 to {per_prompt - 1} of each of {len(items)} prompts")
    lacking, more = Counter(asked) - Counter(there), Counter(there) - Counter(asked)
    first = next(iter([*lacking, *more]), None)
    where = "the order is another" if first is None else f"first image {first[1]} of prompt {first[0]}"
    said = f"expected images 0 to {per_prompt - 1} of each of {len(items)} prompts: {lacking.total()} lacking"
    return Finding("indices", "FAIL", f"{said}, {more.total()} too many or double; {where}")


def _seeds(made: Manifest, plan: Sequence[ImageRef], items: Sequence[Item]) -> Finding:
    base_seed = protocol_of(made).base_seed
    if made.base_seed != base_seed:
        return Finding("seeds", "FAIL", f"base seed {made.base_seed}, the protocol's is {base_seed}")
    prompts = {item.id: item.prompt for item in items}
    for ref in plan:
        if ref.item_id not in prompts:
            said = f"the plan has an image of prompt {ref.item_id}, which is not asked"
            return Finding("seeds", "FAIL", said)
        if ref.seed != image_seed(base_seed, prompts[ref.item_id], ref.index):
            where = f"image {ref.index} of prompt {ref.item_id}"
            return Finding("seeds", "FAIL", f"{where} has seed {ref.seed}, not the one that follows")
    return Finding("seeds", "PASS", f"all {len(plan)} follow from base seed {base_seed}")


def _keys(receipt: Receipt, evidence: Evidence, plan: Sequence[ImageRef], items: Sequence[Item]) -> Finding:
    wording = receipt.wording or ("", "")
    wrong = first_wrong_key(receipt.manifest, items, plan, evidence.texts, wording)
    if wrong is None:
        return Finding("keys", "PASS", f"all {len(plan)} follow from model, sampling, text and seed")
    prompts = {item.id: item.prompt for item in items}
    of_image: defaultdict[str, set[tuple[str | None, int]]] = defaultdict(set)
    for ref in plan:
        of_image[ref.key].add((prompts.get(ref.item_id), ref.seed))
    double = sum(len(images) > 1 for images in of_image.values())
    where = f"image {wrong.index} of prompt {wrong.item_id}"
    if double:
        return Finding(
            "keys", "FAIL", f"{double} stand for several images; not the one that follows: {where}"
        )
    if receipt.wording is not None:
        return Finding(
            "keys", "FAIL", f"not the one that follows from model, sampling, text and seed: {where}"
        )
    return Finding(
        "keys",
        "NOTE",
        "not derived from the prompts alone, and how the model words them is not in the receipt; that they "
        "name images of this model was not checked",
    )


def _verdicts(
    verdicts: Sequence[Verdict] | None, plan: Sequence[ImageRef], prompts: set[str]
) -> Iterator[Finding]:
    """Verdicts are on images of the plan (or of the ``prompts``), each on one, each image itself."""
    if verdicts is None:
        return
    places = {(ref.item_id, ref.index): ref.key for ref in plan}
    seen = Counter((verdict.item_id, verdict.index) for verdict in verdicts)
    strange = [place for place in seen if place not in places and place[0] not in prompts]
    twice = [place for place, count in seen.items() if count > 1]
    if strange:
        where = f"image {strange[0][1]} of prompt {strange[0][0]}"
        yield Finding("judged", "FAIL", f"{len(strange)} verdicts are on images not asked for, first {where}")
    if twice:
        where = f"image {twice[0][1]} of prompt {twice[0][0]}"
        yield Finding("judged", "FAIL", f"{len(twice)} images have several verdicts, first {where}")
    if not strange and not twice:
        yield Finding("judged", "PASS", f"{len(verdicts)} verdicts, each on one image that was asked for")
    if plan:
        yield from _copies(verdicts, places)


def _copies(verdicts: Sequence[Verdict], places: dict[tuple[str, int], str]) -> Iterator[Finding]:
    """Say where one image stands for several; models that ignore their seed do this, and so do forgers."""
    keys: defaultdict[str, set[str]] = defaultdict(set)
    said: defaultdict[tuple[str, str], list[Verdict]] = defaultdict(list)
    for verdict in verdicts:
        keys[verdict.image_sha256].add(places.get((verdict.item_id, verdict.index), ""))
        said[verdict.image_sha256, verdict.item_id].append(verdict)
    copies = sum(len(found) - 1 for found in keys.values())
    torn = sum(any(one.output != found[0].output for one in found) for found in said.values())
    text = f"{copies} of {len(verdicts)} images are copies of others, by their sha256"
    if torn:
        more = f"the judge says different things of the same image for {torn} prompts; judge them again"
        yield Finding("copies", "UNCHECKED", f"{text}, and {more}")
    elif copies:
        yield Finding("copies", "NOTE", text)
