"""A table that others printed, as a record: its columns, rows, sources and settings."""

from __future__ import annotations

import datetime
import itertools
from collections.abc import Iterator
from typing import Final, Literal

from pydantic import Field, model_validator

from lumina_eval.records import Record

#: What stands in a row for a cell that the paper leaves out.
NOT_GIVEN: Final = ""

Value = float | str


class MetricRef(Record):
    """What a run calls the number of a column, and the sample that the benchmark's protocol has for it."""

    benchmark: str
    """Name of the entry point; ``arena`` for a category of ratings."""
    name: str
    prompts: int | None = Field(default=None, ge=1)
    """None where the number is no mean over images, so that no standard error can be made from n."""
    images_per_prompt: int | None = Field(default=None, ge=1)

    @property
    def n_images(self) -> int | None:
        """Images behind the number."""
        if self.prompts is None or self.images_per_prompt is None:
            return None
        return self.prompts * self.images_per_prompt


class PublishedColumn(Record):
    """A column: how its numbers are read, and where a run's own number for it comes from."""

    label: str
    group: str = ""
    direction: Literal["higher", "lower"] | None = None
    unit: str = "fraction"
    digits: int | None = Field(default=None, ge=0)
    numeric: bool = True
    metric: MetricRef | None = None
    fact: str | None = None
    """What is asked of a run's checkpoint instead, see :mod:`reports.paper.checkpoint_facts`."""

    @property
    def name(self) -> str:
        """Group and label."""
        return f"{self.group} {self.label}".strip()


class Settings(Record):
    """How a published number was made; None where the source does not say."""

    rewritten: bool | None = None
    """True if a language model rewrote the prompts."""
    images_per_prompt: int | None = None
    steps: int | None = None
    guidance: float | None = None
    system_prompt: str | None = None
    judge: str | None = None
    source: str | None = None
    """Where the settings are told, if not in the table's own source."""


class Section(Record):
    """Rows under a title, as printed: one value a column, the first one names the row."""

    title: str = ""
    rows: list[list[Value]] = Field(min_length=1)


class Pair(Record):
    """Two rows, counted from 1, whose difference in a column is held against its standard error."""

    column: str
    rows: tuple[int, int]


class Arena(Record):
    """Of a leaderboard: its name for the command line, for people, and its day."""

    name: str
    title: str
    date: datetime.date


class PublishedTable(Record):
    """A table of a paper."""

    schema_: Literal[1] = Field(alias="schema")
    name: str
    title: str
    source: str
    notes: tuple[str, ...] = ()
    reference: int | None = None
    """The row, counted from 1, that runs are held against."""
    settings: Settings | None = None
    """Of every row; None for a table that is no measurement."""
    row_settings: dict[str, Settings] = Field(default_factory=dict)
    columns: list[PublishedColumn] = Field(min_length=2)
    sections: list[Section] = Field(min_length=1)
    pairs: tuple[Pair, ...] = ()
    arena: Arena | None = None

    @model_validator(mode="after")
    def _whole(self) -> PublishedTable:
        rows = list(self.rows())
        for number, (_, row) in enumerate(rows, 1):
            if len(row) != len(self.columns):
                raise ValueError(
                    f"row {number} ({row[0]}): expected {len(self.columns)} values, found {len(row)}"
                )
        numbers = [
            *([self.reference] if self.reference else []),
            *(n for pair in self.pairs for n in pair.rows),
        ]
        if wrong := [number for number in numbers if not 1 <= number <= len(rows)]:
            raise ValueError(f"expected rows from 1 to {len(rows)}, found {wrong[0]}")
        labels = [column.name for column in self.columns]
        if twice := [a for a, b in itertools.pairwise(sorted(labels)) if a == b]:
            raise ValueError(f"two columns are called {twice[0]!r}")
        if strange := [pair.column for pair in self.pairs if pair.column not in labels]:
            raise ValueError(f"no column is called {strange[0]!r}")
        names = {str(row[0]) for _, row in rows}
        if strange := [name for name in self.row_settings if name not in names]:
            raise ValueError(f"no row is called {strange[0]!r}")
        return self

    def rows(self) -> Iterator[tuple[str, list[Value]]]:
        """Every row with the title of its section, in the printed order."""
        return ((section.title, row) for section in self.sections for row in section.rows)

    def settings_of(self, row: list[Value]) -> Settings | None:
        """Settings of a row; None for a table that is no measurement."""
        return self.row_settings.get(str(row[0]), self.settings)
