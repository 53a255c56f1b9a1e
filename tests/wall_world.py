"""Runs with many images, made up: for pages that have to stay quick, and prompts that try to break them."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from lumina_eval.digests import digest_of
from lumina_eval.records import (
    Aggregate,
    Coverage,
    ImageRef,
    Item,
    Manifest,
    RunResult,
    Score,
    Verdict,
)
from lumina_eval.runs import RunFolder
from lumina_eval.statistics.means import metric

TASKS = ("single_object", "counting", "colors", "position")

#: Texts that are markup, code or a turn of the writing direction somewhere, and have to stay texts.
HOSTILE = (
    "<script>window.hacked = 1</script>",
    '</script><script>window.hacked = 2</script><img src=x onerror="window.hacked=3">',
    "<!-- <script> ]]> \u2028\u2029 <b>bold</b> &lt;i&gt; &amp;",
    "'\"><svg onload=window.hacked=4><a href='javascript:window.hacked=5'>x</a>",
    "{{ 7*7 }} ${7*7} {% raw %} \\u003cscript\\u003e \\",
    "\u202eright to left override \u05e9\u05dc\u05d5\u05dd \u0645\u0631\u062d\u0628\u0627",
    "a family \U0001f468\u200d\U0001f469\u200d\U0001f467 of 中文 and ein Ära\u0301",
    "two\nlines\r\nand\ta tab",
    "x" * 10_000,
    "many words " * 900,
)


def write_runs(
    folder: Path, prompts: Sequence[str], checkpoints: Sequence[str], *, images: int = 1
) -> list[Path]:
    """Write a run of each checkpoint below ``folder/runs``, its 64-pixel images below ``folder/images``."""
    items = [
        Item(id=f"{number:05d}", prompt=text, task=TASKS[number % len(TASKS)], metadata={})
        for number, text in enumerate(prompts)
    ]
    return [
        _write_run(folder, items, name, 1000 * (place + 1), images) for place, name in enumerate(checkpoints)
    ]


def _write_run(folder: Path, items: Sequence[Item], name: str, step: int, images: int) -> Path:
    refs, verdicts, scores, lines = [], [], [], []
    for item in items:
        for index in range(images):
            key = hashlib.sha256(f"{name}/{item.id}/{index}".encode()).hexdigest()
            right = int(key[:4], 16) % 100 < 30 + step // 100
            sha256 = _store(folder / "images", key)
            refs.append(ImageRef(item_id=item.id, index=index, seed=index, key=key))
            verdicts.append(
                Verdict(
                    item_id=item.id, index=index, image_sha256=sha256, judge="disc@0123456789ab", output={}
                )
            )
            scores.append(Score(item_id=item.id, task=item.task, index=index, value=float(right)))
            reason = "" if right else f"expected {item.prompt[:99]}"
            lines.append(json.dumps({"prompt": item.prompt, "correct": right, "reason": reason}))
    found = [metric("overall", scores), *(metric(t, [s for s in scores if s.task == t]) for t in TASKS)]
    manifest = Manifest(
        run_id=f"walls-tabletop-{name}"[:40],
        run_digest=digest_of(name),
        benchmark="walls",
        protocol="tabletop",
        protocol_digest=digest_of("walls"),
        protocol_values={"title": "Walls", "images_per_prompt": images},
        model=name,
        title=name,
        stage=name,
        step=step,
        images_per_prompt=images,
        judge="disc@0123456789ab",
        judge_kind="detect",
        judge_digest=digest_of("disc"),
        store="../../images",
        argv=["lumina-eval", "run", "walls"],
    )
    result = RunResult(
        benchmark="walls",
        protocol="tabletop",
        model=name,
        title=name,
        stage=name,
        step=step,
        metrics=found,
        coverage=Coverage(expected=len(refs), generated=len(refs), judged=len(refs)),
    )
    run = RunFolder(folder / "runs" / f"run-{step}")
    run.begin(manifest, items, refs)
    run.verdicts_path.write_text("".join(f"{one.model_dump_json()}\n" for one in verdicts), encoding="utf-8")
    run.finish(result, Aggregate(metrics=[], results=lines, scores=scores), [])
    return run.path


def _store(root: Path, key: str) -> str:
    """Write an image as the store does, without waiting for the disk; return its sha256."""
    pixels = np.random.default_rng(int(key[:8], 16)).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    out = io.BytesIO()
    Image.fromarray(pixels).resize((64, 64), Image.Resampling.BICUBIC).save(out, format="PNG")
    path = root / key[:2] / f"{key}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(out.getvalue())
    sha256 = hashlib.sha256(out.getvalue()).hexdigest()
    path.with_suffix(".json").write_text(json.dumps({"sha256": sha256}))
    return sha256
