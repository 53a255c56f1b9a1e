"""The table ``[judge]`` of a protocol, checked: a judge says what may stand in it by a model of this kind."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal, TypeVar, get_args, get_origin

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.fields import FieldInfo

from lumina_eval.errors import UserError, unknown

#: What a value should be, in words.
_KINDS: Final[Mapping[Any, str]] = {
    str: "a text", int: "a whole number", float: "a number", bool: "true or false",
}  # fmt: skip
#: Bounds as pydantic keeps them, in words.
_BOUNDS: Final[Mapping[str, str]] = {"ge": "of at least", "gt": "above", "le": "of at most", "lt": "below"}


class JudgeTable(BaseModel):
    """Base of all such tables, without the judge's name; numbers are finite, and nothing is converted."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


Table = TypeVar("Table", bound=JudgeTable)


def read_table(kind: type[Table], table: Mapping[str, Any]) -> Table:
    """Return the table as a ``kind``.

    Raises UserError for a key that there is not (with the near names), for keys that are absent, and for a
    value of another type or outside its range (with the key, what is expected and what was found).
    """
    try:
        return kind.model_validate(dict(table))
    except ValidationError as error:
        raise _told(kind, table, error) from error


def _told(kind: type[JudgeTable], table: Mapping[str, Any], error: ValidationError) -> UserError:
    """Say what is wrong; a misspelt key comes first, because the right one is then absent as well."""
    fields = kind.model_fields
    if strangers := [key for key in table if key not in fields]:
        return unknown("key in the table [judge]:", strangers[0], fields)
    if absent := [key for key, field in fields.items() if field.is_required() and key not in table]:
        return UserError(
            f"expected {', '.join(fields)} in the protocol's table [judge], found no {', '.join(absent)}; "
            'fix: extends = "official", or add it'
        )
    key = str(error.errors()[0]["loc"][0])
    annotation = fields[key].annotation
    if get_origin(annotation) is Literal and isinstance(table[key], str):
        return unknown(f"judge.{key}", table[key], get_args(annotation))
    return UserError(
        f"expected {_wanted(fields[key])} for judge.{key}, found {table[key]!r}; fix: --set judge.{key}=VALUE"
    )


def _wanted(field: FieldInfo) -> str:
    if get_origin(field.annotation) is Literal:
        return f"one of {', '.join(get_args(field.annotation))}"
    bounds = [
        f"{words} {getattr(bound, name):g}"
        for bound in field.metadata
        for name, words in _BOUNDS.items()
        if hasattr(bound, name)
    ]
    return " ".join([_KINDS[field.annotation], " and ".join(bounds)]).strip()
