"""The conformance kit: three lines in a plug-in's own tests.

>>> from lumina_eval.testing import check_model   # doctest: +SKIP
>>> check_model(MyModel())                        # doctest: +SKIP

Each check raises ``AssertionError`` with what was expected and what was found.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, get_args

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from rich.console import Console

from lumina_eval.digests import canonical_json, sha256_bytes, sha256_file
from lumina_eval.evaluation import Question, Site, evaluate
from lumina_eval.plan import select
from lumina_eval.plugins import Benchmark, Judge, JudgeKind, Model, Reporter
from lumina_eval.protocol import SUITES, resolve
from lumina_eval.records import Item, Score, Verdict
from lumina_eval.runs import read_result, store_of
from lumina_eval.store import ImageStore

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
    if hasattr(model, "begin"):
        begun = _begun_ahead(model, prompts, seeds)
        assert all(np.array_equal(a, b) for a, b in zip(together, begun, strict=True)), (
            "expected the same bytes from a batch that was begun and ended in another thread, found others"
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
    assert judge.kind in get_args(JudgeKind), f"expected one of {get_args(JudgeKind)}, found {judge.kind!r}"
    assert re.fullmatch(r"[0-9a-f]{64}", judge.digest), f"expected a sha256, found {judge.digest!r}"
    canonical_json(dict(judge.settings))
    together = [_verdict(output) for output in judge.judge(images, items)]
    assert len(together) == len(images), f"expected {len(images)} verdicts, found {len(together)}"
    for place, (image, item) in enumerate(zip(images, items, strict=True)):
        alone = _verdict(judge.judge([image], [item])[0])
        assert alone == together[place], f"image {place} has another verdict alone than among others"


def check_rules(
    benchmark: Benchmark,
    items: Sequence[Item],
    outputs: Sequence[Mapping[str, Any]],
    protocol: str | None = None,
) -> list[Score]:
    """Check the rules on verdicts with these ``outputs``, one image for each item; return the scores.

    The same verdicts give the same bytes, each score is of an image that was judged, intervals hold their
    value, and a verdict may be missing. ``protocol`` is a name; the first one if not given.
    """
    files = benchmark.protocols()
    resolved = resolve(protocol or next(iter(files)), files, known=getattr(benchmark, "protocol_keys", None))
    verdicts = [
        Verdict(item_id=item.id, index=0, image_sha256=sha256_bytes(b""), judge="kit", output=dict(output))
        for item, output in zip(items, outputs, strict=True)
    ]
    before = [verdict.model_dump_json() for verdict in verdicts]
    found = benchmark.aggregate(resolved, items, verdicts)
    again = benchmark.aggregate(resolved, items, verdicts)
    assert found.model_dump_json() == again.model_dump_json(), "the same verdicts gave other results"
    assert before == [verdict.model_dump_json() for verdict in verdicts], "the rules changed a verdict"
    judged = {(verdict.item_id, verdict.index) for verdict in verdicts}
    places = [(score.item_id, score.index) for score in found.scores]
    assert len(set(places)) == len(places), "an image is scored twice"
    assert set(places) <= judged, f"expected scores of images that were judged, found {set(places) - judged}"
    for metric in found.metrics:
        for interval in (metric.ci_seeds, metric.ci_prompts):
            assert interval is None or metric.value is not None, f"{metric.name} has an interval and no value"
            if interval is not None and metric.value is not None:
                assert interval[0] <= metric.value <= interval[1], (
                    f"expected {metric.name} within its interval, found {metric.value} and {interval}"
                )
    fewer = benchmark.aggregate(resolved, items, verdicts[1:])
    assert {score.item_id for score in fewer.scores} <= {verdict.item_id for verdict in verdicts[1:]}, (
        "an image without a verdict has a score"
    )
    return list(found.scores)


def check_run(
    benchmark: Benchmark, model: Model, folder: Path, protocol: str | None = None, judge: Judge | None = None
) -> Path:
    """Run a model on a prompt of each task, as ``lumina-eval run --limit 1`` does; return the run folder.

    Every image is made and judged, and a second run finds all of it done and writes the same bytes. The run
    and its images go into ``folder``. ``protocol`` is a name, the first one if not given; ``judge`` stands in
    for the one that the protocol names.
    """
    files = benchmark.protocols()
    resolved = resolve(protocol or next(iter(files)), files, known=getattr(benchmark, "protocol_keys", None))
    selection = select(benchmark.items(resolved), resolved.suite("standard"), 1, None)
    question = Question(benchmark, resolved, selection)
    site = Site(folder, ImageStore(folder / "images"), 16, Console(quiet=True))
    run_dir = evaluate(question, model, judge or benchmark.judge(resolved), site)
    result = read_result(run_dir)
    assert result.coverage.complete, f"expected every image judged, found {'; '.join(result.warnings)}"
    before = _contents(run_dir)
    again = evaluate(question, model, judge or benchmark.judge(resolved), site)
    assert again == run_dir, f"expected the same run folder again, found {again} after {run_dir}"
    now = _contents(run_dir)
    assert now == before, f"the second run changed {', '.join(k for k in now if now[k] != before.get(k))}"
    return run_dir


def check_reporter(reporter: Reporter, run_dirs: Sequence[Path], out: Path) -> None:
    """Check that a reporter writes the files that it names into ``out``, and changes no run folder.

    ``run_dirs`` are finished runs, for instance of :func:`check_run`.
    """
    before = [_contents(run_dir) for run_dir in run_dirs]
    for _ in range(2):
        files = [Path(file) for file in reporter(run_dirs, out, store_of(run_dirs[0]))]
        assert files, "expected at least one file, found none"
        for file in files:
            assert file.exists(), f"expected {file}, which the reporter names, found none"
            assert out.resolve() in file.resolve().parents, f"expected files in {out}, found {file}"
    assert before == [_contents(run_dir) for run_dir in run_dirs], "the reporter changed a run folder"


def _contents(folder: Path) -> dict[str, str]:
    """Digest of each file of a run folder but those with times in them."""
    return {
        path.relative_to(folder).as_posix(): sha256_file(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in ("manifest.json", "timings.jsonl")
    }


def _verdict(output: Mapping[str, Any] | Exception) -> str:
    assert not isinstance(output, Exception), f"expected a verdict, found {output!r}"
    return canonical_json(dict(output))


def _images(model: Model, prompts: Sequence[str], seeds: Sequence[int]) -> list[NDArray[np.int16]]:
    return _arrays(model.generate(prompts, seeds), len(prompts))


def _begun_ahead(model: Any, prompts: Sequence[str], seeds: Sequence[int]) -> list[NDArray[np.int16]]:
    """The images of a batch that is ended in another thread when the next one was begun."""
    with ThreadPoolExecutor(1) as other:
        first = model.begin(prompts, seeds)
        model.begin(prompts[::-1], seeds[::-1])
        return _arrays(other.submit(first).result(), len(prompts))


def _arrays(images: Sequence[Any], count: int) -> list[NDArray[np.int16]]:
    assert len(images) == count, f"expected {count} images, found {len(images)}"
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
