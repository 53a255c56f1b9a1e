"""A measurement made up, as a run folder; and a judged run of the same weights under the same sampling."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from benchmarks.efficiency.adapter import Efficiency
from benchmarks.efficiency.measurement import Measurement
from benchmarks.efficiency.recording import Origin, record
from lumina_eval.evaluation import find_protocol
from lumina_eval.records import Aggregate, Coverage, Metric
from lumina_eval.runs import RunFolder, read_manifest, read_result

MEASURED: dict[str, Any] = {
    "title": "m", "sampling": {"steps": 1}, "environment": {"threads": 1}, "device": "a machine",
    "n_prompts": 8, "repeats": 3, "seconds": [0.5, 0.4, 0.6], "seconds_median": 0.5, "seconds_p90": 0.58,
    "best_batch": 4, "images_per_second": 5.0, "batches": {"1": 2.0, "2": 3.0, "4": 5.0}, "work": None,
    "matmul_peak": 1e9, "peak_fraction": None, "peak_memory_bytes": None, "joules_per_image": None,
}  # fmt: skip


class Model:
    name, checkpoint, stage, step, sampler_version, device = "m", "none", "low_res", 7, 1, "cpu"

    def components(self) -> dict[str, str]:
        return {"weights": "0" * 64}

    def sampling(self) -> dict[str, Any]:
        return {"steps": 1}

    def final_text(self, prompt: str) -> str:
        return prompt

    def generate(self, prompts: Any, seeds: Any) -> list[Image.Image]:
        raise AssertionError("records draw nothing")


@pytest.fixture
def measured(tmp_path: Path) -> Callable[..., Path]:
    def make(scored: Path | None = None, **changes: Any) -> Path:
        protocol = find_protocol(Efficiency(), "device", ["prompts=2"])
        origin = Origin(
            protocol,
            Efficiency().items(protocol),
            "2026-01-01T00:00:00+00:00",
            ["lumina-eval", "efficiency"],
            [],
        )
        return record(Measurement(**{**MEASURED, **changes}), Model(), origin, tmp_path, scored)

    return make


@pytest.fixture
def scored_run(measured: Callable[..., Path], tmp_path: Path) -> Path:
    """A run of another benchmark by the same weights: the records are those of the measurement, judged."""
    folder = tmp_path / "runs" / "scored"
    made = read_manifest(measured())
    other = made.model_copy(
        update={"run_id": "scored", "run_digest": "1" * 64, "benchmark": "geneval", "protocol": "tabletop",
                "judge": "tabletop@000000000000", "judge_kind": "detect", "changed": []}
    )  # fmt: skip
    overall = Metric(name="overall", value=0.625, ci_prompts=(0.5, 0.75), n_prompts=2, n_images=2)
    result = read_result(measured()).model_copy(
        update={"benchmark": "geneval", "protocol": "tabletop", "metrics": [overall],
                "warnings": [], "changed": [], "run_dir": None,
                "coverage": Coverage(expected=2, generated=2, judged=2)}
    )  # fmt: skip
    folder.mkdir(parents=True)
    run = RunFolder(folder)
    run.begin(other, [], [])
    (folder / "verdicts.jsonl").touch()
    run.finish(result, Aggregate(metrics=[overall], results=[], scores=[]), [])
    return folder
