"""Run folders made up whole: prompts, images in a store, verdicts, scores and metrics with real intervals."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

from lumina_eval.digests import digest_of
from lumina_eval.plugins import injected
from lumina_eval.records import (
    Aggregate,
    Coverage,
    ImageRef,
    Item,
    Manifest,
    Metric,
    Provenance,
    RunResult,
    Score,
    Verdict,
)
from lumina_eval.runs import RunFolder
from lumina_eval.statistics.means import metric
from lumina_eval.store import ImageStore

TASKS = ("single_object", "counting", "colors")
MakeRun = Callable[..., Path]


class Discs:
    """A benchmark that can draw what its judge saw."""

    name = "discs"

    def protocols(self) -> dict[str, Path]:
        return {}

    def items(self, protocol: object) -> list[Item]:
        return []

    def judge(self, protocol: object) -> None:
        raise AssertionError("a report judges nothing")

    def aggregate(self, protocol: object, items: object, verdicts: object) -> None:
        raise AssertionError("a report adds nothing up")

    def draw(self, image: Image.Image, item: Item, verdict: Verdict, protocol: object) -> Image.Image:
        drawn = image.resize((image.width * 3, image.height * 3), Image.Resampling.NEAREST)
        ImageDraw.Draw(drawn).rectangle(verdict.output["box"], outline=(0, 0, 255), width=2)
        return drawn


@pytest.fixture(autouse=True)
def _plugin() -> Iterator[None]:
    with injected("benchmarks", discs=Discs):
        yield


def prompts(per_task: int = 4) -> list[Item]:
    """Prompts of three tasks, half of them seen."""
    return [
        Item(
            id=f"{n:05d}",
            prompt=f"a photo of {task} no. {n} & <b>more</b>",
            task=task,
            split="seen" if n % 2 else "unseen",
            metadata={"tag": task},
        )
        for n, task in enumerate(task for task in TASKS for _ in range(per_task))
    ]


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "images"


@pytest.fixture
def make_run(tmp_path: Path, store: Path) -> MakeRun:
    """Write a finished run folder; every keyword changes one thing that a report has to say."""

    def make(
        stage: str | None = "low_res",
        step: int | None = 1000,
        ability: float = 0.5,
        *,
        model: str = "embedded",
        title: str | None = None,
        subset: str | None = None,
        suite: str = "standard",
        items: Sequence[Item] | None = None,
        images: int = 2,
        failed: int = 0,
        warnings: Sequence[str] = (),
        metrics: Callable[[list[Metric]], list[Metric]] = lambda found: found,
        keep_images: bool = True,
        **manifest: Any,
    ) -> Path:
        asked = list(items if items is not None else prompts())
        title = title or (f"{model}:{stage}" if stage else model)
        benchmark, protocol = manifest.get("benchmark", "discs"), manifest.get("protocol", "tabletop")
        digest = digest_of([title, step, subset, suite, manifest.get("sampling")])
        name = f"{benchmark}-{protocol}-{model}-{stage}-{digest[:12]}"
        folder = tmp_path / "runs" / name
        verdicts, scores, refs, rows = [], [], [], []
        for item in asked:
            for index in range(images):
                key = hashlib.sha256(f"{title}/{step}/{item.id}/{index}".encode()).hexdigest()
                right = int(key[:8], 16) / 2**32 < ability
                sha256 = ImageStore(store).write(key, _disc(key), {}) if keep_images else "0" * 64
                place = {"item_id": item.id, "index": index}
                refs.append(ImageRef(**place, seed=index, key=key))
                verdicts.append(
                    Verdict(
                        **place,
                        image_sha256=sha256,
                        judge="disc@0123456789ab",
                        output={"box": [9, 9, 60, 60]},
                    )
                )
                scores.append(Score(**place, task=item.task, value=float(right), split=item.split))
                rows.append(
                    {
                        "prompt": item.prompt,
                        "correct": right,
                        "reason": "" if right else "expected disc>=1, found 0",
                    }
                )
        found = [metric("overall", scores)]
        found += [metric(task, [s for s in scores if s.task == task]) for task in TASKS]
        found += [
            metric(f"{split}/overall", [s for s in scores if s.split == split])
            for split in ("seen", "unseen")
        ]
        expected = len(refs) + failed
        values = {"title": "Discs", "images_per_prompt": images}
        record = Manifest(
            **{
                "run_id": name,
                "run_digest": digest_of(name),
                "benchmark": "discs",
                "protocol": "tabletop",
                "protocol_digest": digest_of(values),
                "protocol_values": values,
                "suite": suite,
                "subset": subset,
                "model": model,
                "title": title,
                "checkpoint": f"weights/{stage}",
                "digest": digest_of(title),
                "components": {"transformer": digest_of([title, "t"]), "vae": digest_of("v")},
                "stage": stage,
                "step": step,
                "sampling": {"solver": "euler", "steps": 24, "guidance": 4.0},
                "images_per_prompt": images,
                "judge": "disc@0123456789ab",
                "judge_kind": "detect",
                "judge_digest": digest_of("disc"),
                "store": "../../images",
                "provenance": Provenance(git_sha="a" * 40, git_dirty=False, packages={"torch": "2.9"}),
                "argv": ["/opt/bin/lumina-eval", "run", "discs", "--model", "embedded", "--set", "a=b c"],
                "finished": "2026-01-02T03:04:05+00:00",
                **manifest,
            }
        )
        result = RunResult(
            benchmark=benchmark,
            protocol=protocol,
            suite=suite,
            subset=subset,
            model=model,
            checkpoint=record.checkpoint,
            digest=record.digest,
            stage=stage,
            step=step,
            metrics=metrics(found),
            coverage=Coverage(expected=expected, generated=len(refs), judged=len(refs), failed=failed),
            warnings=list(warnings),
            title=title,
            changed=list(manifest.get("changed", [])),
            rewriting=manifest.get("rewriting"),
        )
        run = RunFolder(folder)
        run.begin(record, asked, refs)
        run.verdicts_path.write_text("".join(f"{v.model_dump_json()}\n" for v in verdicts))
        run.finish(
            result, Aggregate(metrics=[], results=[json.dumps(row) for row in rows], scores=scores), []
        )
        return folder

    return make


@pytest.fixture
def stages(make_run: MakeRun) -> list[Path]:
    """Three stages that get better, and the ceiling."""
    return [
        make_run("low_res", 1000, 0.3),
        make_run("high_res", 2000, 0.6),
        make_run("hq_tuning", 2500, 0.8),
        make_run(None, None, 1.0, model="tabletop-truth", title="ceiling 64 px"),
    ]


def _disc(key: str) -> Image.Image:
    """A 32-pixel image that differs for each key."""
    generator = np.random.default_rng(int(key[:12], 16))
    image = Image.new("RGB", (32, 32), tuple(int(v) for v in generator.integers(120, 180, 3)))
    x, y = (int(v) for v in generator.integers(4, 20, 2))
    ImageDraw.Draw(image).ellipse(
        (x, y, x + 10, y + 10), fill=tuple(int(v) for v in generator.integers(0, 256, 3))
    )
    return image
