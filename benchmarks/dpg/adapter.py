"""DPG-Bench as a benchmark of the harness."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Final

from PIL import Image

from benchmarks.dpg import images as image_folder
from benchmarks.dpg import reading, report, tabletop, verification
from benchmarks.dpg.questions import Question, make_item, questions_of, read_items
from benchmarks.dpg.rules import asked
from benchmarks.dpg.scoring import Options, Outcome, options_of, outcome
from benchmarks.judges.vqa.opening import AnswererOptions
from benchmarks.tabletop import overlay, prompt_table
from lumina_eval.assets.catalogue import fetched
from lumina_eval.errors import UserError
from lumina_eval.plugins import Judge, protocol_judge
from lumina_eval.protocol import ResolvedProtocol
from lumina_eval.records import Aggregate, Item, Verdict
from lumina_eval.verification import Check, Evidence

_PROTOCOLS: Final = Path(__file__).parent / "protocols"
_ASSETS: Final = Path(__file__).parent / "assets.toml"
_RULES: Final = tuple(field.name for field in fields(Options))


class Dpg:
    """Many yes/no questions about each image; the score is the mean share that is fulfilled."""

    name = "dpg"
    #: Dotted keys that a protocol may hold beside the core's own.
    protocol_keys = (
        *_RULES, "questions.repository", "questions.commit", "questions.path", "questions.blob",
        "images.side", "judge.name", *(f"judge.{name}" for name in AnswererOptions.model_fields),
        *prompt_table.KEYS,
    )  # fmt: skip
    #: The last of an item's images is a rule's business, so an item that lacks one is incomplete.
    whole_prompts = True

    def __init__(self, questions: Path | None = None) -> None:
        self._questions = questions

    def with_questions(self, file: Path) -> Dpg:
        """Return the benchmark with the question file that the user has."""
        return Dpg(file)

    def protocols(self) -> Mapping[str, Path]:
        """Return the pinned variants."""
        return {file.stem: file for file in sorted(_PROTOCOLS.glob("*.toml"))}

    def assets(self) -> Path:
        """Return the declaration of what comes from elsewhere."""
        return _ASSETS

    def verification(self, evidence: Evidence) -> Iterator[Check]:
        """Add up published answers; see ``verification.py``."""
        return verification.checks(self, evidence)

    def items(self, protocol: ResolvedProtocol) -> list[Item]:
        """Return every prompt in its order, with its questions as metadata.

        They are those of the question file, or the protocol's own (``tabletop``).
        """
        options = options_of(protocol)  # a choice that there is not is told before images are made
        if prompt_table.is_tabletop(protocol):
            return tabletop.items_of(protocol)
        file = self._questions or fetched(_ASSETS, "dpg-questions")
        if file is None:
            raise _no_questions(protocol)
        items = read_items(file)
        for item in items:
            _asked(item, options)
        return items

    def prompt_lines(self, protocol: ResolvedProtocol) -> Iterator[str]:
        """Yield a JSON object a line with ``item_id`` (the stem of the official file name) and ``prompt``."""
        prompt_table.refuse_questions(protocol, self._questions)
        for item in self.items(protocol):
            yield json.dumps({"item_id": item.id, "prompt": item.prompt}, ensure_ascii=False)

    def judge(self, protocol: ResolvedProtocol) -> Judge:
        """Return the judge that the protocol names.

        Raises UserError if it is not installed (verdicts made elsewhere can be scored all the same), or if it
        answers no questions.
        """
        prompt_table.refuse_questions(protocol, self._questions)
        judge = protocol_judge(
            self.name,
            protocol,
            f"score verdicts made elsewhere with 'lumina-eval judge dpg --protocol {protocol.name} "
            "--verdicts FILE --questions CSV'",
        )
        if judge.kind != "question":
            raise UserError(
                f"expected a judge that answers questions, found {judge.name!r} of kind {judge.kind}, in "
                f"protocol {protocol.name}; fix: --set judge.name=question, or tabletop-questions in "
                "protocol tabletop"
            )
        return judge

    def read_verdicts(self, file: Path, protocol: ResolvedProtocol) -> tuple[list[Item], list[Verdict]]:
        """Read saved verdicts in the order of the question file, and check that no answer is absent."""
        prompt_table.refuse_questions(protocol, self._questions)
        options = options_of(protocol)
        known = {item.id: item for item in self.items(protocol)}
        blob = next(iter(known.values())).metadata["questions_blob"]
        found = reading.read_verdicts(Path(file))
        for where, verdict in found:
            if verdict.item_id not in known:
                if options.unknown_items == "refused":
                    raise UserError(
                        f"{where}: expected an item of the question file, found {verdict.item_id!r}; "
                        "fix: leave the line out, or give the question file that it belongs to"
                    )
                known[verdict.item_id] = make_item(verdict.item_id, "", [], blob)
            reading.check_answered(_asked(known[verdict.item_id], options), verdict, where)
        place = {item_id: number for number, item_id in enumerate(known)}
        verdicts = sorted((verdict for _, verdict in found), key=lambda one: (place[one.item_id], one.index))
        there = {verdict.item_id for verdict in verdicts}
        return [item for item in known.values() if item.id in there], verdicts

    def read_images(self, folder: Path, protocol: ResolvedProtocol) -> list[image_folder.Found]:
        """Find the images of a folder; see ``images.py`` for the layouts.

        A name that is no item's is excluded or refused, as the protocol says of verdicts.
        """
        prompt_table.refuse_questions(protocol, self._questions)
        options = options_of(protocol)
        known = {item.id: item for item in self.items(protocol)}
        listing = image_folder.list_images(folder, known)
        if listing.unknown and options.unknown_items == "refused":
            raise UserError(
                "expected files named after items of the question file, found "
                f"{min(listing.unknown.values())}; fix: take it away, or give the question file that it "
                "belongs to"
            )
        count = protocol.suite("standard").images_per_prompt
        blob = next(iter(known.values())).metadata["questions_blob"]
        return [
            *image_folder.read_images(listing, known, int(protocol.value("images.side", 0)), count),
            *(
                (make_item(name, "", [], blob), crop, path, None)
                for name, path in listing.unknown.items()
                for crop in range(count)
            ),
        ]

    def write_images(
        self, folder: Path, protocol: ResolvedProtocol, images: Iterable[tuple[Item, int, Path]]
    ) -> None:
        """Write the official layout, a grid for each item; see ``images.py``."""
        image_folder.write_images(Path(folder), images)

    def aggregate(
        self, protocol: ResolvedProtocol, items: Sequence[Item], verdicts: Sequence[Verdict]
    ) -> Aggregate:
        """Apply the rules: results and summary, and the metrics with their intervals. Pure."""
        options = options_of(protocol)
        of_item: dict[str, list[Verdict]] = {}
        for verdict in verdicts:
            of_item.setdefault(verdict.item_id, []).append(verdict)
        outcomes: list[Outcome] = []
        neither: Counter[str] = Counter()
        for item in items:
            if item.id not in of_item:
                continue
            questions = _asked(item, options)
            answers = {
                verdict.index: reading.check_answered(questions, verdict, "saved verdicts")
                for verdict in of_item[item.id]
            }
            neither += report.neither(questions, answers.values())
            found = outcome(item.id, questions, answers, options)
            if found.excluded and not questions_of(item):
                found = replace(found, excluded="the question file does not have it")
            outcomes.append(replace(found, task=item.task, split=item.split))
        metrics = report.metrics_of(outcomes)
        return Aggregate(
            metrics=metrics,
            results=report.result_lines(outcomes),
            scores=report.scores_of(outcomes),
            excluded=sum(len(one.crops) for one in outcomes if one.excluded),
            summary=report.summary_text(metrics),
            warnings=report.warnings_of(protocol, items, outcomes, neither),
        )

    def draw(
        self, image: Image.Image, item: Item, verdict: Verdict, protocol: ResolvedProtocol
    ) -> Image.Image:
        """Draw in what the judge saw, where it says so, and how many questions are fulfilled."""
        questions = _asked(item, options_of(protocol))
        found = outcome(item.id, questions, {verdict.index: verdict.output["answers"]}, options_of(protocol))
        if found.excluded:
            return overlay.draw(image, verdict.output.get("seen", []), False, "excluded")
        fulfilled = round(found.scores[0] * len(questions))
        words = f"{fulfilled} of {len(questions)}"
        return overlay.draw(image, verdict.output.get("seen", []), fulfilled == len(questions), words)


def _asked(item: Item, options: Options) -> list[Question]:
    """Return the questions of an item that the protocol asks.

    Raises UserError where joined blocks hold a proposition id twice: which of the two counts, nobody knows.
    """
    questions = asked(
        questions_of(item), skip_first_row=options.skip_first_row, later_block=options.later_block
    )
    rows: dict[int, int] = {}
    for question in questions:
        if question.id in rows:
            raise UserError(
                f"expected each proposition_id once in item {item.id!r}, whose rows do not all stand "
                f"together, found {question.id} in data rows {rows[question.id]} and {question.row}; "
                "fix: mend the question file, or take --protocol official, where the later rows replace "
                "the earlier ones"
            )
        rows[question.id] = question.row
    return questions


def _no_questions(protocol: ResolvedProtocol) -> UserError:
    repository, commit, path, blob = (
        protocol.value(f"questions.{key}") for key in ("repository", "commit", "path", "blob")
    )
    return UserError(
        f"expected --questions CSV, found none: the questions of dpg are not shipped; they are {path} of "
        f"{repository} at {commit[:8]}, git blob {blob}; fix: lumina-eval data fetch dpg-questions, or "
        f"give a copy that you have with --questions {Path(path).name}"
    )
