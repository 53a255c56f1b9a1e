"""The chain of the paper's Figure 11, link by link on any of our checkpoints: what each saving is worth.

The paper states seconds and no step counts, so the counts are ours: the official script's (midpoint, 18
points) at the base, and as many evaluations of DPM-Solver++ as the official demo asks for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Link:
    """A setting more than the link before it."""

    name: str
    options: Mapping[str, str]


CHAIN: Final = (
    Link(
        "base",
        {"solver": "midpoint", "steps": "17", "renorm": "none", "truncation": "none", "cache": "none"},
    ),
    Link("+ Renorm and Trunc", {"renorm": "1", "truncation": "0.25"}),
    Link("+ Flow-DPM-Solver", {"solver": "dpm", "steps": "18"}),
    Link("+ step cache", {"cache": "0.3"}),
)


def settings() -> list[tuple[str, dict[str, str]]]:
    """Return the options of each link, those of the links before it included, by name."""
    found: list[tuple[str, dict[str, str]]] = []
    for link in CHAIN:
        found.append((link.name, {**(found[-1][1] if found else {}), **link.options}))
    return found
