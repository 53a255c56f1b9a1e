"""The content of a report, before it is Markdown or HTML: both render this and nothing else."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from pathlib import Path

from lumina_eval.records import Metric
from reports import caveats, curves, gallery, stage_tables
from reports.gallery import TaskGallery
from reports.groups import Group, group_runs, metric_of, value_of
from reports.loading import RunView, load_runs
from reports.numbers import count, counted, digits, fixed, percent
from reports.paired import paired
from reports.reproduce import Recipe, recipe
from reports.stored import StoredImages
from reports.table import Table
from reports.worth import with_scores


@dataclasses.dataclass(frozen=True)
class Section:
    """One group of runs: the answer, how sure it is, what it looks like, how to get it again."""

    group: Group
    anchor: str
    title: str
    badges: tuple[tuple[str, str], ...]
    lead: str
    overview: Table
    parts: tuple[Table, ...]
    paired: tuple[Table, ...]
    curve: str | None
    categories: str | None
    galleries: tuple[TaskGallery, ...]
    claims: str | None
    warnings: tuple[str, ...]
    recipe: Recipe

    def tables(self) -> tuple[Table, ...]:
        """All tables in reading order."""
        return (self.overview, *self.parts, *self.paired)


@dataclasses.dataclass(frozen=True)
class Document:
    """A title and a section for each group of runs."""

    title: str
    sections: tuple[Section, ...]


def document(run_dirs: Sequence[Path], store: Path | None) -> Document:
    """Read run folders and gather what a report says about them; without a store there is no gallery.

    Raises :class:`lumina_eval.errors.UserError` for a folder that holds no whole run.
    """
    find_image = StoredImages(store) if store is not None else None
    groups = group_runs(with_scores(load_runs(run_dirs)))
    sections = tuple(_section(place, group, find_image) for place, group in enumerate(groups, 1))
    titles = list(dict.fromkeys(section.title for section in sections))
    return Document(" · ".join(titles) if len(titles) < 4 else "Text-to-image evaluation", sections)


def lead(group: Group) -> str:
    """Say the answer in one sentence: the last checkpoint given, its value, intervals, n and coverage."""
    if not group.stages:
        return "Only ground truth was judged: these numbers say what the judge itself can see."
    run = group.stages[-1]
    metric = metric_of(run, group.primary)
    if metric is None:
        return f"{group.label(run)} has no value for {group.primary}."
    places = digits(metric.unit)
    step = f" at step {count(run.result.step)}" if run.result.step is not None else ""
    cover = run.result.coverage
    said = [
        f"{group.label(run)}{step}: {_words(group.primary)} {fixed(value_of(metric), places)}",
        *(_beside(name, metric_of(run, name)) for name in group.beside()),
        *_said("with these prompts and other noise", metric.ci_seeds, places),
        *_said("with other prompts as well", metric.ci_prompts, places),
    ]
    if group.timed:
        return f"{'; '.join(said)}. {_timed_on(group, run, metric)}."
    return f"{'; '.join(said)}. {_size(metric)}, coverage {percent(cover.judged, cover.expected)}."


def _timed_on(group: Group, run: RunView, timed: Metric) -> str:
    """Say how much was timed, and of how much its score is: not of the images that were timed."""
    scores = [metric for name in group.beside() if (metric := metric_of(run, name)) is not None]
    return "; ".join([f"Timed on {_size(timed)}", *(f"the score is of {_size(one)}" for one in scores)])


def _size(metric: Metric) -> str:
    return f"{counted(metric.n_prompts, 'prompt')}, {counted(metric.n_images, 'image')}"


def _beside(name: str, metric: Metric | None) -> str:
    value = "not measured" if metric is None else fixed(value_of(metric), digits(metric.unit))
    return f"{_words(name)} {value}"


def _words(name: str) -> str:
    return name.replace("_", " ")


def _said(when: str, bounds: tuple[float, float] | None, places: int) -> list[str]:
    return [f"{fixed(bounds[0], places)} to {fixed(bounds[1], places)} {when}"] if bounds else []


def _section(place: int, group: Group, find_image: gallery.FindImage | None) -> Section:
    shown = gallery.galleries(group, find_image) if find_image else ()
    compared, problems = paired(group)
    warnings = [*caveats.warnings(group), *problems]
    if find_image and not shown and not group.timed:
        warnings.append("No gallery: none of the judged images is in the image store.")
    return Section(
        group=group,
        anchor=f"s{place}-{re.sub(r'[^a-z0-9]+', '-', group.title.lower()).strip('-')}",
        title=group.title,
        badges=group.badges,
        lead=lead(group),
        overview=stage_tables.overview(group),
        parts=stage_tables.parts(group),
        paired=compared,
        curve=curves.steps_curve(group),
        categories=curves.categories(group),
        galleries=shown,
        claims=caveats.claims(group),
        warnings=tuple(warnings),
        recipe=recipe(group),
    )
