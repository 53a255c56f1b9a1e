"""Declarations of what comes from elsewhere, and where it is looked for."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

import pytest
from fake_world import Declaring

from lumina_eval.assets.catalogue import (
    absent,
    all_assets,
    chosen_assets,
    data_folder,
    fetched,
    locate,
    read_assets,
)
from lumina_eval.assets.pins import File, Pin, git_blob_of
from lumina_eval.errors import UserError
from lumina_eval.plugins import injected

GOOD = """\
[words]
what = "a file of words"
licence = "MIT"
url = "https://example.org/{revision}/{name}"
revision = "abc"
files = [{ name = "a b+c.txt", size = 3 }, { name = "sub/other.txt" }]
"""


def declare(folder: Path, text: str) -> Path:
    path = folder / "assets.toml"
    path.write_text(text)
    return path


def test_addresses_hold_revision_and_quoted_name(tmp_path: Path) -> None:
    asset = read_assets(declare(tmp_path, GOOD))["words"]
    first, second = asset.files
    assert asset.address(first) == "https://example.org/abc/a%20b%2Bc.txt"
    assert asset.address(second) == "https://example.org/abc/sub/other.txt"
    assert asset.size is None


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("what =", "waht ="), "words.waht"),
        (('"abc"', "3"), "words.revision"),
        (("a b+c.txt", "../out.txt"), "relative path"),
        (("a b+c.txt", "/out.txt"), "relative path"),
        (("a b+c.txt", "lock.json"), "relative path"),
        (("a b+c.txt", "sub/other.txt"), "each file name once"),
        (("size = 3", "size = -1"), "words.files.0.size"),
        (("size = 3", 'sha256 = "12"'), "words.files.0.sha256"),
        (("https://", "http://"), "https://"),
        (("{revision}", "main"), "revision"),
        (("{name}", "x"), "{name}"),
        (("[words]", "[Words]"), "Words.name"),
        (("url = ", 'hub = { repository = "a/b" }\nurl = '), "either 'url' with 'files', or 'hub'"),
        (("[words]", "[words"), "cannot read the assets"),
        (("[words]", "words = 3\n[other]"), "expected a table"),
    ],
)
def test_a_bad_declaration_is_told_by_place(tmp_path: Path, change: tuple[str, str], told: str) -> None:
    with pytest.raises(UserError) as error:
        read_assets(declare(tmp_path, GOOD.replace(*change)))
    assert told in str(error.value)
    assert "assets.toml" in str(error.value)


def test_every_pin_is_held_to(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"content")
    sha = hashlib.sha256(b"content").hexdigest()
    asked = subprocess.run(["git", "hash-object", str(path)], capture_output=True, text=True, check=True)
    blob = asked.stdout.strip()
    assert git_blob_of(path) == blob
    assert Pin(size=7, sha256=sha, git_blob=blob).problem(path) is None
    assert Pin(sha256_prefix=sha[:8]).problem(path) is None
    assert "expected 8 bytes, found 7" in str(Pin(size=8).problem(path))
    other = hashlib.sha256(b"x").hexdigest()
    assert other in str(Pin(sha256=other).problem(path))
    assert other[:8] in str(Pin(sha256_prefix=other[:8]).problem(path))
    assert "git blob" in str(Pin(sha256=sha, git_blob="0" * 40).problem(path))
    assert not File(name="x", size=7).holds_content


def test_the_folder_comes_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LUMINA_EVAL_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert data_folder() == tmp_path / "cache" / "lumina-eval"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert data_folder() == Path.home() / ".cache" / "lumina-eval"
    monkeypatch.setenv("LUMINA_EVAL_DATA", str(tmp_path / "own"))
    assert data_folder() == tmp_path / "own"


def test_what_is_not_there_is_named_with_its_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LUMINA_EVAL_DATA", str(tmp_path / "data"))
    path = declare(tmp_path, GOOD)
    with injected("benchmarks", demo=Declaring(path)):
        with pytest.raises(UserError, match=r"a b\+c\.txt.*fix: lumina-eval data fetch words"):
            locate("words")
        assert fetched(path, "words") is None
        folder = tmp_path / "data" / "words"
        (folder / "sub").mkdir(parents=True)
        (folder / "a b+c.txt").write_bytes(b"no")
        (folder / "sub" / "other.txt").write_bytes(b"")
        assert absent(all_assets()["words"]) == ["a b+c.txt"]
        (folder / "a b+c.txt").write_bytes(b"yes")
        assert locate("words") == fetched(path, "words") == folder
        assert [asset.name for asset in chosen_assets(["demo", "words"])] == ["words"]
        with pytest.raises(UserError, match="unknown asset 'wrods'; did you mean words"):
            locate("wrods")


def test_an_asset_of_one_file_is_that_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LUMINA_EVAL_DATA", str(tmp_path / "data"))
    path = declare(tmp_path, GOOD.replace(', { name = "sub/other.txt" }', ""))
    file = tmp_path / "data" / "words" / "a b+c.txt"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"yes")
    with injected("benchmarks", demo=Declaring(path)):
        assert locate("words") == file


def test_two_benchmarks_may_not_share_a_name(tmp_path: Path) -> None:
    one = Declaring(declare(tmp_path, GOOD))
    with injected("benchmarks", first=one, second=one), pytest.raises(UserError, match="first and second"):
        all_assets()


@pytest.mark.parametrize("benchmark", ["geneval", "dpg", "t2i_compbench"])
def test_the_declarations_that_are_shipped_hold_content(benchmark: str) -> None:
    path = Path(__file__).parents[2] / "benchmarks" / benchmark / "assets.toml"
    declared = read_assets(path)
    assert declared
    for asset in declared.values():
        assert asset.licence
        assert asset.hub or all(file.holds_content for file in asset.files)
        assert asset.hub is None or asset.hub.commit_prefix


def test_the_pins_are_those_of_the_official_files(shared: Path) -> None:
    """Copies of the official files, hashed."""
    root = Path(__file__).parents[2] / "benchmarks"
    places = {
        "geneval-metadata": "geneval",
        "geneval-annotations": "geneval/annotations",
        "dsg-questions": "dpg/dsg_same_schema",
        "dsg-answers": "dpg/dsg_same_schema",
        "t2i_compbench-prompts": "t2i_compbench/examples/dataset",
    }
    compared = 0
    for benchmark in ("geneval", "dpg", "t2i_compbench"):
        for name, asset in read_assets(root / benchmark / "assets.toml").items():
            for file in asset.files:
                path = shared / "data" / places.get(name, "none") / file.name
                if path.is_file():
                    compared += 1
                    assert file.problem(path) is None, path
    assert compared > 15
