"""One evaluation of a velocity as one CUDA graph: recorded once a batch, replayed at all later steps.

A small model keeps a GPU waiting for its host, which starts some hundreds of kernels per evaluation one by
one; a graph starts them all at once. What is recorded is one batch's: its texts and positions are part of it.
The arithmetic is the same, so are the images. To record, the host waits for the device, so what is decoded
beside is waited for, too. Where recording fails, steps go on as they were, and why is said once.
"""

import warnings
from collections.abc import Callable
from typing import Any, Final

import torch
from torch import Tensor

from lumina_model.solvers import Velocity

#: Of the first replay from what it stands for, relative to its size; kernels may add up in another order.
MOST_APART: Final = 1e-2

Recorder = Callable[[Velocity, Tensor, Tensor], Velocity]
"""(velocity, example x, example t) -> the same, recorded, for x of this shape. Its result may be overwritten
by the next call; t may lie on the CPU."""


class Graphs:
    """Records velocities; call it with one to get the recorded one."""

    def __init__(self, record: Recorder | None = None) -> None:
        """Begin; ``record`` makes CUDA graphs if not given."""
        self.reason: str | None = None
        """Why nothing is recorded any more; None while it is."""
        self._record = record or CudaRecorder()
        self._tried = False

    def __call__(self, velocity: Velocity) -> Velocity:
        """The same function of (x, t), for one shape of x and one batch; replayed from the second call on.

        The first one prepares libraries and compiles blocks; many a branch is called no second time.
        """
        calls = 0
        recorded: Velocity | None = None

        def call(x: Tensor, t: Tensor) -> Tensor:
            nonlocal calls, recorded
            calls += 1
            if calls == 2 and self.reason is None:
                recorded = self._recorded(velocity, x, t)
            if recorded is None:
                return velocity(x, t)
            return recorded(x, t).clone()  # solvers keep a velocity beyond the next one

        return call

    def _recorded(self, velocity: Velocity, x: Tensor, t: Tensor) -> Velocity | None:
        """Record; the first one of all is tried against what it stands for."""
        try:
            found = self._record(velocity, x, t)
            if not self._tried:
                _check(found, velocity, x, t)
                self._tried = True
            return found
        except RuntimeError as error:
            cause = _first(error)
            if isinstance(cause, torch.OutOfMemoryError):
                raise cause from None
            self.reason = " ".join(str(cause).split("\n\n")[0].split())
        warnings.warn(
            f"steps are not replayed from a CUDA graph, recording failed: {self.reason}", stacklevel=2
        )
        return None


class CudaRecorder:
    """Records CUDA graphs, all of them in one pool of memory: no two are ever replayed at once."""

    def __init__(self) -> None:
        self._pool: Any = None  # torch's handle of it

    def __call__(self, velocity: Velocity, x: Tensor, t: Tensor) -> Velocity:
        """Record an evaluation on the device of x; see `Recorder`."""
        own_x, own_t = x.clone(), torch.full((), float(t), device=x.device)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.device(x.device):  # whose kernels are recorded is that of the stream
            stream = torch.cuda.Stream(x.device)
            self._pool = self._pool or torch.cuda.graph_pool_handle()
            # Of this thread alone: another one may be decoding the batch before, which allocates.
            with torch.cuda.graph(graph, self._pool, stream, capture_error_mode="thread_local"):
                out = velocity(own_x, own_t)

        def replay(x: Tensor, t: Tensor) -> Tensor:
            own_x.copy_(x)
            own_t.fill_(float(t))  # no copy, for which the host would wait
            graph.replay()
            return out

        return replay


def _check(recorded: Velocity, velocity: Velocity, x: Tensor, t: Tensor) -> None:
    """Raise RuntimeError if a recording does not compute what it stands for, as an empty one does."""
    expected = velocity(x, t).float()
    recorded(x, t).zero_()  # what recording left there would pass for a result
    apart = (recorded(x, t).float() - expected).norm() / expected.norm().clamp_min(1e-30)
    if not float(apart) <= MOST_APART:
        raise RuntimeError(f"a replay was {float(apart):.1e} apart from what was recorded")


def _first(error: BaseException) -> BaseException:
    """Return the error that came first: ending a recording that failed raises one of its own."""
    while error.__context__ is not None:
        error = error.__context__
    return error
