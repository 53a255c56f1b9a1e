"""A table of the paper in five files, for people and for machines."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lumina_eval.files import write_atomic
from reports.paper.published_files import published
from reports.paper.tables import tables
from reports.renderers.csv import csv_table
from reports.renderers.html import environment
from reports.renderers.json import SCHEMA, json_object
from reports.renderers.latex import PREAMBLE, latex_table
from reports.renderers.markdown import markdown_table
from reports.table import Table


def write(name: str, inputs: Sequence[Path], out: Path) -> list[Path]:
    """Write the published table ``name`` with the runs of ``inputs`` to ``out``: md, tex, csv, json, html.

    Returns the files, the Markdown first. A second table (differences) is in the same files; as CSV it has a
    file of its own. Raises UserError as :func:`reports.paper.tables.tables` does.
    """
    found = tables(name, inputs)
    texts = {
        f"{name}.md": "\n\n".join(markdown_table(table) for table in found.values()) + "\n",
        f"{name}.tex": "\n".join(
            [PREAMBLE, *(latex_table(table, f"tab:{key}") for key, table in found.items())]
        ),
        **{f"{key}.csv": csv_table(table) for key, table in found.items()},
        f"{name}.json": _json(found),
        f"{name}.html": _html(found),
    }
    for file, text in texts.items():
        write_atomic(Path(out) / file, text.encode())
    return [Path(out) / file for file in texts]


def _json(found: Mapping[str, Table]) -> str:
    objects = [{"id": key, **json_object(table)} for key, table in found.items()]
    text = json.dumps({"schema": SCHEMA, "tables": objects}, ensure_ascii=False, allow_nan=False, indent=2)
    return text.encode("utf-8", "backslashreplace").decode() + "\n"


def _html(found: Mapping[str, Table]) -> str:
    tables = list(found.values())
    text = environment().get_template("paper.html.j2").render(title=tables[0].caption, tables=tables)
    return text.encode("utf-8", "replace").decode()


@dataclass(frozen=True)
class PaperTable:
    """What ``report --table`` calls by name; ``title`` is what ``list tables`` says of it."""

    name: str

    @property
    def title(self) -> str:
        """As the paper has it, in short."""
        return published(self.name).title

    def __call__(self, inputs: Sequence[Path], out: Path) -> list[Path]:
        """Write the table with the runs of ``inputs``, see :func:`write`."""
        return write(self.name, inputs, out)


table2 = PaperTable("table2")
table3 = PaperTable("table3")
table4 = PaperTable("table4")
table5 = PaperTable("table5")
table6 = PaperTable("table6")
table7 = PaperTable("table7")
table8 = PaperTable("table8")
