"""The objects that prompts of ``numeracy`` may name, in singular and plural."""

from __future__ import annotations

from typing import Final, NamedTuple

#: What the official list (``new_objects.txt``) names.
_NAMES: Final = """
    airplane apple backpack bag balloon banana bear bee bicycle bird boat book bottle bowl boy bread
    butterfly cake camel camera candle car cat chair chicken clock computer couch cow cup deer desk dog
    drum duck egg fish flag frog giraffe girl goldfish guitar hamburger helicopter helmet horse key kite
    knife lamp lemon man microphone microwave mouse paddle painting peach pear pen person phone pig
    pillow plate printer rabbit refrigerator sheep ship shrimp sink sofa stool strawberry suitcase swan
    table television tent tomato toy train truck turtle vase woman
"""
SINGULARS: Final = tuple(_NAMES.split())
_IRREGULAR: Final = {
    "deer": "deer", "fish": "fish", "goldfish": "goldfish", "knife": "knives", "man": "men", "mouse": "mice",
    "person": "people", "sheep": "sheep", "shrimp": "shrimp", "tomato": "tomatoes", "woman": "women",
}  # fmt: skip


class Nouns(NamedTuple):
    """The objects that prompts may name: singulars, and plurals at the same places."""

    singulars: tuple[str, ...]
    plurals: tuple[str, ...]

    def singular(self, plural: str) -> str | None:
        """Return the singular of the first such plural; None if there is none."""
        return self.singulars[self.plurals.index(plural)] if plural in self.plurals else None


def plural_of(singular: str) -> str:
    """Return the English plural of a noun of the list."""
    if singular in _IRREGULAR:
        return _IRREGULAR[singular]
    if singular.endswith(("ch", "sh", "s", "x")):
        return singular + "es"
    if singular.endswith("y") and singular[-2] not in "aeiou":
        return singular[:-1] + "ies"
    return singular + "s"


NOUNS: Final = Nouns(SINGULARS, tuple(map(plural_of, SINGULARS)))
