"""The answerer that a protocol's table ``[judge]`` names, with its options."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import Field

from benchmarks.judges.table import JudgeTable, read_table
from benchmarks.judges.vqa.answering import Answerer
from benchmarks.judges.vqa.blip import BlipAnswerer
from benchmarks.judges.vqa.endpoint import Choice, EndpointAnswerer
from benchmarks.judges.vqa.mplug import MplugAnswerer
from benchmarks.judges.vqa.vision_language import VisionLanguageAnswerer

Name = Literal["mplug", "blip", "vision-language", "endpoint"]


class AnswererOptions(JudgeTable):
    """What may stand in the table; an empty text means the answerer's own default."""

    answerer: Name
    weights: str = ""
    """Folder of the weights, or ``OWNER/NAME@REVISION``."""
    device: str = "auto"
    """``auto``, ``cpu`` or ``cuda``."""
    batch_size: int = Field(default=32, ge=1)
    """Questions at once."""
    url: str = ""
    """Address of an endpoint."""
    model: str = ""
    """Its model."""
    revision: str = ""
    """What that model is declared to be: the name may stay where the weights change."""
    choice: Choice = "structured_outputs"
    """How it is made to say yes or no: ``structured_outputs``, ``guided_choice`` or ``none``."""
    concurrency: int = Field(default=8, ge=1)
    """Requests on their way at once."""
    timeout: float = Field(default=60.0, gt=0)
    """Seconds to wait for a reply."""
    cache: str = ""
    """Folder of the answers of an endpoint."""


def _blip(options: AnswererOptions) -> Answerer:
    return BlipAnswerer(options.weights, "words", options.device, options.batch_size)


def _mplug(options: AnswererOptions) -> Answerer:
    return MplugAnswerer(options.weights, options.device)


def _vision_language(options: AnswererOptions) -> Answerer:
    return VisionLanguageAnswerer(options.weights, options.device, options.batch_size)


def _endpoint(options: AnswererOptions) -> Answerer:
    how = {"concurrency": str(options.concurrency), "timeout": str(options.timeout)}
    cache = Path(options.cache) if options.cache else None
    return EndpointAnswerer(options.url, options.model, options.choice, how, cache, options.revision)


_ANSWERERS: Final[Mapping[Name, Callable[[AnswererOptions], Answerer]]] = {
    "mplug": _mplug,
    "blip": _blip,
    "vision-language": _vision_language,
    "endpoint": _endpoint,
}


def open_answerer(table: Mapping[str, Any]) -> Answerer:
    """Return the answerer of a table ``[judge]`` (without ``name``); no weights are loaded yet.

    Raises UserError for a name or an option that there is not.
    """
    options = read_table(AnswererOptions, table)
    return _ANSWERERS[options.answerer](options)
