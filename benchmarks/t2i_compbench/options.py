"""The constants of the rules, as a protocol sets them: a table of the TOML file is a class here."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any, Final

from lumina_eval.errors import UserError
from lumina_eval.protocol import ResolvedProtocol

#: How a depth map is cut: x first as the official code does, or [row, column] as it is stored.
DEPTH_AXES: Final = ("xy", "yx")


@dataclass(frozen=True, slots=True)
class Attribute:
    """Colour, shape and texture: how many noun phrases are asked for, and which never are."""

    questions: int = 8
    unasked: tuple[str, ...] = ("top", "the side", "the left", "the right")


@dataclass(frozen=True, slots=True)
class Spatial:
    """Positions in the plane; ``distance`` in pixels of the image scaled to at most 480."""

    complex: bool = False
    overlap: float = 0.1
    distance: float = 150.0
    least: float = 0.5
    on_top_of: bool = False


@dataclass(frozen=True, slots=True)
class Spatial3d:
    """Positions in depth."""

    overlap: float = 0.5
    depth_axes: str = "xy"


@dataclass(frozen=True, slots=True)
class Numeracy:
    """Counts."""

    duplicate: float = 0.9


@dataclass(frozen=True, slots=True)
class Options:
    """All constants; the defaults are the official ones."""

    attribute: Attribute = field(default_factory=Attribute)
    spatial: Spatial = field(default_factory=Spatial)
    spatial_3d: Spatial3d = field(default_factory=Spatial3d)
    numeracy: Numeracy = field(default_factory=Numeracy)


#: The official constants.
OFFICIAL: Final = Options()

TABLES: Final[dict[str, type]] = {
    "attribute": Attribute, "spatial": Spatial, "spatial_3d": Spatial3d, "numeracy": Numeracy,
}  # fmt: skip

#: Dotted names of all constants in a protocol.
KEYS: Final = tuple(f"{table}.{key.name}" for table, kind in TABLES.items() for key in fields(kind))


def options_of(protocol: ResolvedProtocol) -> Options:
    """Return the constants that the protocol sets; raise UserError for a value that no rule can work with."""
    tables = {}
    for table, kind in TABLES.items():
        default = kind()
        given = {}
        for key in fields(kind):
            value = protocol.value(f"{table}.{key.name}")
            if value is not None:
                given[key.name] = _checked(value, getattr(default, key.name), f"{table}.{key.name}", protocol)
        tables[table] = kind(**given)
    return Options(**tables)


def _checked(value: Any, default: Any, key: str, protocol: ResolvedProtocol) -> Any:
    if isinstance(default, bool):
        good, wanted = isinstance(value, bool), "true or false"
    elif isinstance(default, int):
        good, wanted = type(value) is int and value >= 1, "a count of 1 or more"
    elif isinstance(default, float):
        number = isinstance(value, int | float) and not isinstance(value, bool)
        good, wanted = number and 0 < value < float("inf"), "a number above 0"
    elif isinstance(default, str):
        good, wanted = value in DEPTH_AXES, f"one of {', '.join(DEPTH_AXES)}"
    else:
        good = isinstance(value, list) and all(isinstance(word, str) for word in value)
        wanted = "a list of strings"
    if not good:
        raise UserError(
            f"expected {wanted} for {key}, found {value!r}, in protocol {protocol.name}; "
            "fix: set it as the official protocol does"
        )
    return tuple(value) if isinstance(value, list) else value
