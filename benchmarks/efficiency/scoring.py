"""The score that stands beside a speed: another benchmark's, of the same weights under the same sampling."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from rich.console import Console

from benchmarks.efficiency.measurement import Measurement
from lumina_eval.evaluation import Question, Site, ask, evaluate
from lumina_eval.plugins import Model
from lumina_eval.runs import read_result
from lumina_eval.store import ImageStore

BATCH_SIZE: Final = 16


def question(limit: int | None) -> Question:
    """GenEval in the embedded world: all of its prompts, or this many of each task."""
    return ask("geneval", "tabletop", suite="standard", limit=limit)


def scored(
    found: Measurement, model: Model, asked: Question, out: Path, console: Console
) -> tuple[Measurement, Path]:
    """Return the measurement with the score of ``model``, and its run; that and images lie in ``out``."""
    site = Site(out, ImageStore(out / "images"), BATCH_SIZE, console)
    judge = asked.benchmark.judge(asked.protocol)
    run_dir = evaluate(asked, model, judge, site)
    result = read_result(run_dir)
    overall = result.metric("overall")
    name = f"{result.benchmark} {result.protocol} overall"
    worth = found.model_copy(
        update={
            "score": None if overall is None else overall.value,
            "score_of": f"{name} ({result.subset})" if result.subset else name,
            "score_ci": None if overall is None else overall.ci_prompts,
            "digest": result.digest,
        }
    )
    return worth, run_dir
