"""The conformance kit: three lines in a plug-in's own tests.

>>> from lumina_eval.testing import check_model   # doctest: +SKIP
>>> check_model(MyModel())                        # doctest: +SKIP

Each check raises ``AssertionError`` with what was expected and what was found.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lumina_eval.digests import canonical_json
from lumina_eval.plugins import Benchmark, Judge, Model
from lumina_eval.protocol import SUITES, resolve
from lumina_eval.records import Item

#: Batch shape may move a value by this much (of 255) ...
BATCH_STEP: Final = 1
#: ... in less than this share of the values.
BATCH_SHARE: Final = 0.001


def check_model(
    model: Model, prompts: Sequence[str] = ("a photo of a red circle", "a photo of two blue stars")
) -> None:
    """Check that a model describes itself and that an image depends on its own prompt and seed alone."""
    assert isinstance(model, Model), f"expected all members of Model, found {type(model).__name__}"
    for name, digest in model.components().items():
        assert re.fullmatch(r"[0-9a-f]{64}", digest), (
            f"expected a sha256 for component {name}, found {digest!r}"
        )
    assert model.components(), "expected at least one component, found none: nothing names the weights"
    sampling = canonical_json(dict(model.sampling()))
    assert sampling == canonical_json(dict(model.sampling())), "the sampling changed between two calls"
    assert all(model.final_text(p) == model.final_text(p) for p in prompts), "the final text is not stable"

    seeds = list(range(1, len(prompts) + 1))
    together = _images(model, prompts, seeds)
    again = _images(model, prompts, seeds)
    assert all(np.array_equal(a, b) for a, b in zip(together, again, strict=True)), (
        "expected the same bytes for the same batch, found others"
    )
    reverse = _images(model, prompts[::-1], seeds[::-1])[::-1]
    alone = [_images(model, [prompt], [seed])[0] for prompt, seed in zip(prompts, seeds, strict=True)]
    for what, others in (("in another order", reverse), ("alone", alone)):
        for place, (one, other) in enumerate(zip(together, others, strict=True)):
            _check_close(one, other, f"prompt {place} {what}")


def check_benchmark(benchmark: Benchmark) -> None:
    """Check protocols and prompts, and that the rules bear a run of which nothing was judged."""
    assert isinstance(benchmark, Benchmark), (
        f"expected all members of Benchmark, found {type(benchmark).__name__}"
    )
    files = benchmark.protocols()
    assert files, "expected at least one protocol, found none"
    for name in files:
        protocol = resolve(name, files, known=getattr(benchmark, "protocol_keys", None))
        for suite in SUITES:
            assert protocol.suite(suite).images_per_prompt >= 1
        items = benchmark.items(protocol)
        assert items, f"protocol {name} has no prompts"
        assert list(items) == list(benchmark.items(protocol)), (
            f"the prompts of {name} changed between two calls"
        )
        ids = [item.id for item in items]
        assert len(set(ids)) == len(ids), f"protocol {name} has two prompts with one id"
        empty = benchmark.aggregate(protocol, items, [])
        assert not empty.scores, f"protocol {name} gives scores without verdicts"
        for metric in empty.metrics:
            assert metric.value is None, f"metric {metric.name} of {name} has a value without verdicts"


def check_judge(judge: Judge, images: Sequence[Image.Image], items: Sequence[Item]) -> None:
    """Check that verdicts are JSON and that each depends on its own image and prompt alone."""
    assert isinstance(judge, Judge), f"expected all members of Judge, found {type(judge).__name__}"
    canonical_json(dict(judge.settings))
    together = [_verdict(output) for output in judge.judge(images, items)]
    assert len(together) == len(images), f"expected {len(images)} verdicts, found {len(together)}"
    for place, (image, item) in enumerate(zip(images, items, strict=True)):
        alone = _verdict(judge.judge([image], [item])[0])
        assert alone == together[place], f"image {place} has another verdict alone than among others"


def _verdict(output: Mapping[str, Any] | Exception) -> str:
    assert not isinstance(output, Exception), f"expected a verdict, found {output!r}"
    return canonical_json(dict(output))


def _images(model: Model, prompts: Sequence[str], seeds: Sequence[int]) -> list[NDArray[np.int16]]:
    images = model.generate(prompts, seeds)
    assert len(images) == len(prompts), f"expected {len(prompts)} images, found {len(images)}"
    arrays = []
    for image in images:
        assert isinstance(image, Image.Image), f"expected PIL images, found {type(image).__name__}"
        arrays.append(np.asarray(image.convert("RGB"), dtype=np.int16))
    return arrays


def _check_close(one: NDArray[np.int16], other: NDArray[np.int16], what: str) -> None:
    assert one.shape == other.shape, f"{what}: expected shape {one.shape}, found {other.shape}"
    apart = np.abs(one - other)
    share = float((apart > 0).mean())
    assert apart.max() <= BATCH_STEP and share < BATCH_SHARE, (  # noqa: PT018
        f"{what}: expected at most {BATCH_STEP}/255 in less than {BATCH_SHARE:.1%} of the values, "
        f"found {apart.max()}/255 in {share:.2%}"
    )
