"""Published rows as rows of a table: values as printed, a mark for settings that the source does not tell."""

from __future__ import annotations

from typing import Final

from reports.numbers import EM_DASH, count, fixed
from reports.paper.checkpoint_facts import amount
from reports.paper.footnotes import Footnotes
from reports.paper.precision import ASSUMPTION, combined, published_error
from reports.paper.published import NOT_GIVEN, Pair, PublishedColumn, PublishedTable, Settings, Value
from reports.table import Cell, Column, Row

#: Settings by what they are called in a sentence.
NAMES: Final = {
    "rewritten": "whether prompts were rewritten",
    "images_per_prompt": "images per prompt",
    "steps": "steps",
    "guidance": "guidance",
    "system_prompt": "system prompt",
    "judge": "judge",
}
#: A difference below so many of its standard errors is no more than noise often makes.
RESOLVED: Final = 2.0


def column(found: PublishedColumn) -> Column:
    """Return a published column as a table's column."""
    note = f"{found.metric.benchmark}: {found.metric.name}" if found.metric else None
    return Column(
        found.label, found.direction, found.unit, found.digits, note, found.numeric, group=found.group
    )


def rows(table: PublishedTable, footnotes: Footnotes) -> list[Row]:
    """Return the printed rows; the name of a measured row carries the mark of its settings."""
    made = []
    for section, values in table.rows():
        settings = table.settings_of(values)
        marks = () if settings is None else (footnotes.mark(told(settings)),)
        cells = [cell(of, value) for of, value in zip(table.columns, values, strict=True)]
        made.append(Row((Cell(cells[0].text, note=table.source, marks=marks), *cells[1:]), section=section))
    return made


def cell(of: PublishedColumn, value: Value) -> Cell:
    """Return one printed value; what is left out is an em dash."""
    if value == NOT_GIVEN:
        return Cell.missing("not given")
    if isinstance(value, str):
        return Cell(value, amount(value) if of.numeric else None)
    return Cell(value=value) if of.numeric else Cell(str(value))


def told(settings: Settings) -> str:
    """Say what a source tells of its settings, and what it does not."""
    values = settings.model_dump()
    unknown = [words for key, words in NAMES.items() if values[key] is None]
    said = [f"{words} {word(values[key])}" for key, words in NAMES.items() if values[key] is not None]
    parts = [f"settings: {', '.join(said)}"] if said else []
    parts += [f"settings unknown: {', '.join(unknown)}"] if unknown else []
    parts += [f"told in {settings.source}"] if settings.source else []
    return "; ".join(parts)


def precision_notes(table: PublishedTable) -> list[str]:
    """Say how exact the reference row can be, and what the pairs of rows that are named can tell."""
    if table.reference is None:
        return []
    values = [row for _, row in table.rows()]
    reference = values[table.reference - 1]
    errors = [
        f"{of.name} {column(of).shows(Cell(value=value))} ± {fixed(error, places(of))}"
        for of, value in zip(table.columns, reference, strict=True)
        if not isinstance(value, str) and (error := error_of(of, value)) is not None
    ]
    if not errors:
        return []
    name = row_name(table, table.reference)
    return [ASSUMPTION, f"{name}: {', '.join(errors)}.", *(_pair(table, pair) for pair in table.pairs)]


def error_of(of: PublishedColumn, value: float) -> float | None:
    """Return the greatest standard error of a printed value; None where it is not known."""
    return published_error(value, of.metric.n_images, of.unit) if of.metric else None


def places(of: PublishedColumn) -> int:
    """Digits of a standard error or a difference: one more than the printed ones, if these are few."""
    return max(column(of).places, 3 if of.unit == "fraction" else 2)


def row_name(table: PublishedTable, number: int) -> str:
    """Return the name of a row counted from 1, with its second cell where another row has that name."""
    values = [row for _, row in table.rows()]
    row = values[number - 1]
    if sum(other[0] == row[0] for other in values) == 1:
        return str(row[0])
    second = column(table.columns[1]).shows(cell(table.columns[1], row[1]))
    return f"{row[0]} [{table.columns[1].label}: {second}]"


def _pair(table: PublishedTable, pair: Pair) -> str:
    place = [of.name for of in table.columns].index(pair.column)
    of = table.columns[place]
    one, other = ([row for _, row in table.rows()][number - 1][place] for number in pair.rows)
    if isinstance(one, str) or isinstance(other, str):
        return f"{pair.column}: one of the rows {pair.rows[0]} and {pair.rows[1]} has no value."
    error = combined(error_of(of, one), error_of(of, other))
    names = " and ".join(row_name(table, number) for number in pair.rows)
    difference = abs(one - other)
    if error is None:
        return f"{pair.column}: {names} differ by {fixed(difference, places(of))}."
    verdict = "more than" if difference >= RESOLVED * error else "less than"
    images = of.metric.n_images if of.metric else None
    return (
        f"{pair.column}: {names} differ by {fixed(difference, places(of))}, {verdict} twice the standard "
        f"error that {count(images)} images each may leave ({fixed(error, places(of))})."
    )


def word(value: object) -> str:
    """Write one setting."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return EM_DASH if value is None else str(value)
