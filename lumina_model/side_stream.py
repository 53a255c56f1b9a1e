"""Work that goes on beside what the device is given next, e.g. decoding while the next batch is drawn."""

from collections.abc import Callable
from typing import TypeVar

import torch

T = TypeVar("T")


class SideStream:
    """A CUDA stream of its own; on any other device nothing goes on beside anything.

    A CPU has no time to spare: there what is to go on beside is done at once.
    """

    def __init__(self, device: torch.device) -> None:
        self._stream = torch.cuda.Stream(device) if device.type == "cuda" else None

    def beside(self, work: Callable[[], T]) -> Callable[[], T]:
        """Return the work as a call for another thread, that waits for what the device was given so far.

        Args:
            work: ends by reading from the device, so that all it used is free again when it returns.
        """
        stream = self._stream
        if stream is None:
            done = work()
            return lambda: done
        given = torch.cuda.current_stream(stream.device).record_event()

        def run() -> T:
            with torch.cuda.stream(stream):
                stream.wait_event(given)
                return work()

        return run
