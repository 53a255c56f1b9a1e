"""The prompts of the test set, by category: texts of others, read from the files that the user has.

What a rule must know of a prompt without them, its kind in ``complex``, is kept by the digest of the prompt.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Final, cast

from benchmarks.t2i_compbench.three_in_one import Kind, prompt_key
from lumina_eval.digests import sha256_bytes
from lumina_eval.errors import UserError, unknown
from lumina_eval.protocol import ResolvedProtocol
from lumina_eval.records import Item

#: All categories in the order of the metrics; they are the tasks of the statistics.
CATEGORIES: Final = (
    "color", "shape", "texture", "spatial", "3d_spatial", "numeracy", "non_spatial", "complex",
)  # fmt: skip
BINDING: Final = ("color", "shape", "texture")

_KINDS: Final = Path(__file__).parent / "complex_kinds.txt"
_DIGEST: Final = 16  # hex digits of sha256 in that file


def read_items(folder: Path, protocol: ResolvedProtocol) -> list[Item]:
    """Return the protocol's prompts in official order, from the official folder ``examples/dataset``.

    Raises UserError if a file is missing or not the pinned one.
    """
    return [
        item_of(category, prompt)
        for category in categories_of(protocol)
        for prompt in _read_prompts(folder, category, protocol)
    ]


def item_of(category: str, prompt: str) -> Item:
    """Return the item of a prompt; its id comes from its text."""
    return Item(id=f"{category}-{sha256_bytes(prompt.encode())[:12]}", prompt=prompt, task=category)


def categories_of(protocol: ResolvedProtocol) -> list[str]:
    """Return the categories that the protocol asks; raise UserError for one that there is not."""
    chosen = protocol.value("prompts.categories")
    if not isinstance(chosen, list) or not chosen:
        raise UserError(
            f"expected a list of categories for prompts.categories, found {chosen!r}, in protocol "
            f"{protocol.name}; fix: name one or more of {', '.join(CATEGORIES)}"
        )
    for category in chosen:
        if category not in CATEGORIES:
            raise unknown(
                f"category in prompts.categories of protocol {protocol.name}:", str(category), CATEGORIES
            )
    return [category for category in CATEGORIES if category in chosen]


def kind_of(prompt: str) -> Kind:
    """Return what a prompt of ``complex`` asks for; one that is not in the test set asks for both."""
    return _kinds().get(sha256_bytes(prompt_key(prompt).encode())[:_DIGEST], "both")


def no_prompts(protocol: ResolvedProtocol) -> UserError:
    """Return the error that tells how to get the prompts."""
    source = {name: protocol.value(f"prompts.{name}") for name in ("repository", "commit", "path")}
    return UserError(
        f"expected the prompt files of protocol {protocol.name} of t2i_compbench, found none (not shipped: "
        f"texts of others); fix: lumina-eval data fetch t2i_compbench-prompts, or name your own copy of "
        f"{source['path']} of {source['repository']} at commit {source['commit']} with --questions"
    )


def _read_prompts(folder: Path, category: str, protocol: ResolvedProtocol) -> list[str]:
    file = folder / f"{category}_val.txt"
    try:
        data = file.read_bytes()
    except OSError as error:
        raise UserError(f"{no_prompts(protocol)} ({error.strerror} at {file})") from error
    pinned = str(protocol.value(f"prompts.sha256.{category}"))
    if (found := sha256_bytes(data)) != pinned:
        raise UserError(
            f"expected the file with sha256 {pinned[:12]}…, found {found[:12]}…, at {file}; fix: take that "
            f"of the pinned commit, or pin yours with --set prompts.sha256.{category}={found}"
        )
    return [line.strip() for line in data.decode("utf-8").splitlines() if line.strip()]


@functools.cache
def _kinds() -> Mapping[str, Kind]:
    pairs = (line.split() for line in _KINDS.read_text(encoding="utf-8").splitlines())
    return {digest: cast("Kind", kind) for digest, kind in pairs}
