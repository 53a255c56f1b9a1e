"""GenEval as a benchmark of the harness."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, Final

from PIL import Image

from benchmarks.geneval import drawing, layout, opening, reading, verification
from benchmarks.geneval.jitter import Case, jitter
from benchmarks.geneval.prompt_set import items_of, known_ids, vocabulary_of
from benchmarks.geneval.prompts import to_jsonl
from benchmarks.geneval.rules import MissingColorError, Options, Outcome, evaluate
from benchmarks.geneval.summary import result_lines, result_row, summary_text
from benchmarks.geneval.validation import check_output
from benchmarks.geneval.vocabulary import COLORS, TASKS
from lumina_eval.errors import UserError
from lumina_eval.plugins import Judge, protocol_judge
from lumina_eval.protocol import ResolvedProtocol
from lumina_eval.records import Aggregate, Item, Metric, Score, Verdict
from lumina_eval.statistics.means import metric
from lumina_eval.verification import Check, Evidence

_PROTOCOLS: Final = Path(__file__).parent / "protocols"
_ASSETS: Final = Path(__file__).parent / "assets.toml"
_RULES: Final = tuple(field.name for field in fields(Options))


class GenEval:
    """Objects, counts, colours and positions by detection; the score is the mean of the six task means."""

    name = "geneval"
    #: Dotted keys that a protocol may hold beside the core's own.
    protocol_keys = (
        *_RULES, "prompts.vocabulary", "prompts.seed", "prompts.draws", "prompts.part", "prompts.per_task",
        "judge.name", *(f"judge.{key}" for key in opening.DetectionOptions.model_fields),
    )  # fmt: skip

    def protocols(self) -> Mapping[str, Path]:
        """Return the pinned variants."""
        return {file.stem: file for file in sorted(_PROTOCOLS.glob("*.toml"))}

    def assets(self) -> Path:
        """Return the declaration of what comes from elsewhere."""
        return _ASSETS

    def verification(self, evidence: Evidence) -> Iterator[Check]:
        """Judge the authors' published images; see ``verification.py``."""
        return verification.checks(self, evidence)

    def items(self, protocol: ResolvedProtocol) -> list[Item]:
        """Return every prompt of the protocol in official order."""
        options_of(protocol)  # a constant that is no number is told now, not after the images are made
        return items_of(protocol)

    def prompt_lines(self, protocol: ResolvedProtocol) -> Iterator[str]:
        """Yield the official metadata lines, without line ends."""
        for item in self.items(protocol):
            yield to_jsonl([item.metadata]).rstrip("\n")

    def judge(self, protocol: ResolvedProtocol) -> Judge:
        """Return the judge that the protocol names.

        Raises UserError if it is not installed; verdicts made elsewhere can be scored all the same.
        """
        return protocol_judge(
            self.name,
            protocol,
            f"score verdicts made elsewhere with 'lumina-eval judge geneval --protocol {protocol.name} "
            "--verdicts FILE', or take --protocol tabletop",
        )

    def read_images(self, folder: Path, protocol: ResolvedProtocol) -> list[tuple[Item, int, Path]]:
        """Find images in the official layout; see :func:`benchmarks.geneval.reading.read_images`."""
        return reading.read_images(Path(folder), vocabulary_of(protocol), known_ids(protocol))

    def write_images(
        self, folder: Path, protocol: ResolvedProtocol, images: Iterable[tuple[Item, int, Path]]
    ) -> None:
        """Write images in the official layout; see :func:`benchmarks.geneval.layout.write_images`."""
        layout.write_images(Path(folder), images)

    def read_verdicts(self, file: Path, protocol: ResolvedProtocol) -> tuple[list[Item], list[Verdict]]:
        """Read saved verdicts, and check that no colour is absent that a rule needs."""
        items, verdicts = reading.read_verdicts(Path(file), vocabulary_of(protocol), known_ids(protocol))
        by_id = {item.id: item for item in items}
        for verdict in verdicts:
            if any("color" in clause for clause in by_id[verdict.item_id].metadata.get("include", [])):
                self._outcome(by_id[verdict.item_id], verdict, protocol, str(file))
        return items, verdicts

    def aggregate(
        self, protocol: ResolvedProtocol, items: Sequence[Item], verdicts: Sequence[Verdict]
    ) -> Aggregate:
        """Apply the rules: official results and summary, and the metrics with their intervals. Pure.

        Above the official summary stands how much of it hangs on the threshold.
        """
        by_id = {item.id: item for item in items}
        rows, scores, cases = [], [], []
        for verdict in verdicts:
            item = by_id[verdict.item_id]
            outcome = self._outcome(item, verdict, protocol)
            seen = verdict.output
            cases.append(Case(item.metadata, seen["detections"], seen.get("colors", {}), outcome.correct))
            rows.append(result_row(_filename(verdict), item.metadata, outcome))
            scores.append(
                Score(
                    item_id=item.id,
                    task=item.task,
                    index=verdict.index,
                    value=float(outcome.correct),
                    split=item.split,
                )
            )
        swayed = jitter(cases, vocabulary_of(protocol).classes, options_of(protocol))
        return Aggregate(
            metrics=metrics_of(scores),
            results=result_lines(rows),
            scores=scores,
            summary=f"Threshold: {swayed}\n\n{summary_text(rows)}" if rows else "",
            warnings=[str(swayed)] if swayed and swayed.near else [],
        )

    def draw(
        self, image: Image.Image, item: Item, verdict: Verdict, protocol: ResolvedProtocol
    ) -> Image.Image:
        """Draw in what the judge saw, and which of it counts by the protocol's rules."""
        return drawing.draw(image, verdict.output, self._outcome(item, verdict, protocol))

    def _outcome(
        self, item: Item, verdict: Verdict, protocol: ResolvedProtocol, file: str | None = None
    ) -> Outcome:
        vocabulary = vocabulary_of(protocol)
        where = f"{_filename(verdict)}" + (f" in {file}" if file else "")
        output = check_output(verdict.output, vocabulary, where)
        try:
            return evaluate(
                item.metadata,
                output["detections"],
                output["colors"],
                vocabulary.classes,
                options_of(protocol),
            )
        except MissingColorError as error:
            raise UserError(
                f"expected one of {', '.join(COLORS)} at colors[{error.name!r}][{error.index}], found null, "
                f"for {where}; fix: let the judge name the colour of this detection"
            ) from error


def options_of(protocol: ResolvedProtocol) -> Options:
    """Return the constants of the rules as the protocol sets them.

    Scores, overlaps and distances in shares of a size are 0 to 1; of objects at least one is kept. Raises
    UserError for what is outside.
    """
    values: dict[str, Any] = {name: protocol.value(name) for name in _RULES}
    given = {name: value for name, value in values.items() if value is not None}
    for name, value in given.items():
        if name == "max_objects":
            fits, what = isinstance(value, int) and value >= 1, "a whole number of 1 or more"
        else:
            fits, what = isinstance(value, int | float) and 0 <= value <= 1, "a number from 0 to 1"
        if not fits or isinstance(value, bool):
            raise UserError(
                f"expected {what} for {name}, found {value!r}, in protocol {protocol.name}; "
                "fix: set it as the official protocol does"
            )
    return Options(**given)


def metrics_of(scores: Sequence[Score]) -> list[Metric]:
    """Return ``overall``, the tasks (null where nothing was asked), and the splits where there are any.

    ``seen/overall`` and ``unseen/overall`` are means over the tasks that have both kinds of prompt, so that
    the two compare like with like.
    """
    tasks = [*TASKS, *dict.fromkeys(score.task for score in scores if score.task not in TASKS)]
    metrics = [metric("overall", scores)]
    metrics += [metric(task, [score for score in scores if score.task == task]) for task in tasks]
    splits = sorted({score.split for score in scores if score.split is not None})
    there = {(score.task, score.split) for score in scores}
    in_all = {task for task in tasks if all((task, split) in there for split in splits)}
    for split in splits:
        part = [score for score in scores if score.split == split and score.task in in_all]
        metrics.append(metric(f"{split}/overall", part))
    return metrics


def _filename(verdict: Verdict) -> str:
    """Return the image's own name if the verdict knows it, else its place in the official layout."""
    name = verdict.output.get("filename")
    return name if isinstance(name, str) else f"{verdict.item_id}/samples/{verdict.index:04d}.png"
