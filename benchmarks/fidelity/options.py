"""What a protocol of this room says, checked before an image is made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal, cast, get_args

from benchmarks.fidelity.metrics.clip_score import Convention
from lumina_eval.errors import UserError, unknown
from lumina_eval.protocol import ResolvedProtocol

Role = Literal["fid", "clip", "cmmd", "dinov2", "classes"]
"""Which of a protocol's extractors a metric is computed on."""

#: Metrics by name, and on which features. ``clip_score_gap`` is the score less that of a wrong caption.
ROLE_OF: Final[dict[str, Role]] = {
    **dict.fromkeys(("fid", "fid_infinity", "kid", "precision", "recall", "density", "coverage"), "fid"),
    **dict.fromkeys(("clip_fid", "clip_score", "clip_score_gap"), "clip"),
    "cmmd": "cmmd",  # another model and another order of cropping than CLIP-FID's
    "fd_dinov2": "dinov2",
    "inception_score": "classes",
}
Kid = Literal["all", "torch-fidelity", "clean-fid"]
"""Which KID: that of all pairs, or the mean over random subsets as one of two tools draws them."""

#: Where the reference comes from: pictures of the embedded world for the same prompts, or the user.
REFERENCES: Final = ("tabletop", "given")
#: Dotted keys that a protocol may hold beside the core's own.
KEYS: Final = (
    "metrics", "by_task", "prompts.source", "prompts.asset", "prompts.digest", "prompts.file",
    "prompts.vocabulary", "prompts.seed", "prompts.draws", "prompts.part", "prompts.per_task",
    "reference.source", "reference.asset", "reference.side", "reference.images_per_prompt",
    "reference.base_seed",
    "judge.name", "judge.fid", "judge.clip", "judge.cmmd", "judge.dinov2", "judge.classes", "judge.prefix",
    "judge.convention", "judge.kid", "judge.device", "judge.batch_size",
)  # fmt: skip


@dataclass(frozen=True)
class Options:
    """The checked values."""

    metrics: tuple[str, ...]
    by_task: tuple[str, ...]
    """Those of the metrics that are measured for each task too, as ``TASK/METRIC``."""
    extractors: dict[Role, str]
    """Role to the words that name its extractor, for the roles that the metrics need."""
    prefix: str
    """What stands before each prompt when it is read; part of the CLIP-score's convention."""
    convention: Convention
    kid: Kid
    device: str
    batch_size: int
    source: str
    """Whose prompts are asked, ``none`` for images without prompts."""
    reference: str
    """One of :data:`REFERENCES`."""

    @property
    def needs_reference(self) -> bool:
        """True unless all metrics asked for look at generated images alone."""
        return any(not name.startswith(("clip_score", "inception_score")) for name in self.metrics)


def options_of(protocol: ResolvedProtocol) -> Options:
    """Return the options; UserError for a metric, convention or reference that there is not."""
    metrics = _names(protocol, "metrics", None)
    if not metrics:
        raise UserError(
            f"expected a list of metrics, found none, in protocol {protocol.name}; fix: metrics = ['fid']"
        )
    for name in metrics:
        if name not in ROLE_OF:
            raise unknown(f"metric in protocol {protocol.name}:", name, ROLE_OF)
    by_task = _names(protocol, "by_task", [])
    if not {*by_task} <= {*metrics}:
        raise UserError(
            f"expected by_task to be some of {metrics}, found {by_task!r}, in protocol {protocol.name}; "
            "fix: by_task = ['fid']"
        )
    roles = list(dict.fromkeys(ROLE_OF[name] for name in metrics))
    extractors = {role: str(protocol.value(f"judge.{role}", "")) for role in roles}
    for role, words in extractors.items():
        if not words:
            named = ", ".join(name for name in metrics if ROLE_OF[name] == role)
            raise UserError(
                f"expected an extractor for {named}, found none, in protocol {protocol.name}; "
                f"fix: --set judge.{role}=…"
            )
    source = str(protocol.value("prompts.source", "none"))
    if source == "none" and (asked := [name for name in metrics if name.startswith("clip_score")]):
        raise UserError(
            f"expected prompts to hold images against for {asked[0]}, found none, in protocol "
            f"{protocol.name}; fix: leave it out, or --protocol coco30k --set prompts.file=FILE.csv"
        )
    reference = _one_of(protocol, "reference.source", "given", REFERENCES)
    if reference == "tabletop":
        _check_drawn(protocol, source)
    return Options(
        metrics=tuple(metrics),
        by_task=tuple(by_task),
        extractors=extractors,
        prefix=str(protocol.value("judge.prefix", "")),
        convention=cast(Convention, _one_of(protocol, "judge.convention", "cosine", get_args(Convention))),
        kid=cast(Kid, _one_of(protocol, "judge.kid", "all", get_args(Kid))),
        device=str(protocol.value("judge.device", "auto")),
        batch_size=_count(protocol, "judge.batch_size", 32),
        source=source,
        reference=reference,
    )


def _check_drawn(protocol: ResolvedProtocol, source: str) -> None:
    """Raise UserError where no truth can be drawn for the prompts, before images are made for them."""
    if source != "geneval":
        raise UserError(
            f"expected prompts of the embedded world for reference.source = tabletop, found prompts.source = "
            f"{source}, in protocol {protocol.name}; fix: --protocol tabletop, or reference.source = given"
        )
    _count(protocol, "reference.side", None)
    _count(protocol, "reference.images_per_prompt", None)
    seed = protocol.value("reference.base_seed")
    if not isinstance(seed, int) or isinstance(seed, bool) or seed < 0:
        raise UserError(
            f"expected a whole number of 0 or more for reference.base_seed, found {seed!r}, in protocol "
            f"{protocol.name}; fix: set one"
        )


def _names(protocol: ResolvedProtocol, key: str, default: Any) -> list[str]:
    found = protocol.value(key, default)
    if not isinstance(found, list) or not all(isinstance(name, str) for name in found):
        raise UserError(
            f"expected a list of names for {key}, found {found!r}, in protocol {protocol.name}; "
            f"fix: {key} = ['fid']"
        )
    if twice := sorted({name for name in found if found.count(name) > 1}):
        raise UserError(
            f"expected each name once in {key}, found {', '.join(twice)} again, in protocol {protocol.name}; "
            "fix: leave it out"
        )
    return found


def _one_of(protocol: ResolvedProtocol, key: str, default: str, known: Any) -> str:
    value = str(protocol.value(key, default))
    if value not in known:
        raise unknown(f"{key} in protocol {protocol.name}:", value, known)
    return value


def _count(protocol: ResolvedProtocol, key: str, default: int | None) -> int:
    value = protocol.value(key, default)
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise UserError(
            f"expected a whole number of 1 or more for {key}, found {value!r}, in protocol {protocol.name}; "
            "fix: set one"
        )
    return value
