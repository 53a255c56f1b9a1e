"""Every code block of the documents is executed, parsed or known to be text; see ``doc_blocks.py``.

Commands within sentences may be unfinished, but what is there of them must exist.
"""

from __future__ import annotations

from pathlib import Path

import doc_blocks
import doc_commands
import pytest

ROOT = Path(__file__).parents[2]


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


#: A package in a page's blocks is tested as one, in test_plugin_page.py.
ELSEWHERE = {"docs/plugins.md"}
DOCUMENTS = sorted(
    path
    for pattern in ("*.md", "docs/**/*.md", "benchmarks/**/*CARD.md", "lumina_model/**/*CARD.md")
    for path in ROOT.glob(pattern)
)
WITH_BLOCKS = [
    path for path in DOCUMENTS if name_of(path) not in ELSEWHERE and list(doc_blocks.parse(path).examples())
]
#: The changelog tells of what was, too.
WITH_MENTIONS = [path for path in DOCUMENTS if path.name != "CHANGELOG.md" and doc_blocks.mentions(path)]


@pytest.mark.parametrize("document", WITH_BLOCKS, ids=name_of)
def test_code_blocks(document: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "reader"
    folder.mkdir()
    monkeypatch.chdir(folder)
    failures = []
    for example in doc_blocks.parse(document).examples():
        try:
            doc_blocks.evaluate(example)
        except Exception as error:
            failures.append(f"{document.relative_to(ROOT)}:{example.line}: {type(error).__name__}: {error}")
    assert not failures, "\n".join(failures)


@pytest.mark.parametrize("document", WITH_MENTIONS, ids=name_of)
def test_commands_within_sentences(document: Path) -> None:
    failures = []
    for command in doc_blocks.mentions(document):
        try:
            doc_commands.check_mention(command)
        except Exception as error:
            failures.append(f"{command}: {type(error).__name__}: {error}")
    assert not failures, "\n".join(failures)
