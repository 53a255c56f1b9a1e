"""Records that another version wrote: brought to today's schema step by step, or refused with that version.

Within a schema fields are only added, each with a default that says what the older version meant; a record
without them is read as it is. What is taken away or changes its meaning raises the schema and adds a step
here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, TypeVar

from pydantic import ValidationError

from lumina_eval.errors import UserError, nearest
from lumina_eval.records import Record

#: The schema that this version writes.
NEWEST: Final = 1

Step = Callable[[dict[str, Any]], dict[str, Any]]
"""From an object of one schema to an object of the next, without its ``schema``."""

#: (record, schema) to the step that leads from there to the next schema. Schema 1 is that of the first commit
#: and still today's: nothing leads to it, and what was added since (``rewriting``) has its default.
STEPS: Final[Mapping[tuple[str, int], Step]] = {}

#: What mends a record of a run.
MAKE_AGAIN: Final = "make the run again, it goes on from the images and verdicts that are there"

R = TypeVar("R", bound=Record)


def migrated(
    value: dict[str, Any],
    kind: str,
    where: Path | str,
    steps: Mapping[tuple[str, int], Step] = STEPS,
    newest: int = NEWEST,
) -> dict[str, Any]:
    """Return a record of ``kind`` in the newest schema.

    Raises UserError for a schema that is newer, or that no step leads on from.
    """
    schema = value.get("schema", 1)
    if not isinstance(schema, int) or isinstance(schema, bool):
        raise UserError(f"expected a schema number in {where}, found {schema!r}; fix: get the file again")
    if schema > newest:
        raise UserError(
            f"expected schema {newest} or older, which this version of lumina-eval reads, found schema "
            f"{schema}{_writer(value)}, in {where}; fix: pip install --upgrade lumina-eval, or read it with "
            "the version that wrote it"
        )
    while schema < newest:
        step = steps.get((kind, schema))
        if step is None:
            raise UserError(
                f"expected a {kind} of schema {newest}, found schema {schema}{_writer(value)}, which nothing "
                f"leads on from, in {where}; fix: make the run again with this version"
            )
        value = {**step({key: one for key, one in value.items() if key != "schema"}), "schema": schema + 1}
        schema += 1
    return value


def parsed(value: Any, kind: type[R], where: Path | str, fix: str = MAKE_AGAIN) -> R:
    """Return a record of its own file from a JSON value, of whichever version.

    Raises UserError that names the field in question, the version that wrote it, and the ``fix``.
    """
    if not isinstance(value, dict):
        raise UserError(f"expected a {kind.__name__}, a JSON object, in {where}; fix: get the file again")
    value = migrated(value, kind.__name__, where)
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        raise UserError(_refusal(error, value, kind, where, fix)) from error


def _refusal(
    error: ValidationError, value: Mapping[str, Any], kind: type[Record], where: Path | str, fix: str
) -> str:
    """Say what is wrong with the first field that is."""
    first = error.errors(include_url=False)[0]
    field = ".".join(map(str, first["loc"])) or kind.__name__
    if first["type"] == "extra_forbidden":
        names = [info.alias or name for name, info in kind.model_fields.items()]
        return (
            f"{where} is no {kind.__name__} that this version of lumina-eval knows: it has a field {field!r}"
            f"{_writer(value)} ({nearest(field, names)}); fix: pip install --upgrade lumina-eval if a newer "
            "version wrote it, else take the field out"
        )
    said = "it lacks the field" if first["type"] == "missing" else f"{first['msg']}, in the field"
    return f"{where} is no {kind.__name__} of schema {NEWEST}: {said} {field!r}{_writer(value)}; fix: {fix}"


def _writer(value: Mapping[str, Any]) -> str:
    """Name the version of lumina-eval that wrote a record, where it says so."""
    made = value.get("provenance")
    packages = made.get("packages") if isinstance(made, Mapping) else None
    version = packages.get("lumina-eval") if isinstance(packages, Mapping) else None
    return f" (written by lumina-eval {version})" if version else ""
