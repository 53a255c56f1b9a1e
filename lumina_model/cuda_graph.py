"""One evaluation of a velocity as one CUDA graph: recorded at the first step, replayed at all others.

A small model keeps a GPU waiting for its host, which starts some hundreds of kernels per evaluation one by
one; a graph starts them all at once. What is recorded is one batch's: its texts and positions are part of it.
The arithmetic is the same, so are the images. Where recording fails, steps go on as they were, and why is
said once.
"""

import warnings
from collections.abc import Callable

import torch
from torch import Tensor

from lumina_model.solvers import Velocity

Recorder = Callable[[Velocity, Tensor, Tensor], Velocity]
"""(velocity, example x, example t on x's device) -> the same, recorded. Its result may be overwritten by the
next call, and x and t are to keep their shapes."""


class Graphs:
    """Records velocities; call it with one to get the recorded one."""

    def __init__(self, record: Recorder | None = None) -> None:
        """Begin; ``record`` is :func:`record_cuda_graph` if not given."""
        self.reason: str | None = None
        """Why nothing is recorded any more; None while it is."""
        self._record = record or record_cuda_graph

    def __call__(self, velocity: Velocity) -> Velocity:
        """The same function of (x, t), for one shape of x and one batch; the first call does not replay."""
        recorded: Velocity | None = None

        def call(x: Tensor, t: Tensor) -> Tensor:
            nonlocal recorded
            time = t.to(x.device)
            if recorded is not None:
                return recorded(x, time).clone()  # solvers keep a velocity beyond the next one
            found = velocity(x, time)  # as is: libraries prepare themselves, blocks are compiled
            if self.reason is None:
                recorded = self._recorded(velocity, x, time)
            return found

        return call

    def _recorded(self, velocity: Velocity, x: Tensor, time: Tensor) -> Velocity | None:
        try:
            return self._record(velocity, x, time)
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            self.reason = " ".join(str(error).split("\n\n")[0].split())
        warnings.warn(
            f"steps are not replayed from a CUDA graph, recording failed: {self.reason}", stacklevel=2
        )
        return None


def record_cuda_graph(velocity: Velocity, x: Tensor, t: Tensor) -> Velocity:
    """Record an evaluation at the shape of x, on a GPU; see `Recorder`."""
    own_x, own_t = x.clone(), t.clone()
    graph = torch.cuda.CUDAGraph()
    # Of this thread alone: another one may be decoding the batch before, which allocates.
    with torch.cuda.graph(graph, capture_error_mode="thread_local"):
        out = velocity(own_x, own_t)

    def replay(x: Tensor, t: Tensor) -> Tensor:
        own_x.copy_(x)
        own_t.copy_(t)
        graph.replay()
        return out

    return replay
