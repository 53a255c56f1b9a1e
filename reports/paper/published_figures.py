"""What stands behind two figures that others printed, as records."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from lumina_eval.records import Record


class Captions(Record):
    """Figure 4: kinds of captions with their average length in characters; its curves are not published."""

    schema_: Literal[1] = Field(alias="schema")
    name: str
    title: str
    source: str
    captions: dict[str, float]


class Bar(Record):
    """One bar of Figure 11."""

    label: str
    seconds: float = Field(gt=0)
    faster: float | None = None
    """How many times faster than the bar above, as printed."""
    geneval: float | None = None
    dpg: float | None = None


class SpeedChain(Record):
    """Figure 11: seconds for an image, one change after the other."""

    schema_: Literal[1] = Field(alias="schema")
    name: str
    title: str
    source: str
    conditions: str
    notes: tuple[str, ...] = ()
    bars: list[Bar]
