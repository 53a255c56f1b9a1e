"""Commands that are forks of one server: each sees what its own caller sees."""

from __future__ import annotations

import os
from pathlib import Path

import forked_commands
import pytest


@pytest.mark.skipif(os.name != "posix", reason="a server of forks is of POSIX systems")
@pytest.mark.parametrize("name", ["one", "another"])
def test_a_fork_has_the_environment_of_its_caller(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LUMINA_EVAL_DATA", str(tmp_path / name))
    log = tmp_path / "log"
    assert forked_commands.run(["data", "verify"], log) == 0
    assert str(tmp_path / name) in log.read_text()
