"""The harness's own judge of T2I-CompBench: BLIP-VQA, a detector, DPT and CLIP, each where its category asks.

It says what it sees in the form of the saved verdicts, and applies no rule. What the official scripts compute
in float16 on a GPU is float32 here. Line numbers are those of Karine-Huang/T2I-CompBench at 1b709499.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, Literal

from PIL import Image

from benchmarks.judges.detectors.detection import Detection
from benchmarks.judges.table import read_table
from benchmarks.t2i_compbench.attribute import pre_question, question
from benchmarks.t2i_compbench.boxes import detections_of
from benchmarks.t2i_compbench.looks import PARSED, looks_of
from benchmarks.t2i_compbench.models import CompBenchOptions, Models
from benchmarks.t2i_compbench.objects import without_adjectives
from benchmarks.t2i_compbench.options import DEPTH_AXES
from benchmarks.t2i_compbench.parses import COMMAND, Parse, Parses
from benchmarks.t2i_compbench.position import mean_depth
from benchmarks.t2i_compbench.prompt_set import CATEGORIES
from lumina_eval.digests import digest_of
from lumina_eval.errors import UserError
from lumina_eval.records import Item

#: Raised when the same images get other verdicts from the same models.
VERSION: Final = 1
#: Sides of the detector's picture at most, the shorter and the longer (experts/model_bank.py, 91).
SHORTER: Final = 479
LONGER: Final = 480


class CompBenchJudge:
    """Answers, boxes, depth and cosines, as the category of an item needs them."""

    kind: Literal["detect"] = "detect"

    def __init__(
        self,
        options: CompBenchOptions,
        categories: Sequence[str] = CATEGORIES,
        parses: Parses | None = None,
    ) -> None:
        self._options, self._categories, self._parses = options, tuple(categories), parses
        self._models = Models(options)

    def for_prompts(self, categories: Sequence[str], parses: Parses | None) -> CompBenchJudge:
        """Return the judge of these categories, which needs no other models; they are found, not yet loaded.

        Raises UserError for weights that are not there, and for parses that are wanted and not given.
        """
        judge = CompBenchJudge(self._options, categories, parses)
        _ = judge._needed  # finds them
        if parses is None and any(category in PARSED for category in categories):
            raise UserError(
                "expected --parses FILE with the noun chunks and parts of speech of the prompts, found none; "
                f"fix: {COMMAND}"
            )
        return judge

    @property
    def name(self) -> str:
        """Name of the entry point: the official detector or another one."""
        return "blip-unidet-clip" if self._options.official_detector else "blip-detector-clip"

    @property
    def digest(self) -> str:
        """Sha256 of all that changes a verdict: the models that the categories need, and the parses."""
        return digest_of(
            {
                "version": VERSION,
                "models": {name: model.digest for name, model in self._needed.items()},
                "parses": self._parses and self._parses.digest,
            }
        )

    @property
    def settings(self) -> Mapping[str, Any]:
        """The settings of each model, the threshold of the detector, and what the parses were made with."""
        return {
            **{
                name: {"name": model.name, **model.settings}
                for name, model in self._models.of(self._categories).items()
            },
            "threshold": self._options.threshold,
            "parses": None if self._parses is None else self._parses.settings,
        }

    def judge(self, images: Sequence[Image.Image], items: Sequence[Item]) -> list[dict[str, Any]]:
        """Return one verdict per image, in the form that ``CARD.md`` documents.

        Raises UserError for a prompt without a parse, or one that CLIP cannot read whole.
        """
        verdicts: list[dict[str, Any]] = [{"category": item.task} for item in items]
        looks = [looks_of(item) for item in items]
        for name, look in (
            ("vqa", self._ask), ("detector", self._detect), ("clip", self._compare),
        ):  # fmt: skip
            places = [place for place, wanted in enumerate(looks) if name in wanted]
            seen = look([images[place] for place in places], [items[place] for place in places])
            for place, found in zip(places, seen, strict=True):
                verdicts[place] |= found
        deep = [place for place, wanted in enumerate(looks) if "depth" in wanted]
        for place, nearness in zip(deep, self._near(images, verdicts, deep), strict=True):
            verdicts[place]["nearness"] = nearness
        return verdicts

    def _ask(self, images: Sequence[Image.Image], items: Sequence[Item]) -> Iterator[dict[str, Any]]:
        """Ask for each noun chunk, all of them in one list."""
        chunks = [self._parse(item).chunks for item in items]
        flat = [(image, chunk) for image, some in zip(images, chunks, strict=True) for chunk in some]
        texts = [pre_question(question(chunk)) for _, chunk in flat]
        answers = iter(self._models.vqa.answer([image for image, _ in flat], texts) if flat else [])
        for some in chunks:
            yield {
                "phrases": [
                    {"text": chunk, "yes_probability": next(answers).yes_probability} for chunk in some
                ]
            }

    def _detect(self, images: Sequence[Image.Image], items: Sequence[Item]) -> Iterator[dict[str, Any]]:
        """Find objects in pictures of the official size; those surer than the threshold, surest first."""
        seen: list[list[Detection]] = [[] for _ in items]
        for category in sorted({item.task for item in items}):
            places = [place for place, item in enumerate(items) if item.task == category]
            pictures = [resized(images[place].convert("RGB")) for place in places]
            found = self._models.detector_for(category).detect(pictures)
            for place, detections in zip(places, found, strict=True):
                seen[place] = detections
        for item, detections in zip(items, seen, strict=True):
            sure = [one for one in detections if one.score > self._options.threshold]
            rows = [[*one.box, one.score, one.label] for one in sorted(sure, key=lambda one: -one.score)]
            yield {"tokens": self._parse(item).tokens, "detections": rows}

    def _compare(self, images: Sequence[Image.Image], items: Sequence[Item]) -> Iterator[dict[str, Any]]:
        """Compare image and prompt, without its adjectives in ``complex`` (CLIP_similarity.py, 61 to 64)."""
        texts = [
            without_adjectives(self._parse(item).tokens) if item.task == "complex" else item.prompt
            for item in items
        ]
        found = self._models.clip.similarities(images, texts) if images else []
        return ({"similarity": value} for value in found)

    def _near(
        self, images: Sequence[Image.Image], verdicts: Sequence[Mapping[str, Any]], places: Sequence[int]
    ) -> Iterator[list[list[float | None]]]:
        """Say how near each box is, in both readings of the axes; the map itself is not kept."""
        from benchmarks.judges.depth import nearness_of

        pictures = self._models.depth.depth_pictures([images[place] for place in places]) if places else []
        for place, picture in zip(places, pictures, strict=True):
            depth = nearness_of(resized(picture))
            boxes = [one.box for one in detections_of(verdicts[place]["detections"])]
            yield [[mean_depth(depth, box, axes) for axes in DEPTH_AXES] for box in boxes]

    @property
    def _needed(self) -> dict[str, Any]:
        return self._models.of(self._categories)

    def _parse(self, item: Item) -> Parse:
        if self._parses is None:
            raise UserError(f"expected a parse of the prompt of {item.id}, found none; fix: --parses FILE")
        return self._parses.of(item)


def open_judge(table: Mapping[str, Any]) -> CompBenchJudge:
    """Open the judge with the table ``[judge]`` of a protocol.

    Raises UserError for a value that it cannot work with, or a key that is not there.
    """
    return CompBenchJudge(read_table(CompBenchOptions, table))


def resized(image: Image.Image) -> Image.Image:
    """Return a picture as the detector sees it; detections and depth are in its pixels.

    The shorter side becomes 479, unless the longer would be more than 480: then that becomes 480.
    """
    from torchvision.transforms.functional import resize

    small: Image.Image = resize(image, [SHORTER], max_size=LONGER)
    return small
