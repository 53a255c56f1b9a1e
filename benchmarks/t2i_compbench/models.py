"""The models of the harness's own judge, found as the table ``[judge]`` names them and loaded when asked."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from pydantic import Field

from benchmarks.judges.table import JudgeTable
from benchmarks.t2i_compbench.looks import LOOKS, Look
from lumina_eval.errors import UserError

if TYPE_CHECKING:
    from benchmarks.judges.depth import DptDepth
    from benchmarks.judges.detectors.detection import Detector
    from benchmarks.judges.detectors.unidet.network import Kind
    from benchmarks.judges.similarity import ClipSimilarity
    from benchmarks.judges.vqa.answering import Answerer

#: What stands for the official detector at the head of ``judge.detector``.
UNIDET: Final = "unidet"
#: Categories for the smaller of UniDet's networks (experts/model_bank_3d.py, 80; numeracy_eval.py, 83).
SMALLER: Final = ("3d_spatial", "numeracy")


class CompBenchOptions(JudgeTable):
    """What must stand in the table; weights are a folder, or ``OWNER/NAME@REVISION``."""

    vqa: str
    """Weights of BLIP-VQA."""
    detector: str
    """``unidet[:DIR]``, weights of a detector, or ``detectron2:CONFIG[:WEIGHTS]``."""

    @property
    def official_detector(self) -> bool:
        """True for UniDet, wherever its files lie."""
        return self.detector.partition(":")[0] == UNIDET

    threshold: float = Field(ge=0, lt=1)
    """What the detector is less sure of is not there."""
    clip: str
    """``NAME/TAG`` of open_clip, a folder in its form, or a file of OpenAI's."""
    depth: str
    """Weights of DPT."""
    device: str
    """``auto``, ``cpu`` or ``cuda``."""
    batch_size: int = Field(ge=1)
    """Images, or questions, at once."""


class Models:
    """The models; each is found when it is first named, and its weights are loaded when it first looks.

    Raises UserError, at the first naming, for weights that are not there.
    """

    def __init__(self, options: CompBenchOptions) -> None:
        self._options = options

    def of(self, categories: Iterable[str]) -> dict[str, Any]:
        """Return the models that the categories need, by name, in a fixed order."""
        categories = list(categories)
        makers: Mapping[Look, Callable[[], Any]] = {
            "vqa": lambda: self.vqa, "clip": lambda: self.clip, "depth": lambda: self.depth,
        }  # fmt: skip
        needed = {name for category in categories for name in LOOKS[category]}
        detectors = [self.detector_for(category) for category in categories if "detector" in LOOKS[category]]
        return {
            **{name: make() for name, make in makers.items() if name in needed},
            **{self._key_of(one): one for one in sorted(detectors, key=lambda one: one.name)},
        }

    def detector_for(self, category: str) -> Detector:
        """Return what finds objects for a category: one detector for all, or one of UniDet's two networks."""
        if not self._options.official_detector:
            return self._other_detector
        return self._smaller_unidet if category in SMALLER else self._larger_unidet

    def _key_of(self, detector: Detector) -> str:
        return detector.name if self._options.official_detector else "detector"

    @cached_property
    def vqa(self) -> Answerer:
        """BLIP, which gives the probability of yes."""
        from benchmarks.judges.vqa.blip import BlipAnswerer

        with _told_as("vqa"):
            return BlipAnswerer(self._options.vqa, "probability", **self._where)

    @cached_property
    def _larger_unidet(self) -> Detector:
        return self._unidet("RS200")

    @cached_property
    def _smaller_unidet(self) -> Detector:
        return self._unidet("R50")

    def _unidet(self, kind: Kind) -> Detector:
        from benchmarks.judges.detectors.unidet.files import open_unidet

        try:
            with _told_as("detector"):
                return open_unidet(kind, self._options.detector.partition(":")[2], self._options.device)
        except UserError as error:
            raise UserError(
                f"{error}; or take --protocol hf with --set judge.detector=DIR (another model, other scores)"
                ", score verdicts made elsewhere with --verdicts FILE, or leave its categories out with "
                "--set 'prompts.categories=[…]'"
            ) from error

    @cached_property
    def _other_detector(self) -> Detector:
        """A detector in the place of UniDet."""
        named = self._options.detector
        kind, _, config = named.partition(":")
        with _told_as("detector"):
            if kind == "detectron2" and config:
                from benchmarks.judges.detectors.detectron import Detectron2Detector

                return Detectron2Detector(config, self._options.device)
            from benchmarks.judges.detectors.object_detection import ObjectDetector

            return ObjectDetector(named, **self._where)

    @cached_property
    def clip(self) -> ClipSimilarity:
        """CLIP, which gives plain cosines."""
        from benchmarks.judges.similarity import ClipSimilarity

        return ClipSimilarity(self._options.clip, **self._where)

    @cached_property
    def depth(self) -> DptDepth:
        """DPT, which gives pictures of depth."""
        from benchmarks.judges.depth import DptDepth

        with _told_as("depth"):
            return DptDepth(self._options.depth, **self._where)

    @property
    def _where(self) -> dict[str, Any]:
        return {"device": self._options.device, "batch_size": self._options.batch_size}


@contextlib.contextmanager
def _told_as(key: str) -> Iterator[None]:
    """Name the key of this table in messages: judges of one model only call it ``judge.weights``."""
    try:
        yield
    except UserError as error:
        raise UserError(str(error).replace("judge.weights", f"judge.{key}")) from error
