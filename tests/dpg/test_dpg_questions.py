from __future__ import annotations

from pathlib import Path

import pytest
from dpg_world import Row, csv_text
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.dpg.questions import COLUMNS, broad_category, git_blob, questions_of, read_items
from lumina_eval.errors import UserError

GOOD: list[Row] = [
    ("b", 1, "0", "entity - whole (dog)", "Is there a dog?"),
    ("b", 2, "1", "attribute - color (dog, brown)", "Is it, the dog, brown?"),
    ("0", 1, "0", "global - (photo)", "Is this\na photo?"),
    ("0", 3, " 1, 1 ", "relation - non-spatial (a, b)", 'Is it "so"?'),
]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "questions.csv"


def test_cells_are_text_in_the_order_of_the_file(file: Path) -> None:
    file.write_text(csv_text(GOOD), newline="")
    first, second = read_items(file)
    assert (first.id, second.id) == ("b", "0")
    assert first.prompt == "a prompt of b, long"
    assert [question.row for question in questions_of(second)] == [2, 3]
    assert [question.parents for question in questions_of(second)] == [(0,), (1, 1)]
    assert [question.category for question in questions_of(second)] == ["global -", "relation - non-spatial"]
    assert [broad_category(question.category) for question in questions_of(second)] == ["global", "relation"]
    assert questions_of(second)[0].text == "Is this\na photo?"


def test_the_file_has_the_name_that_git_gives_it(file: Path) -> None:
    assert git_blob(b"") == "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"
    file.write_text(csv_text(GOOD), newline="")
    assert read_items(file)[0].metadata["questions_blob"] == git_blob(file.read_bytes())


def test_a_byte_order_mark_and_empty_lines_are_no_cells(file: Path) -> None:
    text = csv_text(GOOD).replace("\r\n", "\r\n\r\n", 2)
    file.write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert [question.row for item in read_items(file) for question in questions_of(item)] == [0, 1, 2, 3]


@pytest.mark.parametrize("column", COLUMNS)
def test_a_missing_column_is_named(file: Path, column: str) -> None:
    file.write_text(csv_text(GOOD).replace(column, "other", 1), newline="")
    with pytest.raises(UserError, match=rf"questions\.csv:1: .*found no {column}; fix:"):
        read_items(file)


@pytest.mark.parametrize("cell", ["5, right", "", "x", "1;2", "-1", "1.0", "1,", "٣", "0x1", "1 2"])
def test_a_malformed_dependency_is_named_by_line_and_cell(file: Path, cell: str) -> None:
    """The line is that of the file: a question before it holds a line end."""
    file.write_text(csv_text([*GOOD, ("c", 1, cell, "a - b (c)", "So?")]), newline="")
    with pytest.raises(UserError) as caught:
        read_items(file)
    assert "questions.csv:7: expected proposition ids parted by commas, or 0, in column" in str(caught.value)
    assert f"dependency, found {cell!r}; fix:" in str(caught.value)


def test_an_unknown_parent_is_named(file: Path) -> None:
    """Question 2 is there, yet of another item."""
    file.write_text(csv_text([*GOOD, ("c", 1, "0,2", "a - b (c)", "So?")]), newline="")
    with pytest.raises(
        UserError, match=r"questions\.csv:7: .*item c in column dependency, found '0,2'.*no 2"
    ):
        read_items(file)


def test_a_proposition_twice_is_named_with_both_lines(file: Path) -> None:
    file.write_text(csv_text([*GOOD[:2], ("b", 1, "0", "a - b (c)", "So?")]), newline="")
    with pytest.raises(UserError, match=r"questions\.csv:4: .*item b, found '1', which stands in line 2 too"):
        read_items(file)


@pytest.mark.parametrize("number", ["0", "", "one", "1.0", "-1"])
def test_a_malformed_proposition_id_is_named(file: Path, number: str) -> None:
    file.write_text(csv_text([("b", number, "0", "a - b (c)", "So?")]), newline="")
    with pytest.raises(UserError, match=r"questions\.csv:2: .*column proposition_id"):
        read_items(file)


def test_empty_cells_that_matter_are_named(file: Path) -> None:
    for row, column in (
        (("", 1, "0", "a - b (c)", "So?"), "item_id"),
        (("b", 1, "0", " ", "So?"), "tuple"),
        (("b", 1, "0", "a - b (c)", ""), "question_natural_language"),
    ):
        file.write_text(csv_text([row]), newline="")
        with pytest.raises(UserError, match=rf"questions\.csv:2: .*column {column}, found an empty cell"):
            read_items(file)


def test_all_bad_lines_are_counted_and_the_first_is_told(file: Path) -> None:
    rows = [("b", n, "x" if n > 1 else "0", "a - b (c)", "So?") for n in range(1, 15)]
    file.write_text(csv_text(rows), newline="")
    with pytest.raises(UserError, match=r"csv:3: .*\(and 12 more lines: 4, 5, 6, 7, 8, 9, 10, 11, …\); fix:"):
        read_items(file)


def test_a_row_of_another_length_and_a_broken_quote_are_told(file: Path) -> None:
    head = ",".join(COLUMNS)
    for text, what in (
        (f"{head}\na,b\n", r":2: expected 9 cells, found 2"),
        (f'{head}\n"a', r":2: broken CSV"),
        (f"{head}\n", r"expected a question a line, found none"),
        ("", r"expected a question a line, found none"),
    ):
        file.write_text(text)
        with pytest.raises(UserError, match=what):
            read_items(file)
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(UserError, match="cannot read the questions"):
        read_items(file)
    with pytest.raises(UserError, match="cannot read the questions"):
        read_items(file.parent / "none.csv")


@settings(max_examples=100, deadline=None)
@given(st.text())
def test_no_text_is_worse_than_a_user_error(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.getbasetemp() / "any.csv"
    for content in (text, f"{','.join(COLUMNS)}\n{text}"):
        path.write_bytes(content.encode("utf-8", "surrogatepass"))
        try:
            read_items(path)
        except UserError:
            continue
