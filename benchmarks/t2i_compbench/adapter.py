"""T2I-CompBench as a benchmark of the harness."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from PIL import Image

from benchmarks.t2i_compbench import images as layout
from benchmarks.t2i_compbench import options as constants
from benchmarks.t2i_compbench import reading, tabletop
from benchmarks.t2i_compbench.errors import MissingValueError
from benchmarks.t2i_compbench.looks import PARSED
from benchmarks.t2i_compbench.models import CompBenchOptions
from benchmarks.t2i_compbench.nouns import NOUNS, Nouns
from benchmarks.t2i_compbench.options import Options, options_of
from benchmarks.t2i_compbench.parses import Parses, read_parses
from benchmarks.t2i_compbench.prompt_set import BINDING, CATEGORIES, categories_of, no_prompts, read_items
from benchmarks.t2i_compbench.scoring import Answer, answer_of
from benchmarks.tabletop import overlay, prompt_table
from lumina_eval.assets.catalogue import fetched
from lumina_eval.errors import UserError
from lumina_eval.plugins import Judge, protocol_judge
from lumina_eval.protocol import ResolvedProtocol
from lumina_eval.records import Aggregate, Item, Metric, Score, Verdict
from lumina_eval.statistics.means import metric

_PROTOCOLS: Final = Path(__file__).parent / "protocols"
_ASSETS: Final = Path(__file__).parent / "assets.toml"

#: A cosine enters these as it is, and may be less than 0.
_SIGNED: Final = ("non_spatial", "complex")


class T2ICompBench:
    """Eight categories, each with a rule and a mean of its own; there is no score over all of them."""

    name = "t2i_compbench"
    #: Dotted keys that a protocol may hold beside the core's own.
    protocol_keys = (
        *prompt_table.KEYS,
        *constants.KEYS,
        *(f"prompts.{name}" for name in ("categories", "repository", "commit", "path")),
        *(f"prompts.sha256.{category}" for category in CATEGORIES),
        *(f"judge.{key}" for key in ("name", *CompBenchOptions.model_fields)),
    )

    def __init__(self, prompts: Path | None = None, parses: Parses | None = None) -> None:
        self._prompts, self._parses = prompts, parses

    def with_questions(self, file: Path) -> T2ICompBench:
        """Return the benchmark with the folder of prompt files that the user has."""
        return T2ICompBench(file, self._parses)

    def with_parses(self, file: Path) -> T2ICompBench:
        """Return the benchmark with a parse file (``parses.py``), which its own judge reads."""
        return T2ICompBench(self._prompts, read_parses(Path(file)))

    def protocols(self) -> Mapping[str, Path]:
        """Return the pinned variants."""
        return {file.stem: file for file in sorted(_PROTOCOLS.glob("*.toml"))}

    def assets(self) -> Path:
        """Return the declaration of what comes from elsewhere."""
        return _ASSETS

    def items(self, protocol: ResolvedProtocol) -> list[Item]:
        """Return every prompt of the user's files in official order, category by category.

        Those of protocol ``tabletop`` are its own.
        """
        options_of(protocol)  # a constant that no rule can use is told now, not after the images are made
        categories = categories_of(protocol)
        if prompt_table.is_tabletop(protocol):
            return tabletop.items_of(protocol, categories)
        folder = self._folder()
        if folder is None:
            raise no_prompts(protocol)
        items = read_items(folder, protocol)
        if self._parses is not None:  # one that is lacking is told now, too
            self._parses.check(item for item in items if item.task in PARSED)
        return items

    def _folder(self) -> Path | None:
        """Return where the prompt files lie, named or fetched; None if nowhere."""
        return self._prompts or fetched(_ASSETS, "t2i_compbench-prompts")

    def prompt_lines(self, protocol: ResolvedProtocol) -> Iterator[str]:
        """Yield the prompts, as the official files have them."""
        prompt_table.refuse_questions(protocol, self._prompts)
        for item in self.items(protocol):
            yield item.prompt

    def judge(self, protocol: ResolvedProtocol) -> Judge:
        """Return the judge that the protocol names, for the categories that it asks.

        A judge with a method ``for_prompts`` is told these categories and the parses.

        Raises UserError if it is not installed; verdicts made elsewhere can be scored all the same.
        """
        prompt_table.refuse_questions(protocol, self._prompts)
        judge = protocol_judge(
            self.name,
            protocol,
            "score verdicts made elsewhere with 'lumina-eval judge t2i_compbench "
            f"--protocol {protocol.name} --verdicts FILE'",
        )
        for_prompts = getattr(judge, "for_prompts", None)
        if for_prompts is None:
            return judge
        bound: Judge = for_prompts(categories_of(protocol), self._parses)
        return bound

    def read_images(self, folder: Path, protocol: ResolvedProtocol) -> list[tuple[Item, int, Path]]:
        """Find images in the official layout; see ``images.py``.

        Where the prompt files are named or fetched, any prompt that is not of the protocol's is an error.
        """
        prompts = self._folder()
        known = None if prompts is None else read_items(prompts, protocol)
        if prompt_table.is_tabletop(protocol):
            known = self.items(protocol)
        per_prompt = protocol.suite("standard").images_per_prompt
        return layout.read_images(Path(folder), categories_of(protocol), known, per_prompt)

    def write_images(
        self, folder: Path, protocol: ResolvedProtocol, images: Iterable[tuple[Item, int, Path]]
    ) -> None:
        """Write images in the official layout, for the official scripts."""
        layout.write_images(Path(folder), images)

    def read_verdicts(self, file: Path, protocol: ResolvedProtocol) -> tuple[list[Item], list[Verdict]]:
        """Read saved verdicts, and check that none lacks what its rule needs; see ``reading.py``."""
        prompt_table.refuse_questions(protocol, self._prompts)
        items, verdicts = reading.read_verdicts(Path(file), options_of(protocol))
        if prompt_table.is_tabletop(protocol):
            items = tabletop.known_items(items, self.items(protocol), file)
        return items, verdicts

    def aggregate(
        self, protocol: ResolvedProtocol, items: Sequence[Item], verdicts: Sequence[Verdict]
    ) -> Aggregate:
        """Apply the rules: official answers, and a mean for each category with its intervals. Pure."""
        by_id, options = {item.id: item for item in items}, options_of(protocol)
        nouns = tabletop.NOUNS if prompt_table.is_tabletop(protocol) else NOUNS
        verdicts = layout.named(items, verdicts)
        answers = [
            (by_id[verdict.item_id], verdict, _answer(by_id[verdict.item_id], verdict, options, nouns))
            for verdict in verdicts
        ]
        scores = [
            Score(item_id=item.id, task=item.task, index=verdict.index, value=float(answer), split=item.split)
            for item, verdict, answer in answers
        ]
        return Aggregate(
            metrics=metrics_of(scores),
            results=[_result_line(*entry) for entry in answers],
            scores=scores,
            summary=summary_text(scores),
        )

    def draw(
        self, image: Image.Image, item: Item, verdict: Verdict, protocol: ResolvedProtocol
    ) -> Image.Image:
        """Draw in what the judge saw, where it says so, and the score."""
        nouns = tabletop.NOUNS if prompt_table.is_tabletop(protocol) else NOUNS
        score = float(_answer(item, verdict, options_of(protocol), nouns))
        return overlay.draw(image, verdict.output.get("seen", []), score == 1, f"{score:.2f}")


def metrics_of(scores: Sequence[Score]) -> list[Metric]:
    """Return the mean of each category over its images; those without images are null, and come last.

    Where prompts have splits, ``seen/color``, ``unseen/color`` and so on follow.
    """
    splits = sorted({score.split for score in scores if score.split is not None})
    parts = [(category, split) for split in (None, *splits) for category in CATEGORIES]
    found = [
        metric(
            category if split is None else f"{split}/{category}",
            [score for score in scores if score.task == category and split in (None, score.split)],
            unit="signed_fraction" if category in _SIGNED else "fraction",
        )
        for category, split in parts
    ]
    asked = [one for one in found if one.value is not None or "/" not in one.name]
    return sorted(asked, key=lambda one: one.value is None)


def summary_text(scores: Sequence[Score]) -> str:
    """Return the lines that the official scripts write to their score files, each after its category."""
    lines = []
    for category in CATEGORIES:
        values = [score.value for score in scores if score.task == category]
        if values:
            name = "BLIP-VQA score" if category in BINDING else "score avg"
            lines.append(f"{category}: {name}:{plain_mean(values)}\n")
    return "".join(lines)


def plain_mean(values: Sequence[float]) -> float:
    """Return the mean as the official scripts take it: added up one by one, in their order.

    Python's own ``sum`` mends the rounding since version 3.12, and so may differ in the last digit.
    """
    total = 0.0
    for value in values:
        total += value
    return total / len(values)


def _answer(item: Item, verdict: Verdict, options: Options, nouns: Nouns) -> Answer:
    try:
        return answer_of(item.task, tabletop.rule_prompt(item), verdict.output, options, nouns)
    except MissingValueError as error:
        raise UserError(
            f"{error}, for {verdict.output.get('filename')} judged by {verdict.judge}; fix: let the judge "
            "answer it, or take one of this benchmark"
        ) from error


def _result_line(item: Item, verdict: Verdict, answer: Answer) -> str:
    """Return the official record of one image, and after it whose it is."""
    record = {
        "question_id": verdict.output["question_id"],
        "answer": answer,
        "category": item.task,
        "filename": verdict.output["filename"],
    }
    return json.dumps(record, ensure_ascii=False)
