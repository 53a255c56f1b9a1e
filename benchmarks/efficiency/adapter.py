"""Efficiency as a benchmark of the harness: its protocol, its prompts, and a measurement as metrics.

Seconds are no verdicts: an image of the store was made at some other time, and looking at it tells nothing of
what it cost. So there is no judge, ``lumina-eval run`` says so, and runs come of ``lumina-eval efficiency``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn

from lumina_eval.errors import UserError
from lumina_eval.plugins import Judge
from lumina_eval.protocol import ResolvedProtocol
from lumina_eval.records import Aggregate, Item, Metric, Verdict

if TYPE_CHECKING:
    from benchmarks.efficiency.measurement import Measurement

_PROTOCOLS: Final = Path(__file__).parent / "protocols"
#: The score that stands beside the times, as a metric of the run.
SCORE: Final = "score"


class Efficiency:
    """Seconds, work, memory and energy of an image on this device."""

    name = "efficiency"
    default_protocol = "device"
    protocol_keys = ("prompts", "repeats", "most", "peak_seconds", "judge.name")

    def protocols(self) -> Mapping[str, Path]:
        """Return the pinned variants."""
        return {file.stem: file for file in sorted(_PROTOCOLS.glob("*.toml"))}

    def items(self, protocol: ResolvedProtocol) -> list[Item]:
        """Return the prompts that are timed: evenly from GenEval's of the embedded world, all tasks alike."""
        from lumina_eval.evaluation import ask

        items = ask("geneval", "tabletop").selection.items
        number = min(_whole("prompts", protocol), len(items))
        return [items[i * len(items) // number] for i in range(number)]

    def judge(self, protocol: ResolvedProtocol) -> Judge:
        """Raise UserError: what a stored image cost cannot be seen on it."""
        self._refuse()

    def aggregate(
        self, protocol: ResolvedProtocol, items: Sequence[Item], verdicts: Sequence[Verdict]
    ) -> Aggregate:
        """Raise UserError: there are no verdicts that times come out of."""
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise UserError(
            "expected a benchmark that judges images, found efficiency, which times how they are made; "
            "fix: lumina-eval efficiency measure --model MODEL"
        )


def numbers_of(protocol: ResolvedProtocol) -> tuple[int, int, float]:
    """Return repetitions, the largest batch and the seconds for the peak; UserError where they are none."""
    seconds = protocol.value("peak_seconds")
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 < seconds < 3600:
        raise UserError(f"expected peak_seconds above 0, found {seconds!r}; fix: e.g. --set peak_seconds=2")
    return _whole("repeats", protocol), _whole("most", protocol), float(seconds)


def metrics_of(found: Measurement, worth: Metric | None) -> list[Metric]:
    """Return a measurement as metrics, with what the images are ``worth``; what is unknown has no value.

    One image alone is of one prompt; the repetitions are its images. Times come without intervals.
    """
    alone = (1, found.repeats)
    together = (min(found.best_batch, found.n_prompts), found.best_batch * found.repeats)
    work, memory = found.work, found.peak_memory_bytes
    rows: list[tuple[str, float | None, str, tuple[int, int]]] = [
        ("seconds_per_image", found.seconds_median, "seconds", alone),
        ("seconds_per_image_p90", found.seconds_p90, "seconds", alone),
        ("images_per_second", found.images_per_second, "images/s", together),
        ("best_batch", found.best_batch, "images", together),
        ("nfe", None if work is None else work.nfe, "evaluations", alone),
        ("gflop", None if work is None else work.flops / 1e9, "GFLOP", (found.n_prompts, 0)),
        ("matmul_share", found.peak_fraction, "fraction", together),
        ("peak_memory", None if memory is None else memory / 2**30, "GiB", together),
        ("energy", found.joules_per_image, "joules", together),
    ]
    metrics = [
        Metric(name=name, value=value, n_prompts=prompts, n_images=images, unit=unit)
        for name, value, unit, (prompts, images) in rows
    ]
    worth = worth or Metric(name=SCORE, value=None, n_prompts=0, n_images=0)
    return [*metrics, worth.model_copy(update={"name": SCORE})]


def _whole(key: str, protocol: ResolvedProtocol) -> int:
    value = protocol.value(key)
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise UserError(f"expected a whole number from 1 for {key}, found {value!r}; fix: e.g. --set {key}=5")
    return value
