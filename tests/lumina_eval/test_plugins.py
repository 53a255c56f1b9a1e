"""Plug-ins by name; and what may be written into a manifest."""

from __future__ import annotations

from pathlib import Path

import pytest

from lumina_eval import plugins
from lumina_eval.console import redacted
from lumina_eval.errors import UserError
from lumina_eval.plugins import available, injected, load
from lumina_eval.provenance import git_state, provenance


def test_listing_imports_nothing_and_a_broken_plug_in_is_told_when_asked_for() -> None:
    def broken() -> None:
        raise ImportError("no module named gone")

    found = plugins.Plugin("models", "gone", "gone:open", "some 1.0", broken)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plugins, "available", lambda group: {"gone": found})
        with pytest.raises(UserError, match=r"gone:open of some 1\.0.*no module named gone"):
            load("models", "gone")


def test_a_package_that_stands_before_ours_is_named() -> None:
    def broken() -> None:
        raise ModuleNotFoundError("No module named 'email.geneval'")

    found = plugins.Plugin("benchmarks", "geneval", "email.geneval:GenEval", "ours 1.0", broken)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plugins, "available", lambda group: {"geneval": found})
        with pytest.raises(UserError, match=r"package 'email' is .*email.__init__\.py"):
            load("benchmarks", "geneval")


def test_an_injected_plug_in_ends_with_its_block() -> None:
    with injected("judges", mine=1):
        assert load("judges", "mine") == 1
    assert "mine" not in available("judges")


def test_our_own_entry_points_are_there() -> None:
    assert {"folder", "diffusers"} <= set(available("models"))
    assert available("models")["folder"].distribution.startswith("lumina-eval ")


def test_secrets_do_not_reach_the_manifest() -> None:
    argv = [
        "run",
        "--tracking-uri",
        "https://me:hunter2@server/x",
        "--option",
        "hf_token=abc",
        "--limit",
        "3",
    ]
    text = " ".join(redacted(argv))
    assert "hunter2" not in text
    assert "abc" not in text
    assert "--limit 3" in text
    assert "server/x" in text


def test_provenance_names_source_packages_and_machine() -> None:
    found = provenance()
    assert found.packages["numpy"]
    assert found.hardware["cores"] >= 1
    sha, dirty = git_state(Path(__file__).parent)
    assert (found.git_sha is None) == (sha is None)
    assert sha is None or (len(sha) == 40 and dirty in (True, False))


def test_code_outside_of_a_repository_has_no_commit(tmp_path: Path) -> None:
    """Not even where it is called from one: that repository's commit says nothing of the code."""
    assert git_state(tmp_path) == (None, None)
