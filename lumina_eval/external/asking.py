"""What not every benchmark can answer: its prompts, which may be absent, and methods that it may lack."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from lumina_eval.errors import UserError
from lumina_eval.plugins import Benchmark
from lumina_eval.protocol import ResolvedProtocol
from lumina_eval.records import Item

#: What ``judge`` can be given, by the method of a benchmark that takes it.
_GIVEN: Final = {
    "read_images": "--images DIR",
    "read_verdicts": "--verdicts FILE",
    "read_features": "--features FILE.npz",
}


def offered(bench: Benchmark, method: str, option: str) -> Callable[..., Any]:
    """Return a method that a benchmark may offer; raise UserError, naming the option, if it does not."""
    found: Callable[..., Any] | None = getattr(bench, method, None)
    if found is None:
        others = [given for other, given in _GIVEN.items() if hasattr(bench, other)]
        instead = f"give {' or '.join(others)}" if method in _GIVEN and others else "leave the option out"
        raise UserError(f"expected a benchmark that takes {option}, found {bench.name}; fix: {instead}")
    return found


def prompts_at_hand(
    bench: Benchmark, protocol: ResolvedProtocol, needed: bool = False
) -> Sequence[Item] | None:
    """Return every prompt of the protocol, None if they are not at hand.

    Raises UserError, with the way to get them, if they are ``needed``.
    """
    try:
        return bench.items(protocol)
    except UserError:
        if needed:
            raise
        return None
