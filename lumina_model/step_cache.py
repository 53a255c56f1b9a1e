"""Step cache: skip the joint blocks at a step whose input hardly differs from the last (TeaCache, Lumina2).

The signal is the modulated input of the first joint block. Its relative change since the last evaluation goes
through a polynomial that was fitted to the change of the *output*; the results are added up, and while the
sum stays under a threshold the blocks are skipped and what they added last time is added again. The first and
the last evaluation are always computed. (ali-vilab/TeaCache, TeaCache4Lumina2.)

One thing differs from that script. It keeps one memory per sequence length, so that two branches of one
length disturb each other and CFG-Trunc stops its counter; here each sequence of the row, that is each
sample's branch, has a memory and a decision of its own, and an image does not depend on its neighbours.
"""

import dataclasses
from collections.abc import Collection, Sequence
from typing import cast

import numpy as np
import torch
from torch import Tensor

from lumina_model.next_dit import Block, Blocks, NextDiT
from lumina_model.rope import Rotation

COEFFICIENTS: dict[str, tuple[float, ...]] = {  # of rel^4 … rel^0, as published
    "v1": (393.76566581, -603.50993606, 209.10239044, -23.00726601, 0.86377344),
    "v2": (
        225.7042019806413,
        -608.8453716535591,
        304.1869942338369,
        124.21267720116742,
        -1.4089066892956552,
    ),
}


@dataclasses.dataclass
class _Memory:
    """What is remembered of one branch of one sample."""

    signal: Tensor  # (n, D), of the last evaluation
    added: Tensor  # (n, D), what the blocks added when they were computed last
    change: float = 0.0  # summed up since then


class StepCache:
    """The memory of one generation; call it in place of `NextDiT.run_blocks`.

    A call with fewer sequences than before touches the first ones: conditional branches come first in a row.
    """

    def __init__(
        self, threshold: float, evaluations: int, coefficients: str = "v1", blocks: Blocks | None = None,
        skips: Collection[int] | None = None,
    ):  # fmt: skip
        """Begin a generation.

        Args:
            threshold: of the summed change; 0 computes every step. Published: 0.2 to 0.5.
            evaluations: of the velocity in this generation; the last one is computed.
            coefficients: name of a set in `COEFFICIENTS`. v1 is the better at high thresholds, v2 at low.
            blocks: what computes in place of `NextDiT.run_blocks`, e.g. compiled ones.
            skips: evaluations that are skipped, counted from 0, whatever has changed; in place of the
                threshold. To time a cache where the images, and so the changes, mean nothing.
        """
        self.threshold = threshold
        self.evaluations = evaluations
        self.coefficients = COEFFICIENTS[coefficients]
        self.blocks = blocks or NextDiT.run_blocks
        self.skips = skips
        self.done = 0
        self.computed = 0
        """Sequences that went through the joint blocks so far."""
        self._memories: list[_Memory] = []

    def __call__(
        self, model: NextDiT, tokens: Tensor, time: Tensor, rotation: Rotation, lengths: Tensor
    ) -> Tensor:
        """tokens (1, N, D), time (1, E), lengths (Q,) -> (1, N, D), as `NextDiT.run_blocks`."""
        self.done += 1
        modulation = cast(Block, model.layers[0]).norm1
        each = lengths.tolist()
        signals = (modulation.norm(tokens) * modulation(time)[0])[0].split(each)  # Q of (n, D)
        skipped = self._skipped(signals)
        fresh = [i for i in range(len(each)) if i not in skipped]
        self.computed += len(fresh)
        before, after = tokens[0].split(each), [*tokens[0].split(each)]
        if skipped and fresh:
            places = torch.arange(sum(each)).split(each)
            index = torch.cat([places[i] for i in fresh]).to(tokens.device)
            tokens, rotation, lengths = tokens[:, index], rotation[:, index], lengths[fresh]
        if fresh:
            out = self.blocks(model, tokens, time, rotation, lengths)
            for i, found in zip(fresh, out[0].split([each[i] for i in fresh]), strict=True):
                after[i] = found
                self._memories[i : i + 1] = [_Memory(signals[i], found - before[i])]
        for i in skipped:
            after[i] = before[i] + self._memories[i].added
            self._memories[i].signal = signals[i]
        return torch.cat(after)[None]

    def _skipped(self, signals: Sequence[Tensor]) -> set[int]:
        """Add up each sequence's change and return those that are to be skipped."""
        known = list(zip(self._memories, signals, strict=False))
        if not known or self.done >= self.evaluations:
            return set()
        if self.skips is not None:
            return set(range(len(known))) if self.done - 1 in self.skips else set()
        if self.threshold <= 0:
            return set()
        changes = torch.stack([_relative_change(memory.signal, signal) for memory, signal in known])
        for (memory, _), relative in zip(known, changes.tolist(), strict=True):  # the host waits once
            memory.change += float(np.polyval(self.coefficients, relative))
        return {i for i, (memory, _) in enumerate(known) if memory.change < self.threshold}


def _relative_change(before: Tensor, now: Tensor) -> Tensor:
    """(n, D) each -> a scalar."""
    return (now.float() - before.float()).abs().sum() / before.float().abs().sum()
