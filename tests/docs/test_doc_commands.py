"""The checks of command lines fail where a reader would."""

from __future__ import annotations

from pathlib import Path

import doc_blocks
import doc_commands
import pytest


@pytest.mark.parametrize(
    "line",
    [
        "lumina-eval run geneval --protocol tabletop --model embedded:low_res --limit 3",
        "lumina-eval judge t2i_compbench --protocol official --verdicts FILE [--json] [--complete]",
        "lumina-eval run geneval --model … --set threshold=0.2 …",
        "lumina-eval arena export RUN... --out ARENA",
        "lumina-eval leaderboard RUN... --out DIR",
        "lumina-eval --version",
        "lumina-model train stage low_res --data DATA --out RUN --compile",
        'pip install "nox[uv]" && nox -s geneval -- --limit 3',
    ],
)
def test_good_lines_pass(line: str) -> None:
    doc_commands.check(line)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("lumina-eval rum geneval", "rum"),
        ("lumina-eval run geneval --limits 3", "--limits"),
        ("lumina-eval run geneval --limit three", "integer"),
        ("lumina-eval run", "benchmark"),
        ("lumina-eval run genevall", "genevall"),
        ("lumina-eval run geneval --protocol oficial", "oficial"),
        ("lumina-eval run geneval --suite quik", "quik"),
        ("lumina-eval run geneval --set thresold=0.2", "thresold"),
        ("lumina-eval run geneval --model embeded", "embeded"),
        ("lumina-eval arena ratte FILE", "ratte"),
        ("lumina-eval data fetch dpg-question", "dpg-question"),
        ("lumina-model train stage low_res", "data"),
        ("lumina-model info --sizes 2.6b", "--sizes"),
        ("nox -s genevals", "genevals"),
        ("python -m benchmarks.arena.choices", "choices"),
        ("lumina-evl run geneval", "lumina-evl"),
    ],
)
def test_bad_lines_fail(line: str, told: str) -> None:
    with pytest.raises(Exception, match=told):
        doc_commands.check(line)


@pytest.mark.parametrize(
    "block",
    [
        "```python\n1 / 0\n```\n",
        "```toml\na = \n```\n",
        "```json\n{\n```\n",
        "```\nlumina-eval run genevall\n```\n",
        "```\nlumina-eval list\nand some words\n```\n",
        "<!-- run -->\n```\nlumina-eval run geneval --model nothing.py:here\n```\n",
        "```yml\na: 1\n```\n",
        '```\n{"a": }\n```\n',
    ],
)
def test_bad_blocks_fail(block: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    page = tmp_path / "page.md"
    page.write_text(f"# Page\n\n{block}")
    (example,) = doc_blocks.parse(page).examples()
    with pytest.raises(BaseException, match=r"."):
        doc_blocks.evaluate(example)


@pytest.mark.parametrize(
    "text", ["lumina-eval judge --images", "lumina-model train", "lumina-eval NAME …", "nox -l"]
)
def test_a_mention_may_be_unfinished(text: str) -> None:
    doc_commands.check_mention(text)


@pytest.mark.parametrize("text", ["lumina-eval juge", "lumina-model train --stages", "lumina-eval run dpgg"])
def test_a_mention_must_exist(text: str) -> None:
    with pytest.raises(Exception, match=text.split()[-1].lstrip("-")):
        doc_commands.check_mention(text)


def test_checking_a_line_does_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    doc_commands.check("lumina-eval leaderboard RUN --out DIR")
    doc_commands.check("lumina-eval tabletop dataset DATA --count 1")
    assert list(tmp_path.iterdir()) == [], "a command was executed"


def test_blocks_of_a_page_share_names_and_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    page = tmp_path / "page.md"
    blocks = (
        "```python\na = 1\n```",
        "<!-- file: b/c.toml -->\n```toml\nd = 2\n```",
        "```python\nassert a == 1\n```",
    )
    page.write_text("\n\n".join(blocks))
    for example in doc_blocks.parse(page).examples():
        doc_blocks.evaluate(example)
    assert (tmp_path / "b" / "c.toml").read_text() == "d = 2\n"
