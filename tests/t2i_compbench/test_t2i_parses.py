"""Parse files: what the program writes comes back as texts, and what is wrong is named."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from benchmarks.t2i_compbench.parses import read_parses
from benchmarks.t2i_compbench.prompt_set import item_of
from lumina_eval.errors import UserError

HEAD = {"schema": 1, "spacy": "3.5.3", "model": "en_core_web_sm", "model_version": "3.5.0"}
PROMPT = "a süße cat near two tin drums."
ITEM = item_of("color", PROMPT)
ROW = {
    "prompt_sha256": hashlib.sha256(PROMPT.encode()).hexdigest(),
    "chunks": [[0, 10], [16, 29]],
    "tokens": [[0, 1, "DET"], [2, 6, "ADJ"], [7, 10, "NOUN"], [11, 15, "ADP"], [29, 30, "PUNCT"]],
}

#: Stands in for spaCy: words at spaces, nouns are words of a list, each noun with the word before is a chunk.
SPACY = """
__version__ = "9.8.7"
class Token:
    def __init__(self, text, idx):
        self.text, self.idx = text, idx
        self.pos_ = "NOUN" if text in ("cat", "drums") else "X"
class Chunk:
    def __init__(self, first, last):
        self.start_char, self.end_char = first.idx, last.idx + len(last.text)
class Doc(list):
    @property
    def noun_chunks(self):
        return [Chunk(self[n - 1], token) for n, token in enumerate(self) if token.pos_ == "NOUN"]
class Pipeline:
    meta = {"lang": "xx", "name": "tiny", "version": "0.1"}
    def __call__(self, text):
        places = [n for n, sign in enumerate(text) if sign != " " and (n == 0 or text[n - 1] == " ")]
        return Doc(Token(text[n:].split(" ")[0], n) for n in places)
def load(name):
    if name != "en_core_web_sm":
        raise OSError(f"no model {name}")
    return Pipeline()
"""


@pytest.fixture
def parse(tmp_path: Path) -> Any:
    """Run the program as it is run, in a process without the project, beside a stand-in for spaCy."""
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules" / "spacy.py").write_text(SPACY)
    program = Path(str(resources.files("benchmarks.t2i_compbench") / "parse_prompts.py"))

    def run(*words: object, stdin: str = "", spacy: bool = True) -> subprocess.CompletedProcess[bytes]:
        first = (
            f"sys.path.insert(0, {str(tmp_path / 'modules')!r})" if spacy else "sys.modules['spacy'] = None"
        )
        argv = ["parse_prompts.py", *map(str, words)]
        second = f"sys.argv = {argv!r}; runpy.run_path({str(program)!r}, None, '__main__')"
        code = f"import runpy, sys; {first}; {second}"
        return subprocess.run(
            [sys.executable, "-I", "-c", code], input=stdin.encode(), capture_output=True, check=False
        )

    return run


def written(tmp_path: Path, *records: Any) -> Path:
    file = tmp_path / "parses.jsonl"
    file.write_text("".join(json.dumps(record) + "\n" for record in records))
    return file


def test_offsets_come_back_as_texts(tmp_path: Path) -> None:
    parses = read_parses(written(tmp_path, HEAD, ROW))
    found = parses.of(ITEM)
    assert found.chunks == ["a süße cat", "two tin drums"]
    assert found.tokens == [["a", "DET"], ["süße", "ADJ"], ["cat", "NOUN"], ["near", "ADP"], [".", "PUNCT"]]
    assert parses.settings == {
        "sha256": hashlib.sha256((tmp_path / "parses.jsonl").read_bytes()).hexdigest(),
        "spacy": "3.5.3",
        "model": "en_core_web_sm",
        "model_version": "3.5.0",
    }


def test_the_example_of_the_card_is_a_parse_file(tmp_path: Path) -> None:
    card = resources.files("benchmarks.t2i_compbench").joinpath("CARD.md").read_text(encoding="utf-8")
    lines = [line for line in card.splitlines() if line.startswith(('{"schema"', '{"prompt_sha256"'))]
    found = read_parses(written(tmp_path, *map(json.loads, lines))).of(
        item_of("color", "a teal anvil and an amber harp")
    )
    assert found.chunks == ["a teal anvil", "an amber harp"]
    assert [text for text, _ in found.tokens] == ["a", "teal", "anvil", "and", "an", "amber", "harp"]


def test_the_program_writes_what_is_read(tmp_path: Path, parse: Any) -> None:
    folder = tmp_path / "dataset"
    folder.mkdir()
    (folder / "color_val.txt").write_bytes(f"{PROMPT}\r\n\r\n  one cat  \n{PROMPT}".encode())
    (folder / "color_train.txt").write_text("not this one")
    out = tmp_path / "out.jsonl"
    done = parse(folder, "-", "--out", out, stdin="one cat\nno cat\n")
    assert done.returncode == 0, done.stderr
    assert b"3 prompts parsed" in done.stderr
    parses = read_parses(out)
    assert parses.made_with == {"spacy": "9.8.7", "model": "xx_tiny", "model_version": "0.1"}
    assert parses.of(ITEM).chunks == ["süße cat"]
    assert parses.of(item_of("shape", "one cat")) == (["one cat"], [["one", "X"], ["cat", "NOUN"]])
    assert "cat" not in out.read_text(), "no text of a prompt"
    assert sorted(file.name for file in tmp_path.iterdir()) == ["dataset", "modules", "out.jsonl"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nowhere.txt"], b"cannot read the prompts"),
        (["empty"], b"no *_val.txt in folder empty"),
        (["-"], b"expected a prompt a line in -, found none"),
        (["one.txt", "--model", "other"], b"cannot load the spaCy pipeline 'other'"),
    ],
)
def test_mistakes_of_the_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, parse: Any, words: list[str], message: bytes
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "one.txt").write_text("a cat\n")
    done = parse(*words, "--out", "out.jsonl")
    assert done.returncode == 2
    assert message in done.stderr
    assert not (tmp_path / "out.jsonl").exists()


def test_without_spacy_the_way_is_told(parse: Any) -> None:
    done = parse("-", "--out", "out.jsonl", stdin="a cat", spacy=False)
    assert (done.returncode, b"nox -s parses" in done.stderr) == (2, True)


@pytest.mark.parametrize(
    ("records", "message"),
    [
        ([], r"found nothing in it, in .*parses.jsonl; fix: nox -s parses"),
        ([ROW], r"parses.jsonl:1: expected a first line with \"schema\": 1"),
        ([{**HEAD, "schema": 2}], r":1: expected a first line"),
        ([{**HEAD, "model": None}], r":1: expected a string for 'model', found null"),
        ([HEAD, {**ROW, "prompt_sha256": "abc"}], r":2: expected 64 hex digits"),
        ([HEAD, ROW, ROW], r":3: the prompt of this sha256 stands already in line 2"),
        ([HEAD, {**ROW, "chunks": [[0, 2.5]]}], r":2: chunks\[0\]: expected \[start, end\], found"),
        ([HEAD, {**ROW, "tokens": [[0, 1]]}], r":2: tokens\[0\]: expected \[start, end, part of speech\]"),
        ([HEAD, {**ROW, "chunks": [[3, 5], [4, 6]]}], r"chunks\[1\]: expected offsets that rise from 5"),
        ([HEAD, {**ROW, "chunks": [[3, 3]]}], r"chunks\[0\]: expected offsets that rise from 0"),
        ([HEAD, {**ROW, "chunks": [[-1, 3]]}], r"chunks\[0\]: expected offsets that rise"),
    ],
)  # fmt: skip
def test_bad_files_are_named_by_line(tmp_path: Path, records: list[Any], message: str) -> None:
    with pytest.raises(UserError, match=message) as told:
        read_parses(written(tmp_path, *records))
    assert "; fix: " in str(told.value)


def test_offsets_must_lie_in_the_prompt(tmp_path: Path) -> None:
    parses = read_parses(written(tmp_path, HEAD, {**ROW, "chunks": [[0, 31]]}))
    with pytest.raises(UserError, match=rf":2: chunks\[0\]: expected offsets up to 30.*{ITEM.id}"):
        parses.of(ITEM)


def test_a_prompt_without_a_parse_is_named_by_its_id(tmp_path: Path) -> None:
    parses = read_parses(written(tmp_path, HEAD, ROW))
    others = [item_of("color", f"a cat of kind {n}") for n in range(5)]
    with pytest.raises(UserError, match=rf"found none for item {others[0].id}; fix: nox -s parses"):
        parses.of(others[0])
    with pytest.raises(UserError, match=rf"{others[2].id} and 2 more; fix"):
        parses.check([ITEM, *others])
