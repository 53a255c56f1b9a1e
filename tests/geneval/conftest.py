from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from benchmarks.geneval.adapter import GenEval
from lumina_eval.protocol import ResolvedProtocol, resolve


@pytest.fixture(scope="session")
def protocol() -> Callable[..., ResolvedProtocol]:
    def make(name: str, changes: Sequence[str] = ()) -> ResolvedProtocol:
        return resolve(name, GenEval().protocols(), changes, GenEval.protocol_keys)

    return make
