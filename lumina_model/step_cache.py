"""Step cache: skip the joint blocks at a step whose input hardly differs from the last (TeaCache, Lumina2).

The signal is the modulated input of the first joint block. Its relative change since the last evaluation goes
through a polynomial that was fitted to the change of the *output*; the results are added up, and while the
sum stays under a threshold the blocks are skipped and what they added last time is added again. The first and
the last evaluation are always computed. (ali-vilab/TeaCache, TeaCache4Lumina2.)

Two things differ from that script. It keeps one memory per sequence length, so that two branches of one
length disturb each other and CFG-Trunc stops its counter; here each row of the batch, that is each sample's
branch, has a memory and a decision of its own, and an image does not depend on its neighbours. And padding of
the text does not count in the change.
"""

import dataclasses
from typing import cast

import numpy as np
import torch
from torch import Tensor

from lumina_model.next_dit import Block, NextDiT
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
class _Row:
    """What is remembered of one branch of one sample."""

    signal: Tensor  # (N, D), of the last evaluation
    added: Tensor  # (N, D), what the blocks added when they were computed last
    change: float = 0.0  # summed up since then


class StepCache:
    """The memory of one generation; call it in place of `NextDiT.run_blocks`.

    A call with fewer rows than before touches the first ones: conditional branches come first in a batch.
    """

    def __init__(self, threshold: float, evaluations: int, coefficients: str = "v1"):
        """Begin a generation.

        Args:
            threshold: of the summed change; 0 computes every step. Published: 0.2 to 0.5.
            evaluations: of the velocity in this generation; the last one is computed.
            coefficients: name of a set in `COEFFICIENTS`. v1 is the better at high thresholds, v2 at low.
        """
        self.threshold = threshold
        self.evaluations = evaluations
        self.coefficients = COEFFICIENTS[coefficients]
        self.done = 0
        self.computed = 0
        """Rows that went through the joint blocks so far."""
        self._rows: list[_Row] = []

    def __call__(
        self, model: NextDiT, tokens: Tensor, time: Tensor, rotation: Rotation, key_mask: Tensor | None
    ) -> Tensor:
        """tokens (B, N, D), time (B, E), key_mask (B, N) or None -> (B, N, D), as `NextDiT.run_blocks`."""
        self.done += 1
        if key_mask is None:
            key_mask = tokens.new_ones(tokens.shape[:2], dtype=torch.bool)
        modulation = cast(Block, model.layers[0]).norm1
        signal = modulation.norm(tokens) * modulation(time)[0]  # (B, N, D)
        skipped = self._skipped(signal, key_mask)
        fresh = [row for row in range(len(tokens)) if row not in skipped]
        self.computed += len(fresh)
        out = torch.empty_like(tokens)
        if fresh:
            index = torch.tensor(fresh, device=tokens.device)
            cos, sin = (part if len(part) == 1 else part[index] for part in rotation)
            out[index] = model.run_blocks(tokens[index], time[index], (cos, sin), key_mask[index])
        for row in skipped:
            out[row] = tokens[row] + self._rows[row].added
        for row in fresh:
            new = _Row(signal[row], out[row] - tokens[row])
            self._rows[row : row + 1] = [new]
        for row in skipped:
            self._rows[row].signal = signal[row]
        return out

    def _skipped(self, signal: Tensor, key_mask: Tensor) -> set[int]:
        """Add up each row's change and return the rows that are to be skipped."""
        known = min(len(self._rows), len(signal))
        if not known or self.done >= self.evaluations or self.threshold <= 0:
            return set()
        before = torch.stack([row.signal for row in self._rows[:known]]).float()  # (B, N, D)
        valid = key_mask[:known, :, None]  # (B, N, 1)
        moved = ((signal[:known].float() - before).abs() * valid).sum(dim=(1, 2))  # (B,)
        size = (before.abs() * valid).sum(dim=(1, 2))  # (B,)
        for row, relative in zip(self._rows, (moved / size).tolist(), strict=False):
            row.change += float(np.polyval(self.coefficients, relative))
        return {i for i, row in enumerate(self._rows[:known]) if row.change < self.threshold}
