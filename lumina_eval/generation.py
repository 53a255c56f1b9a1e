"""From the plan to the image store: make what is missing, in the batches of the plan."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Final, TypeVar

from PIL import Image

from lumina_eval.errors import UserError, first_line, is_user_error, reason_of
from lumina_eval.plan import Plan, Planned, model_identity
from lumina_eval.plugins import Model
from lumina_eval.progress import Advance
from lumina_eval.provenance import package_versions
from lumina_eval.store import ImageStore

#: Distributions whose versions are written beside each image.
LIBRARIES: Final = ("diffusers", "numpy", "pillow", "torch", "transformers")

T = TypeVar("T")
Outcome = Image.Image | str
"""An RGB image, or the reason why there is none."""

Each = Callable[[Sequence[str], Sequence[int]], Iterator[tuple[int, Image.Image | Exception | None]]]


@dataclasses.dataclass(frozen=True)
class Generated:
    """What became of the plan."""

    made: int
    """Images written now."""
    failed: Mapping[str, str]
    """Image key to why there is no image."""


def missing(plan: Plan, store: ImageStore) -> set[str]:
    """Return the keys of the plan that have no whole image in the store."""
    return {image.ref.key for batch in plan.batches for image in batch if store.sha256(image.ref.key) is None}


def generate(plan: Plan, model: Model, store: ImageStore, absent: set[str], advance: Advance) -> Generated:
    """Make the ``absent`` images.

    A batch with one image missing is generated whole, in the same shape as the first time, and the images
    that are there are left untouched: a resumed run ends with the same bytes. A batch that the model fails on
    is recorded as failed; nothing is stored in its place. A model that makes its images one by one
    (``generate_each``) is asked for the absent ones alone. Errors for the user are passed on. Images are
    written while the next batch is made.
    """
    origin = {**model_identity(model), "made_with": made_with(model)}
    made = 0
    failed: dict[str, str] = {}
    each: Each | None = getattr(model, "generate_each", None)
    steps = _by_batches(plan, model, absent) if each is None else _one_by_one(plan, each, absent)

    def write(step: list[tuple[Planned, Outcome]]) -> list[tuple[Planned, Outcome]]:
        for planned, outcome in step:
            if not isinstance(outcome, str):
                text = model.final_text(planned.item.prompt)
                store.write(planned.ref.key, outcome, {**origin, "text": text, "seed": planned.ref.seed})
        return step

    with ThreadPoolExecutor(1, "image writer") as writer:
        for written in _one_behind(writer.submit(write, step) for step in steps):
            reasons = {planned.ref.key: found for planned, found in written if isinstance(found, str)}
            failed |= reasons
            made += len(written) - len(reasons)
            advance(len(written))
    return Generated(made, failed)


def _one_behind(futures: Iterator[Future[T]]) -> Iterator[T]:
    """Yield each result when the next future has been made, so that one is under way meanwhile."""
    before: Future[T] | None = None
    for future in futures:
        if before is not None:
            yield before.result()
        before = future
    if before is not None:
        yield before.result()


def made_with(model: Model) -> Mapping[str, Any]:
    """Return what can move last bits and is no part of the key: library versions, and what the model adds."""
    environment = getattr(model, "environment", dict)
    return {**package_versions(LIBRARIES), **environment()}


def _by_batches(plan: Plan, model: Model, absent: set[str]) -> Iterator[list[tuple[Planned, Outcome]]]:
    for batch in plan.batches:
        if not any(image.ref.key in absent for image in batch):
            continue
        try:
            outcomes = _batch(batch, model)
        except Exception as error:
            if is_user_error(error):
                raise
            outcomes = [reason_of(error)] * len(batch)
        yield [pair for pair in zip(batch, outcomes, strict=True) if pair[0].ref.key in absent]


def _batch(batch: Sequence[Planned], model: Model) -> list[Outcome]:
    """Run the model on a whole batch and check what comes back.

    What breaks the contract would break it in each batch, so it is for the user's eyes at the first one.
    """
    prompts = [image.item.prompt for image in batch]
    images = list(model.generate(prompts, [image.ref.seed for image in batch]))
    if len(images) != len(batch):
        raise UserError(
            f"expected {len(batch)} images from {model.name} for {len(batch)} prompts, found {len(images)}; "
            "fix: return one image for each prompt, None where there is none"
        )
    return [_outcome(image, model.name) for image in images]


def _one_by_one(plan: Plan, each: Each, absent: set[str]) -> Iterator[list[tuple[Planned, Outcome]]]:
    wanted = [image for batch in plan.batches for image in batch if image.ref.key in absent]
    left = dict(enumerate(wanted))
    why = "the model gave no image"
    try:
        for place, found in each(
            [image.item.prompt for image in wanted], [image.ref.seed for image in wanted]
        ):
            outcome = _outcome(found, "generate_each")
            yield [(left.pop(place), outcome)]
    except Exception as error:
        if is_user_error(error):
            raise
        why = reason_of(error)
    if left:
        yield [(image, why) for image in left.values()]


def _outcome(found: Image.Image | Exception | None, source: str) -> Outcome:
    if found is None:
        return "the model gave no image"
    if isinstance(found, Exception):
        return first_line(found)
    if not isinstance(found, Image.Image):
        raise UserError(
            f"expected PIL images from {source}, found {type(found).__name__}; "
            "fix: return PIL images, None where there is none"
        )
    return found.convert("RGB")
