"""The chain of the paper's Figure 11, link by link on any of our checkpoints: what each saving is worth.

The paper states seconds and no step counts, so the counts are ours: the official script's (midpoint, 18
points) at the base, and as many evaluations of DPM-Solver++ as the official demo asks for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from lumina_eval.errors import UserError


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


def check_given(options: Mapping[str, str]) -> None:
    """Raise UserError for an option of the user's that a link would overwrite."""
    own = sorted({name for link in CHAIN for name in link.options})
    taken = [name for name in options if name in own]
    if taken:
        raise UserError(
            f"expected options that the chain does not set itself, found {', '.join(taken)}: its links set "
            f"{', '.join(own)}; fix: leave {'it' if len(taken) == 1 else 'them'} out, or measure that "
            f"sampling alone: lumina-eval efficiency measure --option {taken[0]}={options[taken[0]]}"
        )
