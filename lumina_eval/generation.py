"""From the plan to the image store: make what is missing, in the batches of the plan."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Final

from PIL import Image

from lumina_eval.errors import is_user_error
from lumina_eval.plan import Plan, Planned, model_identity
from lumina_eval.plugins import Model
from lumina_eval.progress import Advance
from lumina_eval.provenance import package_versions
from lumina_eval.store import ImageStore

#: Distributions whose versions are written beside each image.
LIBRARIES: Final = ("diffusers", "numpy", "pillow", "torch", "transformers")


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
    is recorded as failed; nothing is stored in its place. Errors for the user are passed on.
    """
    origin = {**model_identity(model), "made_with": made_with(model)}
    made = 0
    failed: dict[str, str] = {}
    for batch in plan.batches:
        wanted = [image for image in batch if image.ref.key in absent]
        if not wanted:
            continue
        try:
            images = _checked(batch, model)
        except Exception as error:
            if is_user_error(error):
                raise
            reason = f"{type(error).__name__}: {error}".splitlines()[0]
            failed.update({image.ref.key: reason for image in wanted})
            advance(len(wanted))
            continue
        for planned, image in zip(batch, images, strict=True):
            if planned.ref.key not in absent:
                continue
            if image is None:
                failed[planned.ref.key] = "the model gave no image"
                continue
            text = model.final_text(planned.item.prompt)
            store.write(planned.ref.key, image, {**origin, "text": text, "seed": planned.ref.seed})
            made += 1
        advance(len(wanted))
    return Generated(made, failed)


def made_with(model: Model) -> Mapping[str, Any]:
    """Return what can move last bits and is no part of the key: library versions, and what the model adds."""
    environment = getattr(model, "environment", dict)
    return {**package_versions(LIBRARIES), **environment()}


def _checked(batch: Sequence[Planned], model: Model) -> list[Image.Image | None]:
    """Run the model on a whole batch and check what comes back."""
    prompts = [image.item.prompt for image in batch]
    images = list(model.generate(prompts, [image.ref.seed for image in batch]))
    if len(images) != len(batch):
        raise ValueError(f"expected {len(batch)} images from {model.name}, found {len(images)}")
    for image in images:
        if image is not None and not isinstance(image, Image.Image):
            raise TypeError(f"expected PIL images from {model.name}, found {type(image).__name__}")
    return [None if image is None else image.convert("RGB") for image in images]
