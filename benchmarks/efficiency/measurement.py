"""One model under one sampling, measured: seconds, images a second, work, memory, energy."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Sequence
from typing import Any, Final, Literal

import torch
from pydantic import Field

from benchmarks.efficiency.device import (
    device_name,
    energy,
    matmul_peak,
    peak_memory,
    reset_peak_memory,
)
from benchmarks.efficiency.flops import evaluations, image_flops
from benchmarks.efficiency.timing import timed
from lumina_eval.errors import UserError, is_user_error, reason_of
from lumina_eval.plugins import Model
from lumina_eval.records import Interval, Record
from lumina_model.adapter import LuminaModel
from lumina_model.sampling import DTYPES

#: A batch twice as large must bring this much more images a second to be worth its memory.
WORTH: Final = 1.03
Tell = Callable[[str], None]


class Work(Record):
    """What the transformer has to do for an image; known of this project's model only."""

    nfe: int
    flops: float
    """Useful operations of the transformer for an image; a step cache does less, which is not counted."""


class Measurement(Record):
    """What an image costs on this device. Times are wall clock; memory is of the process on a CPU."""

    schema_: Literal[1] = Field(default=1, alias="schema")
    title: str
    digest: str | None = None
    sampling: dict[str, Any]
    environment: dict[str, Any]
    device: str
    n_prompts: int
    repeats: int
    seconds: list[float]
    """Of one image alone, in the order measured."""
    seconds_median: float
    seconds_p90: float
    best_batch: int
    images_per_second: float
    """At the best batch."""
    batches: dict[str, float]
    """Batch size to images a second."""
    work: Work | None
    matmul_peak: float
    """Operations a second that the device sustains in the sampling's dtype, measured beside it."""
    peak_fraction: float | None
    """Useful operations a second of the transformer over that, at the best batch, decoding included."""
    peak_memory_bytes: int | None
    joules_per_image: float | None
    """Of the whole processor or GPU, idle power included, over one run of the best batch."""
    score: float | None = None
    """Of another protocol, for the same weights and sampling."""
    score_ci: Interval | None = None
    """Over prompts."""
    score_of: str | None = None


def measure(
    model: Model,
    prompts: Sequence[str],
    *,
    repeats: int = 5,
    most: int = 32,
    peak_seconds: float = 2.0,
    tell: Tell = lambda _: None,
    progress: Tell = lambda _: None,
) -> Measurement:
    """Measure ``model`` on ``prompts``, taken in turn; batches double up to ``most`` while that pays.

    A batch that does not fit in memory ends the doubling, and ``tell`` is told once. ``progress`` is told
    what was found, as it is found.
    """
    device = str(model.device)
    reset_peak_memory(device)
    alone = timed(lambda: _generate(model, prompts, 1), device, repeats)
    progress(f"one at a time: {alone.median:.3g} s an image")
    rates = {1: 1 / alone.median}
    for size in itertools.takewhile(lambda size: size <= most, (2**k for k in itertools.count(1))):
        try:
            found = timed(functools.partial(_generate, model, prompts, size), device, repeats)
        except torch.OutOfMemoryError:
            if device == "cuda":
                torch.cuda.empty_cache()
            tell(f"a batch of {size} does not fit in memory; {size // 2} is the largest")
            break
        rates[size] = size / found.median
        progress(f"batch of {size}: {rates[size]:.3g} images/s")
        if rates[size] < WORTH * rates[size // 2]:
            break
    best = max(rates, key=lambda size: rates[size])
    before = energy(device)
    _generate(model, prompts, best)
    after = energy(device)
    dtype = DTYPES.get(str(model.sampling().get("dtype")), torch.float32)
    peak = matmul_peak(device, dtype, peak_seconds)
    work = work_of(model, prompts)
    return Measurement(
        title=str(getattr(model, "title", model.name)),
        sampling=dict(model.sampling()),
        environment=dict(getattr(model, "environment", dict)()),
        device=device_name(device),
        n_prompts=len(prompts),
        repeats=repeats,
        seconds=list(alone.seconds),
        seconds_median=alone.median,
        seconds_p90=alone.p90,
        best_batch=best,
        images_per_second=rates[best],
        batches={str(size): rate for size, rate in rates.items()},
        work=work,
        matmul_peak=peak,
        peak_fraction=work.flops * rates[best] / peak if work else None,
        peak_memory_bytes=peak_memory(device),
        joules_per_image=_per_image(before, after, best),
    )


def work_of(model: Model, prompts: Sequence[str]) -> Work | None:
    """Count what the transformer does for an image; None for a model that is not ours."""
    if not isinstance(model, LuminaModel):
        return None
    pipeline, sampling = model.pipeline, model.settings
    if pipeline.text_encoder is None:
        return None
    texts = [sampling.final_text(prompt) for prompt in prompts]
    lengths = pipeline.text_encoder.tokenize(texts, sampling.text_tokens)[1].sum(dim=1).tolist()
    negative = pipeline.text_encoder.tokenize([sampling.final_negative_text()], sampling.text_tokens)[1]
    config = pipeline.transformer.config
    _, height, width = pipeline.latent_shape(sampling.size)
    tokens = height * width // config.patch_size**2
    return Work(
        nfe=evaluations(sampling, tokens).nfe,
        flops=image_flops(config, sampling, lengths, int(negative.sum()), tokens),
    )


def _per_image(before: float | None, after: float | None, images: int) -> float | None:
    if before is None or after is None or after < before or not images:
        return None
    return (after - before) / images


def _generate(model: Model, prompts: Sequence[str], size: int) -> None:
    chosen = list(itertools.islice(itertools.cycle(prompts), size))
    title = getattr(model, "title", model.name)
    try:
        images = model.generate(chosen, list(range(size)))
    except torch.OutOfMemoryError:
        raise
    except Exception as error:
        if is_user_error(error):
            raise
        raise UserError(f"expected images from {title}, found {reason_of(error)}; fix: the model") from error
    lacking = [one for one in images if one is None or isinstance(one, Exception)]
    if lacking or len(images) != size:
        raise UserError(
            f"expected {size} images from {title}, found {len(images) - len(lacking)}; fix: a model that "
            "draws any prompt"
        )
