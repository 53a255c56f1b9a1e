"""What all tests share."""

from __future__ import annotations

import gc
import os
from pathlib import Path

import pytest
from hypothesis import settings

# A busy machine is no failure.
settings.register_profile("project", deadline=None)
settings.load_profile("project")


def pytest_collection_finish() -> None:
    """Keep the garbage collector off what was imported: a full collection would walk all of it for a second.

    Libraries ask for full collections (statsmodels does for every list of p-values).
    """
    gc.collect()
    gc.freeze()


def pytest_unconfigure() -> None:
    """Let the interpreter clear up as it always does."""
    gc.unfreeze()


@pytest.fixture(autouse=True)
def nothing_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep what the user has fetched out of the tests."""
    monkeypatch.setenv("LUMINA_EVAL_DATA", str(tmp_path / "nothing-fetched"))


@pytest.fixture(autouse=True)
def without_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Thousands of tiny files are written, and no test cuts the power: SIGKILL loses nothing without it.

    What happens when syncing fails is tested by tests that set it themselves.
    """
    monkeypatch.setattr("os.fsync", lambda handle: None)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with the official fixtures: ``LUMINA_SHARED``, or ``../shared`` beside the repository."""
    folder = Path(os.environ.get("LUMINA_SHARED", Path(__file__).parents[2] / "shared"))
    if not folder.is_dir():
        pytest.skip("no official fixtures here; set LUMINA_SHARED to their folder")
    return folder
