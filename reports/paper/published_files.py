"""The files of ``reports/published``, one a table or figure, as close to the print as TOML allows."""

from __future__ import annotations

import tomllib
from importlib import resources
from typing import Any, Final, TypeVar

from pydantic import ValidationError

from lumina_eval.errors import UserError, unknown
from lumina_eval.records import Record
from reports.paper.published import PublishedTable

#: Data of this package.
FOLDER: Final = "published"
R = TypeVar("R", bound=Record)


def names() -> list[str]:
    """Names of the published tables, sorted."""
    files = resources.files("reports").joinpath(FOLDER).iterdir()
    return sorted(file.name.removesuffix(".toml") for file in files if file.name.startswith("table"))


def published(name: str) -> PublishedTable:
    """Return the published table called ``name``, e.g. ``table4``; UserError names the near ones."""
    if name not in names():
        raise unknown("table", name, names())
    return read(name, PublishedTable)


def read(name: str, kind: type[R]) -> R:
    """Read one file of ``reports/published``."""
    text = resources.files("reports").joinpath(f"{FOLDER}/{name}.toml").read_text("utf-8")
    return parse(text, kind, f"reports/{FOLDER}/{name}.toml")


def parse(text: str, kind: type[R], where: str) -> R:
    """Turn TOML into a record.

    Raises UserError that says what was expected, what was found, and in which line or field of ``where``.
    """
    try:
        values: dict[str, Any] = tomllib.loads(text)
        return kind.model_validate(values)
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"expected TOML, found {error}, in {where}; fix: mend that line") from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "the whole table"
        raise UserError(
            f"{where}: {place}: {first['msg']} (and {error.error_count() - 1} more); fix: mend that field"
            if error.error_count() > 1
            else f"{where}: {place}: {first['msg']}; fix: mend that field"
        ) from error
