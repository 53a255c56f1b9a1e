"""A benchmark and a judge without any weights, for tests: is the image reddish?

Run as a script it is ``lumina-eval`` with the benchmark ``fake`` added. ``FAKE_JUDGE_KILL=n`` kills the
process when the n-th batch is to be judged.
"""

from __future__ import annotations

import dataclasses
import json
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from lumina_eval.plugins import injected
from lumina_eval.protocol import ResolvedProtocol
from lumina_eval.records import Aggregate, Item, Score, Verdict
from lumina_eval.statistics.means import metric

PROTOCOL = """\
title = "Fake"
description = "Two tasks."
images_per_prompt = 2
threshold = 0.5
prompts = 6

[judge]
name = "red"

[suites.quick]
prompts_per_task = 2
images_per_prompt = 1
"""


@dataclasses.dataclass(frozen=True)
class Done:
    code: int
    stdout: str
    stderr: str

    @property
    def records(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.stdout.splitlines()]


Cli = Callable[..., Done]


class RedJudge:
    kind = "scorer"
    name = "red"
    digest = "0" * 64
    settings: Mapping[str, Any] = {}

    def __init__(self) -> None:
        self.calls = 0

    def judge(self, images: Sequence[Image.Image], items: Sequence[Item]) -> list[dict[str, Any]]:
        self.calls += 1
        if str(self.calls) == os.environ.get("FAKE_JUDGE_KILL"):
            os.kill(os.getpid(), signal.SIGKILL)
        return [{"red": float(np.asarray(image)[..., 0].mean() / 255)} for image in images]


class FakeBenchmark:
    name = "fake"
    protocol_keys = ("threshold", "prompts", "judge.name")

    def __init__(self, folder: Path, judge: Any = None) -> None:
        self.folder = folder
        self.the_judge = judge or RedJudge()
        path = folder / "plain.toml"
        if not path.exists():
            path.write_text(PROTOCOL)

    def protocols(self) -> Mapping[str, Path]:
        return {path.stem: path for path in sorted(self.folder.glob("*.toml"))}

    def items(self, protocol: ResolvedProtocol) -> list[Item]:
        count = protocol.value("prompts")
        return [
            Item(id=f"{n:05d}", prompt=f"prompt {n}", task="odd" if n % 2 else "even", metadata={"n": n})
            for n in range(count)
        ]

    def judge(self, protocol: ResolvedProtocol) -> Any:
        return self.the_judge

    def aggregate(
        self, protocol: ResolvedProtocol, items: Sequence[Item], verdicts: Sequence[Verdict]
    ) -> Aggregate:
        task = {item.id: item.task for item in items}
        scores = [
            Score(
                item_id=v.item_id,
                task=task[v.item_id],
                index=v.index,
                value=float(v.output["red"] > protocol.value("threshold")),
            )
            for v in verdicts
        ]
        results = [f'{{"item":"{s.item_id}","correct":{str(bool(s.value)).lower()}}}' for s in scores]
        return Aggregate(
            metrics=[metric("overall", scores)],
            results=results,
            scores=scores,
            summary=f"{len(scores)} judged\n",
        )

    def read_verdicts(self, file: Path, protocol: ResolvedProtocol) -> tuple[list[Item], list[Verdict]]:
        items = {item.id: item for item in self.items(protocol)}
        lines = [json.loads(line) for line in file.read_text().splitlines()]
        verdicts = [
            Verdict(item_id=v["item"], index=v["index"], image_sha256="", judge="saved", output=v["output"])
            for v in lines
        ]
        return [items[v["item"]] for v in lines], verdicts

    def read_images(self, folder: Path, protocol: ResolvedProtocol) -> list[tuple[Item, int, Path]]:
        items = {item.id: item for item in self.items(protocol)}
        paths = sorted(folder.glob("*_*.png"))
        return [(items[p.stem.split("_")[0]], int(p.stem.split("_")[1]), p) for p in paths]


#: A model as a user would write it. The pixels depend on the batch's size, as those of real models do in
#: their last bits: a resumed run that cut its batches otherwise would show.
MODEL = """\
import os, signal
import numpy as np
from PIL import Image

calls = 0

def reddish(prompts, seeds):
    global calls
    calls += 1
    if str(calls) == os.environ.get("FAKE_MODEL_KILL"):
        # The job of a shell without a terminal inherits that Ctrl-C is ignored; here it shall not be.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os.kill(os.getpid(), getattr(signal, os.environ.get("FAKE_SIGNAL", "SIGKILL")))
    print("a library that talks on stdout")
    images = []
    for seed in seeds:
        pixels = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8)
        pixels[..., 0] = 255 if seed % 3 else 0
        pixels[0, 0, 1] = len(prompts)
        images.append(Image.fromarray(pixels))
    return images

def broken(prompts, seeds):
    raise RuntimeError("out of memory")

def gappy(prompts, seeds):
    return [None if "3" in prompt else image for prompt, image in zip(prompts, reddish(prompts, seeds))]

def always(prompts, seeds):
    return [Image.new("RGB", (8, 8), "red") for _ in prompts]

always.stage, always.step = "hq", 10
"""


def the_run(out: Path) -> Path:
    (run_dir,) = (out / "runs").iterdir()
    return run_dir


def with_model(words: list[object], model: str) -> list[object]:
    """Return the words with another ``--model``."""
    place = words.index("--model")
    return [*words[: place + 1], model, *words[place + 2 :]]


def main() -> None:
    from lumina_eval import cli

    with injected("benchmarks", fake=FakeBenchmark(Path(os.environ["FAKE_FOLDER"]))):
        cli.main()


if __name__ == "__main__":
    main()


class Declaring:
    """As much of a benchmark as assets need: it asks nothing and says where its ``assets.toml`` lies."""

    name = "declaring"

    def __init__(self, path: Path) -> None:
        self.path = path

    def assets(self) -> Path:
        return self.path

    def protocols(self) -> Mapping[str, Path]:
        return {}

    def items(self, protocol: ResolvedProtocol) -> list[Item]:
        return []

    def judge(self, protocol: ResolvedProtocol) -> Any:
        return RedJudge()

    def aggregate(
        self, protocol: ResolvedProtocol, items: Sequence[Item], verdicts: Sequence[Verdict]
    ) -> Aggregate:
        return Aggregate(metrics=[], results=[], scores=[])
