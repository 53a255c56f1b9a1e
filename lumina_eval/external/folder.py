"""A folder of images in the benchmark's official layout: each is judged as if a model of ours had made it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from lumina_eval import plugins
from lumina_eval.digests import digest_of
from lumina_eval.errors import UserError
from lumina_eval.evaluation import Question, Site, conclude, find_protocol, judge_sights
from lumina_eval.external.asking import offered, prompts_at_hand
from lumina_eval.external.expected import expect, highest
from lumina_eval.external.images import Box, sight_of
from lumina_eval.external.record import Source, manifest_of
from lumina_eval.files import make_folder, sole_writer
from lumina_eval.judging import judge_label
from lumina_eval.records import Item
from lumina_eval.runs import RunFolder

Found = tuple[Item, int, Path] | tuple[Item, int, Path, Box | None]
"""An image: whose it is, its index, its file, and its box in a file that holds several."""


def judge_folder(
    benchmark: str,
    protocol: str,
    changes: Sequence[str],
    folder: Path,
    site: Site,
    images_per_prompt: int | None = None,
    complete: bool = False,
    questions: Path | None = None,
    parses: Path | None = None,
    reference: str | None = None,
    features: Path | None = None,
) -> Path:
    """Judge the images of a folder in the benchmark's official layout; return the run folder.

    Raises UserError, before anything is judged, if it has more images of a prompt than are asked for.
    """
    bench = plugins.benchmark(benchmark, questions, parses, reference, features)
    resolved = find_protocol(bench, protocol, changes)
    if not folder.is_dir():
        raise UserError(f"expected a folder of images, found none at {folder}")
    found = _found(offered(bench, "read_images", "--images")(folder, resolved), images_per_prompt)
    places = {(item.id, index): path for item, index, path, *_ in found}
    expected = expect(
        [image[0] for image in found],
        places,
        prompts_at_hand(bench, resolved, needed=complete),
        resolved.suite("standard").images_per_prompt,
        images_per_prompt,
        highest(places),
        complete,
    )
    judge = bench.judge(resolved)
    sights = [sight_of(*image) for image in found]
    content = digest_of([[sight.item.id, sight.index, sight.sha256] for sight in sights])
    manifest = manifest_of(
        bench, resolved, Source("images", folder, content), expected, site,
        judge=judge_label(judge), judge_kind=judge.kind, judge_digest=judge.digest,
        judge_settings=dict(judge.settings),
    )  # fmt: skip
    run = RunFolder(make_folder(site.out / "runs" / manifest.run_id))
    with sole_writer(run.path):
        manifest = run.begin(manifest, expected.items, [])
        judged = judge_sights(sights, judge, site, run, manifest.title)
        failures = [
            {"item_id": place[0], "index": place[1], "key": None, "step": "judge", "reason": reason,
             "file": os.path.relpath(places[place], folder)}
            for place, reason in judged.failed.items()
        ]  # fmt: skip
        failures += expected.failures("no image in the folder")
        question = Question(bench, resolved, expected.selection)
        there = sum(sight.sha256 is not None for sight in sights)
        conclude(question, manifest, run, judged, failures, expected.images, generated=there)
    return run.path


def _found(images: Sequence[Found], asked: int | None) -> list[Found]:
    """Leave out what stands for an absent image, a path without a file, beyond those that are asked for."""
    return [image for image in images if asked is None or image[1] < asked or image[2].is_file()]
