"""What a measured speed is worth: the score of a scored run of the same weights and sampling, beside it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Final

from lumina_eval.records import Metric
from lumina_eval.timed import holds_times
from reports.loading import RunView

#: The metric of a measurement that holds a score.
SCORE: Final = "score"


def with_scores(runs: Sequence[RunView]) -> tuple[RunView, ...]:
    """Return the runs, each measurement of time with a score beside it where there is one.

    A measurement that was scored when it was made keeps that score. Any other gets the ``overall`` of the
    first run of the same pixels, a whole protocol before a subset, and a warning that says which it was.
    """
    scored = [run for run in runs if not holds_times(run.manifest) and _overall(run) is not None]
    scored.sort(key=lambda run: run.is_subset)
    return tuple(_with_score(run, scored) if holds_times(run.manifest) else run for run in runs)


def _with_score(run: RunView, scored: Sequence[RunView]) -> RunView:
    own = run.result.metric(SCORE)
    if own is not None and own.value is not None:
        return dataclasses.replace(run, score_of=next(iter(run.results), {}).get("score_of"))
    match = next((one for one in scored if _pixels(one) == _pixels(run)), None)
    found = None if match is None else _overall(match)
    if own is None or match is None or found is None:
        return run
    worth = found.model_copy(update={"name": SCORE})
    score_of = _in_words(match)
    changes = {
        "metrics": [worth if one.name == SCORE else one for one in run.result.metrics],
        "warnings": [f"the score is {score_of}"],  # in place of the warning that there is none
        # The score's interval is the only one of a measurement.
        "intervals_version": match.result.intervals_version,
    }
    return dataclasses.replace(run, result=run.result.model_copy(update=changes), score_of=score_of)


def _in_words(scored: RunView) -> str:
    """Name a run's score as measurements do that bring their own: benchmark, protocol, how much of it."""
    found = scored.result
    limits = [*([found.subset] if found.subset else []), *(f"changed: {one}" for one in found.changed)]
    return f"{found.benchmark} {found.protocol} overall" + (f" ({'; '.join(limits)})" if limits else "")


def _pixels(run: RunView) -> tuple[object, ...]:
    """Return what all images of a run hang on, beside prompt and seed."""
    made = run.manifest
    return made.digest, made.sampling, made.sampler_version, made.device


def _overall(run: RunView) -> Metric | None:
    """Return a run's overall score; None where prompts were rewritten: those are other images."""
    found = run.result.metric("overall")
    return found if found is not None and found.value is not None and run.result.rewriting is None else None
