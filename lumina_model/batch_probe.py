"""Batches measured for the search: two evaluations of the network each, carried on to all of the sampling.

Text encoding and decoding are measured as they are. All evaluations count alike, so a sampling that computes
less in some (CFG-Trunc, a guidance cache, a step cache) is faster than is told here.
"""

import itertools
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch

from lumina_model.batch_search import MOST, Search, Trial, search
from lumina_model.device_memory import Memory, memory_of
from lumina_model.pipeline import Pipeline
from lumina_model.sampling import Sampling

EVALUATIONS = 2
"""Of the network in a trial. The first one warms up."""

REPEATS, ENOUGH = 3, 0.5
"""Times that a batch is drawn, the fastest counts; no further time after so many seconds."""


@dataclass(frozen=True)
class Probe:
    """Draws batches of the given prompts, as long as any of theirs, and times them."""

    pipeline: Pipeline
    sampling: Sampling
    prompts: Sequence[str]
    """The longest first."""

    def seconds(self, size: int) -> float:
        """Return what a batch of the whole sampling takes, from one of few evaluations."""
        prompts = list(itertools.islice(itertools.cycle(self.prompts), size))
        moments = [time.perf_counter()]

        def tick(done: int, total: int) -> None:
            if self.pipeline.device.type != "cpu":
                torch.accelerator.synchronize(self.pipeline.device)
            moments.append(time.perf_counter())

        self.pipeline.generate(prompts, list(range(size)), self._few(), tick)
        decoded = time.perf_counter()
        each = moments[-1] - moments[-2]
        encoding = max(0.0, moments[1] - moments[0] - each)
        return encoding + self.sampling.evaluations() * each + decoded - moments[-1]

    def _few(self) -> Sampling:
        """The sampling with few evaluations, each of them on all branches."""
        return replace(
            self.sampling, solver="euler", grid="auto", steps=EVALUATIONS, guidance_start=0.0,
            guidance_every=1, truncation=None, truncation_ratio=None, cache=None,
        )  # fmt: skip


def best_batch(
    pipeline: Pipeline, sampling: Sampling, prompts: Sequence[str],
    memory: Callable[[str], Memory] = memory_of, most: int = MOST,
) -> Search:  # fmt: skip
    """Find how many images to draw at once.

    Args:
        pipeline: with all parts, not in low memory.
        sampling: complete.
        prompts: one for each image that will be drawn, at least one; the longest are tried.
        memory: reads the memory of a device.
        most: images; no more are tried than will be drawn.
    """
    # What there is to warn of (a text that is cut) is told when the images are made.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        probe = Probe(pipeline, sampling, longest_first(pipeline, sampling, prompts))
        if _drawn(pipeline, lambda: probe.seconds(1)) is None:  # warms up
            return search(lambda size: None, None)
        reading = memory(str(pipeline.device))

        def measure(size: int) -> Trial | None:
            reading.reset()
            begun, fastest = time.perf_counter(), float("inf")
            for _ in range(REPEATS):
                found = _drawn(pipeline, lambda: probe.seconds(size))
                if found is None:
                    return None
                fastest = min(fastest, found)
                if time.perf_counter() - begun > ENOUGH:
                    break
            return Trial(size, size / fastest, reading.peak(), time.perf_counter() - begun)

        return search(measure, reading.free, min(most, len(prompts)))


def longest_first(pipeline: Pipeline, sampling: Sampling, prompts: Sequence[str]) -> list[str]:
    """Return the prompts by the tokens of their complete texts, the longest first, each once."""
    unique = list(dict.fromkeys(prompts))
    assert pipeline.text_encoder is not None
    texts = [sampling.final_text(prompt) for prompt in unique]
    lengths = pipeline.text_encoder.tokenize(texts, sampling.text_tokens)[1].sum(dim=1).tolist()
    return [unique[place] for place in sorted(range(len(unique)), key=lambda place: -lengths[place])]


def _drawn(pipeline: Pipeline, draw: Callable[[], float]) -> float | None:
    """Return what ``draw`` does; None if memory does not suffice."""
    try:
        return draw()
    except (torch.OutOfMemoryError, MemoryError):
        pass
    except RuntimeError as error:  # how torch says it of a CPU, and of other devices
        if "can't allocate memory" not in str(error) and "out of memory" not in str(error):
            raise
    if pipeline.device.type == "cuda":  # outside of the handler, which would hold the batch's tensors
        torch.cuda.empty_cache()
    return None
