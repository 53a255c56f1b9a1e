"""Files that are whole or absent."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from lumina_eval.errors import UserError
from lumina_eval.files import append_lines, sole_writer, valid_lines, write_atomic, write_lines


def test_lines_cut_at_any_byte_leave_the_whole_ones(tmp_path: Path) -> None:
    path = tmp_path / "lines.jsonl"
    lines = [json.dumps({"n": n, "text": "käse\n"}, ensure_ascii=False) for n in range(3)]
    write_lines(path, lines[:1])
    append_lines(path, lines[1:])
    data = path.read_bytes()
    for length in range(len(data) + 1):
        path.write_bytes(data[:length])
        kept = [text for text, _ in valid_lines(path)]
        assert kept == lines[: data[:length].count(b"\n")]


def test_what_follows_a_broken_line_is_not_trusted(tmp_path: Path) -> None:
    path = tmp_path / "lines.jsonl"
    path.write_text('{"n":1}\n{"n":\n{"n":3}\n')
    assert [value for _, value in valid_lines(path)] == [{"n": 1}]
    assert valid_lines(tmp_path / "absent") == []


def test_an_interrupted_write_leaves_the_old_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    write_atomic(path, b"old")

    def interrupted(*names: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_atomic(path, b"new")
    assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == [("file", b"old")]


def test_files_can_be_read_by_others_as_the_umask_says(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_atomic(tmp_path / "file", b"")
    finally:
        os.umask(before)
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o640


def test_a_second_writer_is_told(tmp_path: Path) -> None:
    with sole_writer(tmp_path), pytest.raises(UserError, match="another process"), sole_writer(tmp_path):
        pass
    with sole_writer(tmp_path):
        pass
