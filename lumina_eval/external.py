"""Images and verdicts that were made elsewhere: judged and added up like our own, into a run folder.

Verdicts may also be those of a run folder of ours, so that a rule can change without judging again.

What is expected is what the file or folder names: its prompts times the images per prompt. Without a number
of images per prompt a folder is taken to hold, of each prompt, all images up to the highest index in it, and
a verdict file to be whole as it is, unless the benchmark judges a prompt by all of its images together.
``complete`` asks for every prompt of the protocol.
"""

from __future__ import annotations

import io
import os
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from lumina_eval import plugins
from lumina_eval.digests import digest_of, sha256_bytes, sha256_file
from lumina_eval.errors import UserError
from lumina_eval.evaluation import Question, Site, conclude, find_protocol, judge_sights
from lumina_eval.files import make_folder, sole_writer, write_lines
from lumina_eval.judging import Judged, Sight, judge_label, verdict_line
from lumina_eval.plan import Selection
from lumina_eval.plugins import Benchmark
from lumina_eval.protocol import ResolvedProtocol
from lumina_eval.provenance import provenance
from lumina_eval.records import Item, Manifest, Verdict
from lumina_eval.runs import RunFolder, now, protocol_of, read_items, read_manifest, read_verdicts, run_id
from lumina_eval.store import StoredImage

#: Left, top, right and bottom of an image within a file that holds several, in pixels.
Box = tuple[int, int, int, int]


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
    """Judge the images of a folder in the benchmark's official layout; return the run folder."""
    bench = plugins.benchmark(benchmark, questions, parses, reference, features)
    resolved = find_protocol(bench, protocol, changes)
    if not folder.is_dir():
        raise UserError(f"expected a folder of images, found none at {folder}")
    read = _offered(bench, "read_images", "--images")
    found: Sequence[tuple[Item, int, Path] | tuple[Item, int, Path, Box | None]] = read(folder, resolved)
    judge = bench.judge(resolved)
    sights = [_sight(*image) for image in found]
    places = {sight.place for sight in sights}
    per_prompt = images_per_prompt or _highest(places)
    items, expected = _expected(bench, resolved, [s.item for s in sights], places, per_prompt, complete)
    content = digest_of([[sight.item.id, sight.index, sight.sha256] for sight in sights])
    manifest = _manifest(
        bench, resolved, "images", folder, content, per_prompt, items, expected, complete, site,
        judge=judge_label(judge), judge_kind=judge.kind, judge_digest=judge.digest,
        judge_settings=dict(judge.settings),
    )  # fmt: skip
    run = RunFolder(make_folder(site.out / "runs" / manifest.run_id))
    with sole_writer(run.path):
        manifest = run.begin(manifest, items, [])
        judged = judge_sights(sights, judge, site, run, manifest.title)
        failures = [
            {"item_id": item_id, "index": index, "key": None, "step": "judge", "reason": reason}
            for (item_id, index), reason in judged.failed.items()
        ]
        failures += _without(places, items, per_prompt, "no image in the folder")
        question = Question(bench, resolved, _selection(items, per_prompt))
        there = sum(sight.sha256 is not None for sight in sights)
        conclude(question, manifest, run, judged, failures, expected, generated=there)
    return run.path


def judge_verdicts(
    benchmark: str,
    protocol: str,
    changes: Sequence[str],
    file: Path,
    site: Site,
    images_per_prompt: int | None = None,
    complete: bool = False,
    questions: Path | None = None,
    reference: str | None = None,
    features: Path | None = None,
) -> Path:
    """Apply the rules to saved verdicts, in the benchmark's own form or ours; return the run folder."""
    bench = plugins.benchmark(benchmark, questions, None, reference, features)
    resolved = find_protocol(bench, protocol, changes)
    if not file.is_file():
        raise UserError(f"expected a verdict file, found none at {file}")
    given: Sequence[Item]
    verdicts: Sequence[Verdict]
    before: Manifest | None = None
    if file.name == "verdicts.jsonl" and (file.parent / "manifest.json").is_file():
        before = read_manifest(file.parent)
        if before.benchmark != benchmark:
            raise UserError(f"expected verdicts of {benchmark}, found those of {before.benchmark}, in {file}")
        given, verdicts = read_items(file.parent), read_verdicts(file.parent)
        if before.protocol != resolved.name and _strangers(bench, resolved, given):
            raise UserError(
                f"expected verdicts on prompts of protocol {resolved.name}, found those of protocol "
                f"{before.protocol}, with which it shares no prompt, in {file}; "
                f"fix: --protocol {before.protocol}"
            )
        images_per_prompt = images_per_prompt or before.images_per_prompt
    else:
        given, verdicts = _offered(bench, "read_verdicts", "--verdicts")(file, resolved)
    places = {(verdict.item_id, verdict.index) for verdict in verdicts}
    per_prompt = images_per_prompt or _highest(places)
    whole = per_prompt if getattr(bench, "whole_prompts", False) else images_per_prompt or 0
    items, expected = _expected(bench, resolved, given, places, whole, complete)
    # A line may point to another file (a depth map), which its verdict's own digest knows of.
    content = digest_of([sha256_file(file), *(verdict.image_sha256 for verdict in verdicts)])
    manifest = _manifest(
        bench, resolved, "verdicts", file, content, per_prompt, items, expected, complete, site,
        judge=verdicts[0].judge if verdicts else "saved", judge_kind="saved", judge_digest="saved",
        rewriting=before.rewriting if before else None,
    )  # fmt: skip
    failures = _without(places, items, whole, "no verdict in the file")
    question = Question(bench, resolved, _selection(items, per_prompt))
    return _add_up(question, manifest, verdicts, failures, expected, site)


def judge_features(
    benchmark: str,
    protocol: str,
    changes: Sequence[str],
    address: str,
    site: Site,
    reference: str | None = None,
    features: Path | None = None,
) -> Path:
    """Apply the rules to features made elsewhere, ``FILE.npz`` or ``FILE.npz:KEY``; return the run folder."""
    bench = plugins.benchmark(benchmark, None, None, reference, features)
    resolved = find_protocol(bench, protocol, changes)
    given: list[Item]
    verdicts: list[Verdict]
    given, verdicts = _offered(bench, "read_features", "--features")(address, resolved)
    content = digest_of([verdict.image_sha256 for verdict in verdicts])
    manifest = _manifest(
        bench, resolved, "features", Path(address), content, 1, given, len(given), False, site,
        judge=verdicts[0].judge if verdicts else "saved", judge_kind="saved", judge_digest="saved",
    )  # fmt: skip
    return _add_up(Question(bench, resolved, _selection(given, 1)), manifest, verdicts, [], len(given), site)


def statistics_writer(benchmark: str, file: Path) -> Callable[[Path], None]:
    """Return what writes statistics of a run folder's features to ``file``, an ``.npz``.

    Raises UserError, before anything is judged, for another ending or a benchmark without features.
    """
    _offered(plugins.benchmark(benchmark), "write_statistics", "--write-statistics")
    if file.suffix != ".npz":
        raise UserError(f"expected an .npz file to write statistics to, found {file}; fix: {file}.npz")

    def write(run_dir: Path) -> None:
        bench = plugins.benchmark(benchmark)
        held = protocol_of(read_manifest(run_dir))
        _offered(bench, "write_statistics", "--write-statistics")(file, held, read_verdicts(run_dir))

    return write


def _add_up(
    question: Question,
    manifest: Manifest,
    verdicts: Sequence[Verdict],
    failures: Sequence[Mapping[str, Any]],
    expected: int,
    site: Site,
) -> Path:
    """Write a run folder of verdicts that are there already."""
    run = RunFolder(make_folder(site.out / "runs" / manifest.run_id))
    with sole_writer(run.path):
        manifest = run.begin(manifest, question.selection.items, [])
        write_lines(run.verdicts_path, [verdict_line(verdict) for verdict in verdicts])
        conclude(
            question, manifest, run, Judged(list(verdicts), {}), failures, expected, generated=len(verdicts)
        )
    return run.path


def _strangers(bench: Benchmark, protocol: ResolvedProtocol, given: Sequence[Item]) -> bool:
    try:
        known = {item.prompt for item in bench.items(protocol)}
    except UserError:  # the prompts are not at hand
        return False
    return not any(item.prompt in known for item in given)


def _offered(bench: Benchmark, method: str, option: str) -> Callable[..., Any]:
    found: Callable[..., Any] | None = getattr(bench, method, None)
    if found is None:
        raise UserError(f"benchmark {bench.name} has no {option}")
    return found


def _expected(
    bench: Benchmark,
    protocol: ResolvedProtocol,
    given: Sequence[Item],
    places: Collection[tuple[str, int]],
    per_prompt: int,
    complete: bool,
) -> tuple[list[Item], int]:
    """Return the prompts that were asked, and how many images are expected of them: those there, and more."""
    items = list({item.id: item for item in given}.values())
    if complete:
        per_prompt = per_prompt or protocol.suite("standard").images_per_prompt
        whole = bench.items(protocol)
        lacking = Counter(item.prompt for item in whole) - Counter(item.prompt for item in items)
        expected = len(places) + len(_absent(places, items, per_prompt))
        return items, expected + per_prompt * lacking.total()
    return items, len(places) + len(_absent(places, items, per_prompt))


def _subset(
    bench: Benchmark, protocol: ResolvedProtocol, items: Sequence[Item], complete: bool
) -> str | None:
    """Say how much of the protocol was given; None for all of it, or where all is demanded."""
    if complete:
        return None
    try:
        whole = bench.items(protocol)
    except UserError:  # the prompts are not at hand
        return f"the {len(items)} prompts that were given"
    if not Counter(item.prompt for item in whole) - Counter(item.prompt for item in items):
        return None
    return f"{len(items)} of {len(whole)} prompts, those that were given"


def _highest(places: Collection[tuple[str, int]]) -> int:
    """Return how many images a prompt has up to the highest index of any."""
    return max((index for _, index in places), default=-1) + 1


def _absent(
    there: Collection[tuple[str, int]], items: Sequence[Item], per_prompt: int
) -> list[tuple[str, int]]:
    """Return the first ``per_prompt`` images of each prompt that are not ``there``."""
    wanted = ((item.id, index) for item in items for index in range(per_prompt))
    return [place for place in wanted if place not in there]


def _without(
    there: Collection[tuple[str, int]], items: Sequence[Item], per_prompt: int, reason: str
) -> list[dict[str, Any]]:
    """Name the images of the prompts at hand that are not ``there``."""
    return [
        {"item_id": item_id, "index": index, "key": None, "step": "judge", "reason": reason}
        for item_id, index in _absent(there, items, per_prompt)
    ]


def _selection(items: Sequence[Item], per_prompt: int) -> Selection:
    images = max(per_prompt, 1)
    return Selection(tuple(items), images, "external", None, len(items), images)


def _manifest(
    bench: Benchmark,
    protocol: ResolvedProtocol,
    kind: str,
    source: Path,
    content: str,
    per_prompt: int,
    items: Sequence[Item],
    expected: int,
    complete: bool,
    site: Site,
    **judge: Any,
) -> Manifest:
    identity = {
        "benchmark": bench.name,
        "protocol": protocol.name,
        "protocol_digest": protocol.digest,
        "items": digest_of([item.model_dump(mode="json") for item in items]),
        "images_per_prompt": per_prompt,
        "expected": expected,
        "kind": kind,
        "content": content,
        "judge": judge["judge"],
        **getattr(bench, "given", {}),
    }
    title = source.resolve().stem
    return Manifest(
        run_id=run_id(identity, bench.name, protocol.name, kind, title),
        run_digest=digest_of(identity),
        benchmark=bench.name,
        protocol=protocol.name,
        protocol_digest=protocol.digest,
        protocol_values=dict(protocol.values),
        changed=list(protocol.changed),
        model=kind,
        title=title,
        checkpoint=str(source),
        components={kind: content},
        digest=content,
        subset=_subset(bench, protocol, items, complete),
        images_per_prompt=max(per_prompt, 1),
        store=os.path.relpath(site.store.root, site.out / "runs" / "any"),
        provenance=provenance(site.distributions),
        argv=list(site.argv),
        started=now(),
        **judge,
    )


def _sight(item: Item, index: int, path: Path, box: Box | None = None) -> Sight:
    sha256 = _sha256(path)
    if sha256 is not None and box is not None:
        sha256 = digest_of([sha256, list(box)])
    return Sight(item, index, sha256, image_reader(path, box))


def _sha256(path: Path) -> str | None:
    try:
        return sha256_file(path)
    except OSError:
        return None


def image_reader(path: Path, box: Box | None = None) -> Callable[[], StoredImage | None]:
    """Return what reads an image file, or a part of it, when it is asked to: None if it cannot be read."""

    def read() -> StoredImage | None:
        try:
            data = path.read_bytes()
            with Image.open(io.BytesIO(data)) as image:
                whole = image.convert("RGB")
            if box is None:
                return StoredImage(whole, sha256_bytes(data))
            return StoredImage(whole.crop(box), digest_of([sha256_bytes(data), list(box)]))
        except (OSError, SyntaxError, ValueError):
            return None

    return read
