"""Who can be compared with whom: the win graph, and the models that have no finite rating.

A Bradley-Terry fit is finite, and unique up to a shift, exactly where a chain of wins leads from each model
to each other one: where the win graph is strongly connected (Ford 1957). An optimiser that is not told so
returns some large number that depends on when it stopped.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from benchmarks.arena.ratings.aggregate import Floats, Indices


@dataclasses.dataclass(frozen=True, eq=False)
class Standing:
    """Which models are rated together, and how each other one stands to them.

    Places of models: ``rated`` have finite ratings. ``above`` have lost nothing against the rated ones,
    directly or over others, ``below`` have won nothing; ``apart`` cannot be compared with them at all.
    """

    rated: Indices
    above: Indices
    below: Indices
    apart: Indices


def groups(wins: Floats) -> npt.NDArray[np.intp]:
    """Return the (m,) number of the strongly connected group of each model, from (m, m) wins."""
    beats: Any = csr_array(wins > 0)
    _, labels = connected_components(beats, directed=True, connection="strong")
    return np.asarray(labels, dtype=np.intp)


def standing(wins: Floats, names: Sequence[str], with_model: int | None = None) -> Standing:
    """Choose the group that is rated, and say how the others stand to it.

    It is the group of ``with_model``, else the one of most models, then of most votes, then that of the first
    name. Models without a battle belong to no group that is rated if there is any other.
    """
    labels = groups(wins)
    if with_model is None:
        label = min(np.unique(labels).tolist(), key=lambda each: _order(labels == each, wins, names))
    else:
        label = int(labels[with_model])
    rated = labels == label
    beats = csr_array(wins > 0)
    below = _reached(beats, rated) & ~rated
    above = _reached(csr_array(beats.T), rated) & ~rated
    apart = ~(rated | below | above)
    return Standing(*(np.flatnonzero(mask) for mask in (rated, above, below, apart)))


def safe_pairs(wins: Floats) -> Indices:
    """Return places, in the flattened (m, m) table, of wins that together make the graph strongly connected.

    A resample in which none of them is 0 has finite ratings; the others must be looked at. Empty if the whole
    is not connected by pairs that both won something. The pairs are those with the most wins on the weaker
    side (a maximum spanning tree).
    """
    from scipy.sparse.csgraph import minimum_spanning_tree

    m = len(wins)
    weaker = np.minimum(wins, wins.T)
    tree = minimum_spanning_tree(csr_array(np.where(weaker > 0, 1.0 / np.maximum(weaker, 1e-300), 0.0)))
    i, j = tree.nonzero()
    if len(i) < m - 1:
        return np.empty(0, dtype=np.intp)
    return np.concatenate([i * m + j, j * m + i]).astype(np.intp)


def _order(inside: npt.NDArray[np.bool_], wins: Floats, names: Sequence[str]) -> tuple[int, float, str]:
    fought = float(wins[inside].sum() + wins[:, inside].sum())
    first = min(name for name, here in zip(names, inside, strict=True) if here)
    return -int(inside.sum()), -fought, first


def _reached(edges: csr_array, start: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Return which nodes a path leads to from those of ``start``."""
    reached = start
    while True:
        grown = reached | (reached.astype(np.int64) @ edges.astype(np.int64) > 0)
        if (grown == reached).all():
            return np.asarray(reached)
        reached = grown
