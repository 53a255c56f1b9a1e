"""Every code block of the documents is executed, parsed or known to be text; see ``doc_blocks.py``."""

from __future__ import annotations

from pathlib import Path

import doc_blocks
import pytest

ROOT = Path(__file__).parents[2]
#: A package in a page's blocks is tested as one, in test_plugin_page.py.
ELSEWHERE = {"docs/plugins.md"}
DOCUMENTS = sorted(
    path
    for pattern in ("*.md", "docs/**/*.md", "benchmarks/**/*CARD.md", "lumina_model/**/*CARD.md")
    for path in ROOT.glob(pattern)
    if path.relative_to(ROOT).as_posix() not in ELSEWHERE and list(doc_blocks.parse(path).examples())
)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
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
