"""Recipes: TOML files that hold every number of a training, read into the settings of its part."""

from __future__ import annotations

import dataclasses
import tomllib
import types
import typing
from pathlib import Path
from typing import Any, TypeVar

from lumina_model.errors import UserError

FOLDER = Path(__file__).parent / "configs"
Settings = TypeVar("Settings")
#: Unknown keys that a message names.
MOST_NAMED = 3


def load_recipe(cls: type[Settings], path: Path) -> Settings:
    """Read a recipe into a settings dataclass; nested tables become nested dataclasses.

    Raises:
        UserError: no such file, broken TOML (with line), an unknown or missing key, a value of a wrong kind.
    """
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in FOLDER.glob("*.toml")))
        raise UserError(
            f"expected a recipe at {path}, found no such file; fix: one of {known}, or a .toml of yours"
        )
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"expected TOML, found {error}, in {path}; fix: mend that line") from error
    return build(cls, table, str(path))


def build(cls: type[Settings], table: dict[str, Any], where: str) -> Settings:
    """Fill a settings dataclass from a table; see :func:`load_recipe`."""
    fields = {field.name: field for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
    hints = typing.get_type_hints(cls)
    if unknown := sorted(set(table) - set(fields)):
        more = f" and {len(unknown) - MOST_NAMED} more" if len(unknown) > MOST_NAMED else ""
        raise UserError(
            f"expected keys out of {', '.join(fields)}, found {', '.join(unknown[:MOST_NAMED])}{more}, in "
            f"{where}; fix: drop or rename, or give the recipe to the command of its part (lumina-model "
            "train --help)"
        )
    values: dict[str, Any] = {}
    for name, value in table.items():
        hint = hints[name]
        if dataclasses.is_dataclass(hint) and isinstance(value, dict):
            values[name] = build(typing.cast(type, hint), value, f"{where} [{name}]")
        else:
            values[name] = _coerce(value, hint, f"{where}, key {name}")
    try:
        return cls(**values)
    except UserError as error:
        raise UserError(f"{where}: {error}") from None
    except TypeError as error:
        raise UserError(f"expected all required keys, found {error}, in {where}; fix: add them") from error


def _coerce(value: Any, hint: Any, where: str) -> Any:
    origin = typing.get_origin(hint)
    if origin is typing.Literal:
        if value not in typing.get_args(hint):
            allowed = ", ".join(map(str, typing.get_args(hint)))
            raise UserError(f"expected one of {allowed}, found {value!r}, in {where}; fix: take one of them")
        return value
    if origin is tuple and isinstance(value, list):
        return tuple(_coerce(one, typing.get_args(hint)[0], where) for one in value)
    if origin is dict and isinstance(value, dict) and typing.get_args(hint)[1] is float:
        return {key: _coerce(one, float, f"{where}.{key}") for key, one in value.items()}
    if origin in (typing.Union, types.UnionType):
        hint = tuple(t for t in typing.get_args(hint) if t is not type(None))
    elif origin is not None:
        hint = origin
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    accepted = (*hint, int) if isinstance(hint, tuple) and float in hint else hint
    if isinstance(accepted, type | tuple) and not isinstance(value, accepted):
        raise UserError(f"expected {hint}, found {value!r}, in {where}; fix: give a value of that kind")
    return value
