"""Own votes: a row has the fields of a battle, as ``arena votes`` and the arena's database give them."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.arena.battles import Battle
from benchmarks.arena.readers.rows import Row
from benchmarks.arena.readers.values import name_of, number_of, outcome_of, text_or_none, time_of


def vote(row: Row) -> Iterator[Battle]:
    """Convert a row with model_a, model_b and outcome; the other fields may be missing or empty."""
    model_a, model_b = name_of(row["model_a"], "model_a"), name_of(row["model_b"], "model_b")
    weight = row.get("weight")
    yield Battle(
        model_a=model_a,
        model_b=model_b,
        outcome=outcome_of(row["outcome"], model_a, model_b),
        weight=1.0 if weight is None or weight == "" else number_of(weight, "the weight"),
        prompt=text_or_none(row.get("prompt")),
        voter=text_or_none(row.get("voter")),
        time=time_of(row.get("time")),
        category=text_or_none(row.get("category")),
        source=text_or_none(row.get("source")),
    )
