"""The records that travel between the steps: prompts, images, verdicts, scores, metrics, runs.

All are frozen and forbid unknown fields; no number in them is NaN or infinite. Those that are files of their
own carry ``schema: 1``. A JSON object with an unknown value holds ``null``, it never leaves the key out.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Interval = tuple[float, float]
"""Low and high end of a 95 % interval, in the unit of its metric."""

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Record(BaseModel):
    """Base of all records: immutable, strict about fields, finite numbers only."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, serialize_by_alias=True)


class Item(Record):
    """One prompt of a benchmark."""

    id: str
    """Stable within the protocol, e.g. ``"00017"``."""
    prompt: str
    task: str
    """The stratum of the statistics, e.g. GenEval's tag."""
    split: str | None = None
    """``"seen"`` or ``"unseen"`` compositions; None if the benchmark has no splits."""
    metadata: Any = None
    """The benchmark's own object for this prompt, kept raw and in order."""


class ImageRef(Record):
    """One planned image: which prompt, which of its images, which noise, under which key it is stored."""

    item_id: str
    index: int = Field(ge=0)
    seed: int = Field(ge=0, lt=2**63)
    key: Sha256


class Verdict(Record):
    """A judge's raw output for one image; rules are applied later, by ``Benchmark.aggregate``."""

    item_id: str
    index: int = Field(ge=0)
    image_sha256: str
    judge: str
    """``name@`` and the first 12 hex digits of the judge's digest."""
    output: dict[str, Any]


class Score(Record):
    """One number for one image: all that statistics, comparison and reports read."""

    item_id: str
    task: str
    index: int = Field(ge=0)
    value: float
    split: str | None = None


class Metric(Record):
    """A number with both of its intervals; None where it cannot be known."""

    name: str
    value: float | None
    ci_seeds: Interval | None = None
    """Prompts fixed: would another lab with other noise see this number?"""
    ci_prompts: Interval | None = None
    """Prompts drawn anew as well: does it hold for other prompts of this kind?"""
    n_prompts: int = Field(ge=0)
    n_images: int = Field(ge=0)
    unit: str = "fraction"


class Coverage(Record):
    """How much of what was asked stands behind the metrics; counts of images."""

    expected: int = Field(ge=0)
    generated: int = Field(ge=0)
    judged: int = Field(ge=0)
    failed: int = Field(default=0, ge=0)
    """Planned, yet not there: the model or the judge failed on them."""
    excluded: int = Field(default=0, ge=0)
    """Dropped by the protocol's own rule."""

    @property
    def complete(self) -> bool:
        """True when every expected image was judged."""
        return self.judged >= self.expected and self.failed == 0


class Seconds(Record):
    """Time spent, in seconds of wall clock; None where it was not measured."""

    generate: float | None = None
    judge: float | None = None


class Aggregate(Record):
    """What a benchmark makes of its verdicts. Pure: the same verdicts give the same bytes."""

    metrics: list[Metric]
    results: list[str]
    """Lines of ``results.jsonl`` without the line end, in the benchmark's official form."""
    scores: list[Score]
    excluded: int = 0
    summary: str = ""
    """The official summary text, as the official script would print it; what is not official stands above it
    (GenEval's first line says how much hangs on the threshold)."""
    warnings: list[str] = []
    """What a reader of the metrics must know: what was excluded by name, answers that no rule understands."""
    against: list[str] = []
    """What distances are from, in words with size and digest; those from something else do not compare."""


class Rewriting(Record):
    """How the prompts were rewritten before the model saw them; the judge sees the original ones."""

    source: Literal["file", "endpoint", "transformers"]
    name: str
    """For people: the file, or the language model with its revision."""
    template: Sha256 | None = None
    """Digest of the template that asked the language model; None for a file."""
    settings: dict[str, Any] = {}
    outputs: Sha256
    """Digest of ``rewritten.jsonl``: every prompt of the run with its rewritten text, in order."""

    @property
    def in_words(self) -> str:
        """One line for titles and notes."""
        by = "from" if self.source == "file" else "by"
        return f"prompts rewritten {by} {self.name} (texts {self.outputs[:8]})"


class RunResult(Record):
    """``metrics.json``, and, with times and MLflow id filled in, the line that ``--json`` prints."""

    schema_: Literal[1] = Field(default=1, alias="schema")
    benchmark: str
    protocol: str
    suite: str | None = None
    subset: str | None = None
    """None for the whole protocol, else how much of it, in words."""
    model: str
    checkpoint: str | None = None
    digest: str | None = None
    """One sha256 over the digests of all components of the checkpoint."""
    stage: str | None = None
    step: int | None = None
    metrics: list[Metric]
    intervals_version: int = Field(default=1, ge=1)
    """Version of the rules of the intervals (``INTERVALS_VERSION`` in ``statistics/means.py``)."""
    coverage: Coverage
    seconds: Seconds = Seconds()
    run_dir: str | None = None
    mlflow_run_id: str | None = None
    warnings: list[str] = []
    against: list[str] = []
    """As in :class:`Aggregate`."""
    title: str | None = None
    """The name for tables, e.g. ``embedded:low_res``."""
    changed: list[str] = []
    """Protocol values changed by ``--set``, as ``key=value``."""
    rewriting: Rewriting | None = None
    """None where the model was given the prompts as they are."""

    def metric(self, name: str) -> Metric | None:
        """Return the metric called ``name``, or None."""
        return next((m for m in self.metrics if m.name == name), None)


class Provenance(Record):
    """Where and with what a run was made. No secrets, no home folders."""

    git_sha: str | None = None
    git_dirty: bool | None = None
    packages: dict[str, str] = {}
    """Distribution name to version, also of each plug-in that took part."""
    hardware: dict[str, Any] = {}
    python: str = ""
    platform: str = ""


class Manifest(Record):
    """``manifest.json``: all that is needed to make the run again, and when it was made."""

    schema_: Literal[1] = Field(default=1, alias="schema")
    run_id: str
    run_digest: Sha256
    benchmark: str
    protocol: str
    protocol_digest: Sha256
    protocol_values: dict[str, Any]
    changed: list[str] = []
    suite: str | None = None
    subset: str | None = None
    model: str
    title: str
    checkpoint: str | None = None
    digest: str | None = None
    components: dict[str, str] = {}
    stage: str | None = None
    step: int | None = None
    sampling: dict[str, Any] = {}
    sampler_version: int | None = None
    device: str | None = None
    base_seed: int = 0
    rewriting: Rewriting | None = None
    images_per_prompt: int
    batch_size: int | None = None
    batch_size_found: bool = False
    """True where the model found it by trial (``--batch-size auto``)."""
    judge: str
    judge_kind: str
    judge_digest: str
    judge_settings: dict[str, Any] = {}
    store: str | None = None
    """The image store, relative to the run folder where that is possible."""
    provenance: Provenance = Provenance()
    argv: list[str] = []
    started: str | None = None
    finished: str | None = None
    """UTC, ISO 8601; None while the run is under way."""
    seconds: Seconds = Seconds()
    mlflow_run_id: str | None = None
