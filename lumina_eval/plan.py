"""What a run will make: which prompts, which images of each, under which keys, in which batches.

The plan depends on the protocol, the model and the arguments alone, never on what is already there. Two
prompts with the same text share their images. A plan is pure: making it twice gives the same plan.
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from lumina_eval.digests import digest_of, sha256_bytes
from lumina_eval.errors import UserError
from lumina_eval.plugins import Model
from lumina_eval.protocol import ResolvedProtocol, Suite
from lumina_eval.records import ImageRef, Item
from lumina_eval.seeds import image_seed
from lumina_eval.subsets import subset_of


@dataclasses.dataclass(frozen=True)
class Selection:
    """The prompts of a run in official order."""

    items: tuple[Item, ...]
    images_per_prompt: int
    suite: str
    subset: str | None
    """How much of the protocol, by :func:`lumina_eval.subsets.subset_of`; None for the whole."""


@dataclasses.dataclass(frozen=True)
class Planned:
    """One image of a prompt."""

    item: Item
    ref: ImageRef


@dataclasses.dataclass(frozen=True)
class Plan:
    """All images of a run in plan order, and the batches that they are made in."""

    selection: Selection
    images: tuple[Planned, ...]
    batches: tuple[tuple[Planned, ...], ...]
    """Each key once; the cut depends on the plan alone."""


@dataclasses.dataclass(frozen=True)
class Shard:
    """One of ``count`` parts of a plan, ``index`` from 0: every so manieth batch, cut as for one process."""

    index: int
    count: int

    @classmethod
    def parse(cls, text: str) -> Shard:
        """Read ``I/N``; raise UserError if it is something else."""
        index, slash, count = text.partition("/")
        numbers = [int(word) for word in (index, count) if word.strip().isdecimal()]
        if not slash or len(numbers) != 2 or not 0 <= numbers[0] < numbers[1]:
            raise UserError(
                f"expected --shard I/N with I from 0 to N - 1, found {text!r}; fix: of 4 parts the "
                "first is 0/4, the last 3/4"
            )
        return cls(*numbers)

    def of(self, plan: Plan) -> Plan:
        """Return this part of a plan; all parts together are the plan, and no two share a batch."""
        batches = plan.batches[self.index :: self.count]
        keys = {image.ref.key for batch in batches for image in batch}
        images = tuple(image for image in plan.images if image.ref.key in keys)
        return dataclasses.replace(plan, images=images, batches=batches)


def select(
    items: Sequence[Item], suite: Suite, limit: int | None = None, images_per_prompt: int | None = None
) -> Selection:
    """Take ``limit`` prompts per task (else the suite's number, else all).

    The sample is the smallest hashes within each task, so that a smaller one is part of a larger one, and
    adding prompts elsewhere in the protocol does not change it. Official order is kept.
    """
    per_task = limit if limit is not None else suite.prompts_per_task
    chosen = set(range(len(items)))
    if per_task is not None:
        tasks: defaultdict[str, list[int]] = defaultdict(list)
        for place, item in enumerate(items):
            tasks[item.task].append(place)
        ranks = [sha256_bytes(f"{item.id}\0{item.prompt}".encode()) for item in items]
        chosen = {p for places in tasks.values() for p in sorted(places, key=ranks.__getitem__)[:per_task]}
    images = images_per_prompt or suite.images_per_prompt
    prompts = None
    if len(chosen) < len(items):
        prompts = f"{per_task} per task ({len(chosen)} of {len(items)} prompts)"
    return Selection(
        items=tuple(items[place] for place in sorted(chosen)),
        images_per_prompt=images,
        suite=suite.name,
        subset=subset_of(prompts, images, images, suite.images_per_prompt),
    )


def make_plan(selection: Selection, protocol: ResolvedProtocol, model: Model, batch_size: int) -> Plan:
    """Lay out every image with its seed and key, and cut the batches."""
    identity = model_identity(model)
    images = []
    for item in selection.items:
        text = model.final_text(item.prompt)
        for index in range(selection.images_per_prompt):
            seed = image_seed(protocol.base_seed, item.prompt, index)
            key = digest_of({**identity, "text": text, "seed": seed})
            images.append(Planned(item, ImageRef(item_id=item.id, index=index, seed=seed, key=key)))
    unique = tuple({image.ref.key: image for image in reversed(images)}.values())[::-1]
    batches = tuple(unique[start : start + batch_size] for start in range(0, len(unique), batch_size))
    return Plan(selection, tuple(images), batches)


def model_identity(model: Model) -> Mapping[str, Any]:
    """Return all of a model that changes a pixel, beside the text and the seed."""
    return {
        "components": dict(model.components()),
        "sampling": dict(model.sampling()),
        "sampler_version": model.sampler_version,
        "device": model.device.split(":")[0],
    }


def components_digest(components: Mapping[str, str]) -> str:
    """Return one sha256 that stands for a checkpoint."""
    return digest_of(dict(components))
