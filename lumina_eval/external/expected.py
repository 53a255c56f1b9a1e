"""What is expected of images or verdicts that came from elsewhere, and what of the protocol that is. Pure.

Expected is what the file or folder names: its prompts times the images per prompt. Without a number of images
per prompt a folder is taken to hold, of each prompt, all images up to the highest index in it, and a verdict
file to be whole as it is, unless the benchmark judges a prompt by all of its images together. To ask for all
is to ask for every prompt of the protocol, with as many images as it has.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from lumina_eval.errors import UserError
from lumina_eval.plan import Selection
from lumina_eval.records import Item
from lumina_eval.subsets import subset_of

#: What names an image within a run: the id of its item, and its index.
Place = tuple[str, int]
#: Stands in the words for a part of the prompts, and in no others.
GIVEN: Final = "that were given"


@dataclasses.dataclass(frozen=True)
class Expected:
    """The prompts that were given, and the images that are expected of them and of others."""

    items: tuple[Item, ...]
    """Each once, in the order in which they came."""
    images_per_prompt: int
    images: int
    """All together: those there, those absent, and those of prompts that were not given but asked for."""
    absent: tuple[Place, ...]
    """Images of prompts that were given."""
    subset: str | None

    @property
    def selection(self) -> Selection:
        """Return what was asked as the rules take it."""
        return Selection(self.items, max(self.images_per_prompt, 1), "external", self.subset)

    def failures(self, reason: str) -> list[dict[str, Any]]:
        """Name the images that are absent, for the list of failures."""
        return [
            {"item_id": item_id, "index": index, "key": None, "step": "judge", "reason": reason}
            for item_id, index in self.absent
        ]


def expect(
    given: Sequence[Item],
    places: Mapping[Place, Path],
    protocol_items: Sequence[Item] | None,
    usual_images: int,
    asked: int | None = None,
    held: int = 0,
    complete: bool = False,
) -> Expected:
    """Return what is expected.

    Args:
        given: The prompts that were given; one may stand there several times.
        places: The images that are there, and the file in which each was found.
        protocol_items: All prompts of the protocol; None if they are not at hand.
        usual_images: Images of each prompt in the whole protocol.
        asked: Images of each prompt that the user asks for.
        held: Images that each prompt is held to where the user names no number; 0 for those it has.
        complete: Whether all of the protocol is asked for; only ``asked`` then lowers its images.

    Raises:
        UserError: More images of a prompt are there than ``asked`` for.
    """
    if asked is not None:
        _check_none_beyond(asked, places)
    wanted = asked or (max(held, usual_images) if complete else held)
    items = tuple({item.id: item for item in given}.values())
    absent = tuple(place for item in items for place in _first(item, wanted) if place not in places)
    counts = Counter(item_id for item_id, _ in [*places, *absent])
    others = _lacking(items, protocol_items or ()) if complete else 0
    return Expected(
        items=items,
        images_per_prompt=max(wanted, highest(places)),
        images=counts.total() + wanted * others,
        absent=absent,
        subset=subset_of(
            None if complete else prompts_given(items, protocol_items),
            min(counts.values(), default=usual_images),
            max(counts.values(), default=usual_images),
            usual_images,
        ),
    )


def expect_rows(given: Sequence[Item], protocol_items: Sequence[Item] | None) -> Expected:
    """Return what is expected of features, which are of no prompts: as many as there are."""
    return Expected(tuple(given), 1, len(given), (), prompts_given(given, protocol_items))


def highest(places: Collection[Place]) -> int:
    """Return how many images a prompt has up to the highest index of any.

    >>> highest([("a", 0), ("b", 2)])
    3
    """
    return max((index for _, index in places), default=-1) + 1


def prompts_given(given: Sequence[Item], protocol_items: Sequence[Item] | None) -> str | None:
    """Say how many of the protocol's prompts were given; None for all of them, and perhaps others too."""
    if protocol_items is None:
        return f"the {len(given)} prompts {GIVEN}"
    if not _lacking(given, protocol_items):
        return None
    return f"{len(given)} of {len(protocol_items)} prompts, those {GIVEN}"


def _lacking(given: Sequence[Item], protocol_items: Sequence[Item]) -> int:
    """Return how many prompts of the protocol were not given; prompts are alike if their text is."""
    return (Counter(item.prompt for item in protocol_items) - Counter(item.prompt for item in given)).total()


def _first(item: Item, count: int) -> list[Place]:
    return [(item.id, index) for index in range(count)]


def _check_none_beyond(asked: int, places: Mapping[Place, Path]) -> None:
    """Raise UserError for an image with an index that nobody asked for: it would be counted all the same."""
    beyond = [place for place in places if place[1] >= asked]
    if beyond:
        item_id, index = beyond[0]
        more = f" and {len(beyond) - 1} more" if len(beyond) > 1 else ""
        raise UserError(
            f"expected no image of a prompt beyond the {asked} of --images-per-prompt, found image {index} "
            f"of item {item_id}{more} (indices begin with 0), in {places[beyond[0]]}; "
            f"fix: --images-per-prompt {highest(places)}, or take away what is not to be counted"
        )
