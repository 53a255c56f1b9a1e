"""Battles as columns, and columns as the table of wins that is all a Bradley-Terry fit needs to know."""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable, Iterable, Sequence
from operator import attrgetter

import numpy as np
import numpy.typing as npt

from benchmarks.arena.battles import Battle

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.intp]


@dataclasses.dataclass(frozen=True, eq=False)
class Votes:
    """The columns of n battles. ``a`` and ``b`` are places in ``models``.

    ``voter`` and ``prompt`` are numbers of clusters, from 0 on without a gap.
    """

    models: tuple[str, ...]
    a: Indices
    b: Indices
    outcome: Floats
    weight: Floats
    voter: Indices
    prompt: Indices

    def __len__(self) -> int:
        """Return n."""
        return len(self.a)

    def wins(self) -> Floats:
        """Return the (m, m) weight that model i won against model j; a tie is half a win for each."""
        lost = self.summed(self.weight * (1.0 - self.outcome))
        return np.asarray(self.summed(self.weight * self.outcome) + lost.T)

    def summed(self, value: Floats) -> Floats:
        """Return the (m, m) sums of ``value`` (n,) over the votes that have model i left and j right."""
        m = len(self.models)
        return sums(self.a * m + self.b, value, m * m).reshape(m, m)

    def battles(self) -> npt.NDArray[np.int64]:
        """Return the (m,) number of battles that each model fought, whatever their weight."""
        return np.bincount(np.concatenate([self.a, self.b]), minlength=len(self.models)).astype(np.int64)


def sums(place: Indices, value: Floats, size: int) -> Floats:
    """Return the (size,) sums of ``value`` (n,) by ``place`` (n,)."""
    return np.asarray(np.bincount(place, value, size), dtype=np.float64)


def columns(battles: Sequence[Battle]) -> Votes:
    """Turn battles into columns; models are in order of first appearance, first as ``model_a``.

    That is FastChat's order (rating_systems.py, ``get_matchups_models``), on which its bootstrap depends.
    """
    n = len(battles)
    first = list(map(attrgetter("model_a"), battles))
    second = list(map(attrgetter("model_b"), battles))
    place = {name: i for i, name in enumerate(dict.fromkeys(first) | dict.fromkeys(second))}
    return Votes(
        models=tuple(place),
        a=np.fromiter(map(place.__getitem__, first), np.intp, n),
        b=np.fromiter(map(place.__getitem__, second), np.intp, n),
        outcome=np.fromiter(map(attrgetter("outcome"), battles), np.float64, n),
        weight=np.fromiter(map(attrgetter("weight"), battles), np.float64, n),
        voter=clusters(map(attrgetter("voter"), battles)),
        prompt=clusters(map(attrgetter("prompt"), battles)),
    )


def win_table(battles: Sequence[Battle]) -> tuple[tuple[str, ...], Floats]:
    """Return the models and their (m, m) table of wins in one pass: what a point estimate needs, no more."""
    n = len(battles)
    first = list(map(attrgetter("model_a"), battles))
    second = list(map(attrgetter("model_b"), battles))
    place = {name: i for i, name in enumerate(dict.fromkeys(first) | dict.fromkeys(second))}
    m = len(place)
    at = np.fromiter(map(place.__getitem__, first), np.intp, n) * m
    at += np.fromiter(map(place.__getitem__, second), np.intp, n)
    outcome = np.fromiter(map(attrgetter("outcome"), battles), np.float64, n)
    weight = np.fromiter(map(attrgetter("weight"), battles), np.float64, n)
    total = sums(at, weight, m * m).reshape(m, m)
    won = sums(at, weight * outcome, m * m).reshape(m, m)
    return tuple(place), np.asarray(won + (total - won).T)


def clusters(names: Iterable[Hashable | None]) -> Indices:
    """Number clusters by first appearance; each None is a cluster of its own.

    >>> clusters(["x", None, "x", None]).tolist()
    [0, 1, 0, 2]
    """
    seen: dict[Hashable, int] = {}
    given = [seen.setdefault(object() if name is None else name, len(seen)) for name in names]
    return np.array(given, dtype=np.intp)


def together(first: Indices, second: Indices) -> Indices:
    """Number the clusters in which two numberings agree."""
    if not len(first):
        return first
    _, place = np.unique(first * (int(second.max()) + 1) + second, return_inverse=True)
    return np.asarray(place, dtype=np.intp)


def subset(votes: Votes, chosen: Sequence[int] | npt.NDArray[np.bool_] | Indices) -> Votes:
    """Return some of the votes; models keep their places, clusters are numbered anew."""
    at = np.asarray(chosen)
    return dataclasses.replace(
        votes,
        a=votes.a[at],
        b=votes.b[at],
        outcome=votes.outcome[at],
        weight=votes.weight[at],
        voter=clusters(votes.voter[at].tolist()),
        prompt=clusters(votes.prompt[at].tolist()),
    )
