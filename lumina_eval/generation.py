"""From the plan to the image store: make what is missing, in the batches of the plan."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
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

Found = Image.Image | Exception | None
Each = Callable[[Sequence[str], Sequence[int]], Iterator[tuple[int, Found]]]
Begin = Callable[[Sequence[str], Sequence[int]], Callable[[], Sequence[Found]]]

Made = list[tuple[Planned, Outcome]]
Step = Callable[[], Made]
"""A batch that was begun; called, it waits for its images."""


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
    written while the next batch is made; where a model can (``begin``), they are finished meanwhile, too.
    """
    identity, versions, made = model_identity(model), package_versions(LIBRARIES), 0
    failed: dict[str, str] = {}
    each: Each | None = getattr(model, "generate_each", None)
    steps = _by_batches(plan, model, absent) if each is None else _one_by_one(plan, each, absent)

    def write(step: Step) -> Made:
        batch = step()
        # Asked for again, as a model may learn while it makes them what it can.
        origin = {**identity, "made_with": {**versions, **environment(model)}}
        for planned, outcome in batch:
            if not isinstance(outcome, str):
                text = model.final_text(planned.item.prompt)
                store.write(planned.ref.key, outcome, {**origin, "text": text, "seed": planned.ref.seed})
        return batch

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


def environment(model: Model) -> Mapping[str, Any]:
    """Return what can move last bits and is no part of the key, beside the libraries."""
    told: Callable[[], Mapping[str, Any]] = getattr(model, "environment", dict)
    return told()


def _by_batches(plan: Plan, model: Model, absent: set[str]) -> Iterator[Step]:
    begin: Begin | None = getattr(model, "begin", None)
    for batch in plan.batches:
        if not any(image.ref.key in absent for image in batch):
            continue
        prompts, seeds = [image.item.prompt for image in batch], [image.ref.seed for image in batch]
        if begin is None:
            found = _checked(functools.partial(model.generate, prompts, seeds), batch, model.name)
            step: Callable[[], list[Outcome]] = functools.partial(list, found)
        else:
            step = functools.partial(_checked, _begun(begin, prompts, seeds), batch, model.name)
        yield functools.partial(_wanted, step, batch, absent)


def _begun(begin: Begin, prompts: Sequence[str], seeds: Sequence[int]) -> Callable[[], Sequence[Found]]:
    """Let the model begin; what is returned gives the images, or in place of each why it could not begin."""
    try:
        begun = begin(prompts, seeds)
    except Exception as error:
        if is_user_error(error):
            raise
        why = reason_of(error)  # the error itself would keep what was on the device
        return lambda: [RuntimeError(why)] * len(prompts)
    if not callable(begun):
        raise UserError(
            f"expected a call for the images from begin, found {type(begun).__name__}; fix: return a "
            "function that returns them"
        )
    return begun


def _checked(images: Callable[[], Sequence[Found]], batch: Sequence[Planned], name: str) -> list[Outcome]:
    """Ask for the images of a batch and check what comes back.

    What breaks the contract would break it in each batch, so it is for the user's eyes at the first one.
    """
    try:
        made = images()
        found = list(made) if isinstance(made, Iterable) else None
    except Exception as error:
        if is_user_error(error):
            raise
        return [reason_of(error)] * len(batch)
    if found is None or isinstance(made, str):
        raise UserError(
            f"expected {len(batch)} images from {name} for {len(batch)} prompts, found "
            f"{type(made).__name__}; fix: return a list with one image for each prompt"
        )
    if len(found) != len(batch):
        raise UserError(
            f"expected {len(batch)} images from {name} for {len(batch)} prompts, found {len(found)}; "
            "fix: return one image for each prompt, None where there is none"
        )
    return [_outcome(image, name) for image in found]


def _wanted(step: Callable[[], list[Outcome]], batch: Sequence[Planned], absent: set[str]) -> Made:
    return [pair for pair in zip(batch, step(), strict=True) if pair[0].ref.key in absent]


def _one_by_one(plan: Plan, each: Each, absent: set[str]) -> Iterator[Step]:
    wanted = [image for batch in plan.batches for image in batch if image.ref.key in absent]
    left = dict(enumerate(wanted))
    why = "the model gave no image"
    try:
        for place, found in each(
            [image.item.prompt for image in wanted], [image.ref.seed for image in wanted]
        ):
            outcome = _outcome(found, "generate_each")
            yield functools.partial(list, [(left.pop(place), outcome)])
    except Exception as error:
        if is_user_error(error):
            raise
        why = reason_of(error)
    if left:
        yield functools.partial(list, [(image, why) for image in left.values()])


def _outcome(found: Found, source: str) -> Outcome:
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
