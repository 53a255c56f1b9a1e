"""The table ``[prompts]`` of a protocol whose prompts are drawn from the embedded world."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lumina_eval.errors import UserError, unknown
from lumina_eval.protocol import ResolvedProtocol

#: Dotted keys that such a protocol holds.
KEYS: Final = ("prompts.vocabulary", "prompts.seed", "prompts.part", "prompts.per_task")
#: ``test`` is what scores are reported on; checkpoints and settings are chosen on ``dev``.
PARTS: Final = ("all", "dev", "test")


@dataclass(frozen=True, slots=True)
class PromptTable:
    """How prompts are drawn: seed of the draw, prompts of each task, and of which part."""

    seed: int
    per_task: int
    part: str


def is_tabletop(protocol: ResolvedProtocol) -> bool:
    """Tell whether the prompts of a protocol are drawn from the embedded world.

    Raises UserError for another vocabulary: no other is built in.
    """
    name = protocol.value("prompts.vocabulary")
    if name not in (None, "tabletop"):
        raise unknown(f"prompts.vocabulary in protocol {protocol.name}:", str(name), ["tabletop"])
    return name is not None


def refuse_questions(protocol: ResolvedProtocol, file: Path | None) -> None:
    """Raise UserError if the user names a file of questions for a protocol that draws its own."""
    if file is not None and is_tabletop(protocol):
        raise UserError(
            f"expected no --questions for protocol {protocol.name}, which brings its own, found {file}; "
            "fix: leave the option out, or take another protocol"
        )


def prompt_table(protocol: ResolvedProtocol) -> PromptTable:
    """Return the checked table; raise UserError for a value that no draw can use."""
    part = str(protocol.value("prompts.part"))
    if part not in PARTS:
        raise unknown("prompts.part", part, PARTS)
    return PromptTable(_whole(protocol, "prompts.seed", 0), _whole(protocol, "prompts.per_task", 1), part)


def _whole(protocol: ResolvedProtocol, key: str, least: int) -> int:
    value = protocol.value(key)
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise UserError(
            f"expected a whole number of {least} or more for {key}, found {value!r}, in protocol "
            f"{protocol.name}; fix: set it as protocol tabletop does"
        )
    return value
