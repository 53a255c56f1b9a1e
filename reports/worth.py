"""What a measured speed is worth: the score of a scored run of the same weights and sampling, beside it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Final

from lumina_eval.records import Metric
from lumina_eval.timed import CLOCK
from reports.loading import RunView

#: The metric of a measurement that holds a score.
SCORE: Final = "score"


def with_scores(runs: Sequence[RunView]) -> tuple[RunView, ...]:
    """Return the runs, each measurement without a score with the ``overall`` of a run of the same images.

    The first one given counts, a whole protocol before a subset; which it was, is said among the warnings.
    """
    scored = [run for run in runs if run.manifest.judge_kind != CLOCK and _overall(run) is not None]
    scored.sort(key=lambda run: run.is_subset)
    return tuple(_with_score(run, scored) if run.manifest.judge_kind == CLOCK else run for run in runs)


def _with_score(run: RunView, scored: Sequence[RunView]) -> RunView:
    own = run.result.metric(SCORE)
    match = next((one for one in scored if _draws(one) == _draws(run)), None)
    if own is None or own.value is not None or match is None:
        return run
    found = _overall(match)
    assert found is not None
    worth = found.model_copy(update={"name": SCORE})
    metrics = [worth if one.name == SCORE else one for one in run.result.metrics]
    subset = f" ({match.result.subset})" if match.result.subset else ""
    said = f"the score is {match.result.benchmark} {match.result.protocol} overall{subset}"
    return dataclasses.replace(
        run, result=run.result.model_copy(update={"metrics": metrics, "warnings": [said]})
    )


def _draws(run: RunView) -> tuple[object, ...]:
    """What the pixels hang on, and what a score is of."""
    made = run.manifest
    return made.digest, made.sampling, made.sampler_version, made.device


def _overall(run: RunView) -> Metric | None:
    found = run.result.metric("overall")
    return found if found is not None and found.value is not None and run.result.rewriting is None else None
