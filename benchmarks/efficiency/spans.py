"""Where the time of a process goes: calls that are watched, each second counted once, under the innermost."""

from __future__ import annotations

import functools
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any


class Spans:
    """Seconds by name. Of calls within calls the outer one counts what the inner ones leave.

    Calls of the thread that made this are ``seconds``, those of other threads, which go on beside it and so
    cost it nothing by themselves, are ``beside``.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self.beside: defaultdict[str, float] = defaultdict(float)
        self._clock = clock
        self._own = threading.get_ident()
        self._inner: list[float] = []

    def watch(self, owner: Any, name: str, under: str) -> None:
        """Put a watch around the function ``name`` of a class or module, for the rest of the process."""
        called = getattr(owner, name)

        @functools.wraps(called)
        def watched(*args: Any, **kwargs: Any) -> Any:
            if threading.get_ident() != self._own:
                begun = self._clock()
                try:
                    return called(*args, **kwargs)
                finally:
                    self.beside[under] += self._clock() - begun
            begun = self._clock()
            self._inner.append(0.0)
            try:
                return called(*args, **kwargs)
            finally:
                spent = self._clock() - begun
                self.seconds[under] += spent - self._inner.pop()
                if self._inner:
                    self._inner[-1] += spent

        # A class method is bound already; a plain function on a class is to be bound anew.
        bound = getattr(called, "__self__", None) is owner
        setattr(owner, name, staticmethod(watched) if bound else watched)
