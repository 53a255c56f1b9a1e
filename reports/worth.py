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
    """Return the runs, each measurement with what its score is of; without a score of its own it gets the
    ``overall`` of a run of the same images.

    The first one given counts, a whole protocol before a subset; which it was, is said among the warnings.
    """
    scored = [run for run in runs if run.manifest.judge_kind != CLOCK and _overall(run) is not None]
    scored.sort(key=lambda run: run.is_subset)
    return tuple(_with_score(run, scored) if run.manifest.judge_kind == CLOCK else run for run in runs)


def _with_score(run: RunView, scored: Sequence[RunView]) -> RunView:
    own = run.result.metric(SCORE)
    if own is not None and own.value is not None:
        return dataclasses.replace(run, score_of=run.results[0].get("score_of"))
    match = next((one for one in scored if _draws(one) == _draws(run)), None)
    if own is None or match is None:
        return run
    found = _overall(match)
    assert found is not None
    worth = found.model_copy(update={"name": SCORE})
    metrics = [worth if one.name == SCORE else one for one in run.result.metrics]
    score_of = _in_words(match)
    changes = {
        "metrics": metrics,
        "warnings": [f"the score is {score_of}"],
        # The score's interval is the only one of a measurement.
        "intervals_version": match.result.intervals_version,
    }
    return dataclasses.replace(run, result=run.result.model_copy(update=changes), score_of=score_of)


def _in_words(scored: RunView) -> str:
    """Name a run's score as measurements do that bring their own: benchmark, protocol, how much of it."""
    found = scored.result
    limits = [*([found.subset] if found.subset else []), *(f"changed: {one}" for one in found.changed)]
    return f"{found.benchmark} {found.protocol} overall" + (f" ({'; '.join(limits)})" if limits else "")


def _draws(run: RunView) -> tuple[object, ...]:
    """What the pixels hang on, and what a score is of."""
    made = run.manifest
    return made.digest, made.sampling, made.sampler_version, made.device


def _overall(run: RunView) -> Metric | None:
    found = run.result.metric("overall")
    return found if found is not None and found.value is not None and run.result.rewriting is None else None
