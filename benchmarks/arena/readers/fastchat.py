"""Battles of FastChat, LMArena and GenAI-Arena: the cleaned records, and FastChat's raw log lines."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from benchmarks.arena.battles import Battle
from benchmarks.arena.readers.rows import Row
from benchmarks.arena.readers.values import name_of, outcome_of, text_or_none, time_of

#: The four style counts of LMArena's style control, as names of features.
STYLE: Final = ("sum_assistant_{}_tokens", "header_count", "list_count", "bold_count")
VOTES: Final = ("leftvote", "rightvote", "tievote", "bothbad_vote")


def clean_battle(row: Row) -> Iterator[Battle]:
    """Convert a record with model_a, model_b and winner; the rest is taken where it is there."""
    model_a, model_b = name_of(row["model_a"], "model_a"), name_of(row["model_b"], "model_b")
    yield Battle(
        model_a=model_a,
        model_b=model_b,
        outcome=outcome_of(row["winner"], model_a, model_b),
        prompt=_prompt(row),
        voter=text_or_none(row.get("judge")),
        time=time_of(row.get("tstamp")),
        category=text_or_none(
            row.get("category") if isinstance(row.get("category"), str) else row.get("language")
        ),
        source="fastchat",
    )


def logged_vote(row: Row) -> Iterator[Battle]:
    """Convert a line of the raw log; lines that are no votes give nothing.

    In an anonymous battle ``models`` are empty, and the names are in ``states``.
    """
    if row["type"] not in VOTES:
        return
    shown, states = row.get("models") or ["", ""], row.get("states") or [{}, {}]
    if len(shown) != 2 or len(states) != 2:
        raise ValueError(f"expected two models, found {len(shown)} and {len(states)} states")
    names = [shown[i] or (states[i] or {}).get("model_name") for i in (0, 1)]
    yield Battle(
        model_a=name_of(names[0], "the left model"),
        model_b=name_of(names[1], "the right model"),
        outcome=outcome_of(row["type"]),
        voter=text_or_none(row.get("ip")),
        time=time_of(row.get("tstamp")),
        source="fastchat-log",
    )


def _prompt(row: Row) -> str | None:
    """Return what was asked: an image arena's prompt, a chat's first message, else the question's id."""
    inputs: Any = row.get("inputs")
    if isinstance(inputs, dict) and inputs.get("prompt"):
        return str(inputs["prompt"])
    talk: Any = row.get("conversation_a")
    if isinstance(talk, list) and talk and isinstance(talk[0], dict):
        return text_or_none(talk[0].get("content"))
    return text_or_none(row.get("prompt") or row.get("question_id"))
