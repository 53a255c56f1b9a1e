"""Tables and figures by name, for ``report --table`` and ``--figure``: plug-ins know what a paper printed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from lumina_eval import plugins
from lumina_eval.console import Output
from lumina_eval.errors import UserError, unknown
from lumina_eval.runs import find_runs


def check_names(tables: Sequence[str], figures: Sequence[str]) -> None:
    """Raise UserError with the near names, and all that there are, if no plug-in answers to one of these."""
    _check("tables", tables)
    _check("figures", figures)


def _check(group: Literal["tables", "figures"], names: Sequence[str]) -> None:
    known = sorted(plugins.available(group))
    for name in names:
        if name not in known:
            one = group.removesuffix("s")
            raise UserError(
                f"{unknown(one, name, known)} There are {', '.join(known) or 'none'}; "
                f"fix: --{one} with one of these (lumina-eval list {group})"
            )
        plugins.load(group, name)


def apart(places: Sequence[Path]) -> tuple[list[Path], list[Path]]:
    """Part what is given into runs, or folders of them, and what only a table or figure may understand.

    Raises UserError for what is not there.
    """
    runs: list[Path] = []
    others: list[Path] = []
    for place in places:
        if not place.exists():
            raise UserError(
                f"expected a run folder or a file, found nothing at {place}; fix: name one that is there"
            )
        (runs if (place / "manifest.json").is_file() or find_runs(place) else others).append(place)
    return runs, others


def write_by_name(
    tables: Sequence[str], figures: Sequence[str], inputs: Sequence[Path], out: Path, streams: Output
) -> list[Path]:
    """Write the named tables and figures into ``out``, show tables as Markdown, and return all files."""
    files: list[Path] = []
    for name in dict.fromkeys(tables):
        made = plugins.load("tables", name)(list(inputs), out)
        for path in made:
            if path.suffix == ".md":
                streams.result(path.read_text(encoding="utf-8"))
        files += made
    for name in dict.fromkeys(figures):
        files += plugins.load("figures", name)(list(inputs), out)
    return files
