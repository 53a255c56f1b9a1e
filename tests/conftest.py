"""What all tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

# A busy machine is no failure.
settings.register_profile("project", deadline=None)
settings.load_profile("project")


@pytest.fixture(autouse=True)
def nothing_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep what the user has fetched out of the tests."""
    monkeypatch.setenv("LUMINA_EVAL_DATA", str(tmp_path / "nothing-fetched"))


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with the official fixtures: ``LUMINA_SHARED``, or ``../shared`` beside the repository."""
    folder = Path(os.environ.get("LUMINA_SHARED", Path(__file__).parents[2] / "shared"))
    if not folder.is_dir():
        pytest.skip("no official fixtures here; set LUMINA_SHARED to their folder")
    return folder
