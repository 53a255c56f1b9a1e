"""Joint blocks through torch.compile: one block is compiled, and all of them are run by that code.

It is the same arithmetic in another order: latents move by rounding. The first batch waits for the compiler,
on a CPU up to half a minute, the first one of another length once more, for any length, and later ones do
not, so it pays for long runs only. Where compiling fails, for want of a
C++ compiler say, the blocks run as they are, and why is said once.
"""

import warnings

import torch
from torch import Tensor, nn

from lumina_model.next_dit import NextDiT
from lumina_model.rope import Rotation


class CompiledBlocks:
    """Call it in place of `NextDiT.run_blocks`."""

    def __init__(self) -> None:
        self.reason: str | None = None
        """Why the blocks are not compiled; None while they are."""
        from torch._dynamo.exc import TorchDynamoException  # seconds, for those who compile

        self._failure = TorchDynamoException
        self._run = torch.compile(_run)

    def __call__(
        self, model: NextDiT, tokens: Tensor, time: Tensor, rotation: Rotation, lengths: Tensor
    ) -> Tensor:
        """tokens (1, N, D), time (1, E), lengths (Q,) -> (1, N, D), as `NextDiT.run_blocks`."""
        state = tokens
        try:
            for layer in model.layers if self.reason is None else ():
                state = self._run(layer, state, time, rotation, lengths)
        except self._failure as error:
            self.reason = " ".join(str(error).split("\n\n")[0].split())  # what follows is advice on logging
            warnings.warn(f"the blocks run uncompiled, torch.compile failed: {self.reason}", stacklevel=2)
        return state if self.reason is None else model.run_blocks(tokens, time, rotation, lengths)


def _run(layer: nn.Module, tokens: Tensor, time: Tensor, rotation: Rotation, lengths: Tensor) -> Tensor:
    return layer(tokens, time, rotation, lengths)
