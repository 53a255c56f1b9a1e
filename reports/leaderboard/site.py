"""The files of a leaderboard: pages and data with relative links, the same bytes for the same runs."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, Final

import jinja2
from markupsafe import Markup, escape

from lumina_eval.errors import UserError
from lumina_eval.files import write_atomic
from lumina_eval.records import Interval
from reports.leaderboard.boards import Board, boards, page_of
from reports.leaderboard.entries import RECEIPTS, Entry
from reports.renderers.csv import LINE_END, csv_table, safe
from reports.renderers.html import environment
from reports.renderers.json import json_table
from reports.reproduce import facts_of
from reports.stage_tables import metric_cell
from reports.table import Cell, Column, Row, Table

#: What is in the site, for programs and for the next time it is written.
INDEX: Final = "data/leaderboard.json"
_CSV: Final = (
    "board", "run", "model", "stage", "step", "benchmark", "protocol", "suite", "subset", "metric", "value",
    "ci_seeds_low", "ci_seeds_high", "ci_prompts_low", "ci_prompts_high", "n_prompts", "n_images", "unit",
    "judged", "expected", "receipt",
)  # fmt: skip


def write_site(entries: Sequence[Entry], site: Path, title: str) -> list[Path]:
    """Write the leaderboard of some runs, take away what an earlier one wrote beside them, return the files.

    Only files that the earlier site names as its own are taken away.
    """
    found = boards(entries)
    texts = dict(_files(entries, found, title))
    kept = {file for entry in entries for file in entry.files}
    before = _written_before(site)
    index = {
        "schema": 1,
        "title": title,
        "boards": [_board_record(board) for board in found],
        "runs": [_run_record(entry) for entry in entries],
        "files": sorted({*texts, *kept, INDEX}),
    }
    texts[INDEX] = json.dumps(index, indent=1, ensure_ascii=False) + "\n"
    for name, text in texts.items():
        write_atomic(site / name, text.encode("utf-8", "backslashreplace"))
    for name in before - {*texts, *kept}:
        (site / name).unlink(missing_ok=True)
    return [site / name for name in sorted(texts)]


def title_of(site: Path) -> str | None:
    """Return the heading of a site that is there; None where there is none, or none that can be read."""
    try:
        found = json.loads((site / INDEX).read_text(encoding="utf-8"))["title"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return found if isinstance(found, str) else None


def _files(entries: Sequence[Entry], found: Sequence[Board], title: str) -> Iterator[tuple[str, str]]:
    """Yield the name and the text of every file but the index."""
    pages = _environment()
    yield "index.html", pages.get_template("index.html.j2").render(title=title, boards=found, root="")
    of_run = {row.run: board for board in found for row in board.table.rows}
    for entry in entries:
        board = of_run[entry.run_id]
        yield (
            page_of(entry.run_id),
            pages.get_template("run.html.j2").render(
                title=title,
                root="../",
                board=board,
                run=entry.view,
                receipt=entry.receipt,
                unchecked=entry.open,
                checked_notes=entry.notes,
                receipt_file=entry.files[0],
                metrics=_metrics(entry),
                facts=facts_of(entry.view),
            ),
        )
    for board in found:
        yield f"data/{board.slug}.csv", csv_table(board.table)
        yield f"data/{board.slug}.json", json_table(board.table)
    yield "data/leaderboard.csv", _long_csv(entries, of_run)
    yield "style.css", _text("reports", "templates", "report.css") + _own("leaderboard.css")
    yield "leaderboard.js", _own("leaderboard.js")


def _environment() -> jinja2.Environment:
    found = environment()
    base = found.loader
    assert base is not None
    found.loader = jinja2.ChoiceLoader([jinja2.PackageLoader("reports.leaderboard"), base])
    found.filters["breaks"] = with_breaks
    return found


def with_breaks(text: str) -> Markup:
    """Return a name, escaped, that a narrow column may break behind its punctuation."""
    return Markup(re.sub(r"([:/_-])", r"\1<wbr>", str(escape(text))))


def _metrics(entry: Entry) -> Table:
    """Every metric of a run in a row of its own."""
    rows = []
    for metric in entry.receipt.result.metrics:
        column = Column("", unit=metric.unit)
        cell = metric_cell(metric)
        bounds = {found.name: column.bounds(found) for found in cell.intervals}
        rows.append(
            Row(
                (
                    Cell(metric.name),
                    Cell(column.shows(cell), metric.value),
                    *(
                        Cell(bounds[name]) if name in bounds else Cell.missing()
                        for name in ("seeds", "prompts")
                    ),
                    Cell(value=metric.n_prompts),
                    Cell(value=metric.n_images),
                    Cell(metric.unit.replace("_", " ")),
                )
            )
        )
    columns = (
        Column("metric", numeric=False),
        Column("value"),
        Column("95 % seeds", note="Prompts fixed, noise drawn again (ci_seeds)."),
        Column("95 % prompts", note="Prompts drawn again as well (ci_prompts)."),
        Column("prompts", unit="count"),
        Column("images", unit="count"),
        Column("unit", numeric=False),
    )
    return Table("Metrics", columns, tuple(rows))


def _board_record(board: Board) -> dict[str, Any]:
    return {
        "id": board.slug,
        "title": board.title,
        "labels": [text for _, text in board.badges],
        "claim": board.claim,
        "csv": f"data/{board.slug}.csv",
        "json": f"data/{board.slug}.json",
        "runs": [row.run for row in board.table.rows],
    }


def _run_record(entry: Entry) -> dict[str, Any]:
    return {
        "run_id": entry.run_id,
        "title": entry.view.title,
        "page": page_of(entry.run_id),
        "receipt": entry.files[0],
        "digest": entry.receipt.digest,
        "unchecked": list(entry.open),
    }


def _long_csv(entries: Sequence[Entry], of_run: Mapping[str | None, Board]) -> str:
    """One line for each metric of each run."""
    out = io.StringIO()
    writer = csv.DictWriter(out, _CSV, lineterminator=LINE_END)
    writer.writeheader()
    for entry in entries:
        result = entry.receipt.result
        common = {
            "board": of_run[entry.run_id].slug, "run": entry.run_id, "model": entry.view.title,
            "stage": result.stage, "step": result.step, "benchmark": result.benchmark,
            "protocol": result.protocol, "suite": result.suite, "subset": result.subset,
            "judged": result.coverage.judged, "expected": result.coverage.expected, "receipt": entry.files[0],
        }  # fmt: skip
        for metric in result.metrics:
            values = {
                **common, "metric": metric.name, "value": metric.value, "unit": metric.unit,
                "n_prompts": metric.n_prompts, "n_images": metric.n_images,
                **_ends("ci_seeds", metric.ci_seeds), **_ends("ci_prompts", metric.ci_prompts),
            }  # fmt: skip
            writer.writerow({name: safe(v) if isinstance(v, str) else v for name, v in values.items()})
    return out.getvalue()


def _ends(name: str, interval: Interval | None) -> dict[str, float | None]:
    low, high = interval or (None, None)
    return {f"{name}_low": low, f"{name}_high": high}


def _written_before(site: Path) -> set[str]:
    """Return the files that an earlier leaderboard in this folder names as its own."""
    path = site / INDEX
    if not path.exists():
        return set()
    try:
        names = json.loads(path.read_text(encoding="utf-8"))["files"]
        found = {str(name) for name in names}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"expected the index of a leaderboard, found {error!r}, in {path}; fix: another --out"
        ) from error
    return {name for name in found if name.split("/")[0] in ("data", "runs", RECEIPTS) and ".." not in name}


def _own(name: str) -> str:
    return _text("reports.leaderboard", "templates", name)


def _text(package: str, *parts: str) -> str:
    return resources.files(package).joinpath(*parts).read_text(encoding="utf-8")
