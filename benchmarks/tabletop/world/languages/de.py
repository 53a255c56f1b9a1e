"""German: three genders; adjectives are strong, mixed or weak by the word before them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from benchmarks.tabletop.world.languages.language import Case, Language
from benchmarks.tabletop.world.statements import Group

NUMBERS: Final = {2: "zwei", 3: "drei", 4: "vier", 5: "fünf"}
#: Gender, singular, dative singular, plural, dative plural.
NOUNS: Final = {
    "circle": ("m", "Kreis", "Kreis", "Kreise", "Kreisen"),
    "square": ("n", "Quadrat", "Quadrat", "Quadrate", "Quadraten"),
    "triangle": ("n", "Dreieck", "Dreieck", "Dreiecke", "Dreiecken"),
    "diamond": ("f", "Raute", "Raute", "Rauten", "Rauten"),
    "star": ("m", "Stern", "Stern", "Sterne", "Sternen"),
    "heart": ("n", "Herz", "Herzen", "Herzen", "Herzen"),
    "cross": ("n", "Kreuz", "Kreuz", "Kreuze", "Kreuzen"),
    "crescent": ("m", "Halbmond", "Halbmond", "Halbmonde", "Halbmonden"),
}
COLORS: Final = {
    "red": "rot",
    "orange": "orangefarben",
    "yellow": "gelb",
    "green": "grün",
    "blue": "blau",
    "purple": "violett",
    "pink": "rosa",
    "brown": "braun",
    "black": "schwarz",
    "white": "weiß",
}
TEXTURES: Final = {
    "plain": "einfarbig",
    "striped": "gestreift",
    "dotted": "gepunktet",
    "checkered": "kariert",
}
SIZES: Final = {"small": "klein", "medium": "mittelgroß", "large": "groß"}
INDECLINABLE: Final = {"rosa"}

#: Article and adjective ending by gender, after "ein" (mixed) and after "der" (weak).
INDEFINITE: Final[dict[str, dict[str, tuple[str, str]]]] = {
    "nominative": {"m": ("ein", "er"), "f": ("eine", "e"), "n": ("ein", "es")},
    "dative": {"m": ("einem", "en"), "f": ("einer", "en"), "n": ("einem", "en")},
    "accusative": {"m": ("einen", "en"), "f": ("eine", "e"), "n": ("ein", "es")},
}
DEFINITE: Final[dict[str, dict[str, tuple[str, str]]]] = {
    "nominative": {"m": ("der", "e"), "f": ("die", "e"), "n": ("das", "e")},
    "dative": {"m": ("dem", "en"), "f": ("der", "en"), "n": ("dem", "en")},
    "accusative": {"m": ("den", "en"), "f": ("die", "e"), "n": ("das", "e")},
}


def adjectives(group: Group) -> list[str]:
    """Return the group's attributes in their order before a noun, without endings."""
    return [
        table[word]
        for table, word in ((SIZES, group.size), (TEXTURES, group.texture), (COLORS, group.color))
        if word is not None
    ]


def phrase(group: Group, case: Case = "nominative") -> str:
    """Return e.g. ``einem großen gestreiften roten Stern`` (nominative, dative or accusative)."""
    gender, singular, dative, plural, dative_plural = NOUNS[group.shape]
    if group.number > 1:
        first, ending = NUMBERS[group.number], "en" if case == "dative" else "e"
        last = dative_plural if case == "dative" else plural
    else:
        first, ending = (DEFINITE if group.definite else INDEFINITE)[case][gender]
        last = dative if case == "dative" else singular
    declined = (word if word in INDECLINABLE else word + ending for word in adjectives(group))
    return " ".join((first, *declined, last))


def tag(group: Group) -> str:
    """Return e.g. ``zwei Sterne, rot, gestreift``."""
    _, singular, _, plural, _ = NOUNS[group.shape]
    head = singular if group.number == 1 else f"{NUMBERS[group.number]} {plural}"
    return ", ".join((head, *reversed(adjectives(group))))


def join(phrases: Sequence[str]) -> str:
    """Return ``a``, ``a und b`` or ``a, b und c``."""
    return " und ".join(filter(None, (", ".join(phrases[:-1]), phrases[-1])))


CELLS: Final = {
    "top left": "oben links",
    "top": "oben in der Mitte",
    "top right": "oben rechts",
    "left": "links in der Mitte",
    "center": "in der Bildmitte",
    "right": "rechts in der Mitte",
    "bottom left": "unten links",
    "bottom": "unten in der Mitte",
    "bottom right": "unten rechts",
}

GERMAN: Final = Language(
    code="de",
    phrase=phrase,
    tag=tag,
    join=join,
    cells=CELLS,
    sentences={
        "photo": ("ein Foto von {a.dative}",),
        "photo left of": ("ein Foto von {a.dative} links von {b.dative}",),
        "photo right of": ("ein Foto von {a.dative} rechts von {b.dative}",),
        "photo above": ("ein Foto von {a.dative} über {b.dative}",),
        "photo below": ("ein Foto von {a.dative} unter {b.dative}",),
        "picture": (
            "Das Bild zeigt {a.accusative}.",
            "Man sieht {a.accusative} auf einem grauen Tisch.",
            "Ein Bild mit {a.dative}.",
        ),
        "drawing": (
            "Eine flache Zeichnung von {a.dative} auf einem Tisch.",
            "Diese schlichte Illustration zeigt {a.accusative}.",
            "Eine einfache digitale Zeichnung mit {a.dative}, von oben gesehen.",
        ),
        "largest": ("Die größte Form ist {a}.", "Am größten ist {a}."),
        "at": ("{a} liegt {cell}.", "{cell} liegt {a}.", "{cell} befindet sich {a}."),
        "at many": ("{a} liegen {cell}.", "{cell} liegen {a}.", "{cell} befinden sich {a}."),
        "left of": ("{a} ist links von {b.dative}.", "{a} liegt links von {b.dative}."),
        "right of": ("{a} ist rechts von {b.dative}.", "{a} liegt rechts von {b.dative}."),
        "above": ("{a} ist über {b.dative}.", "{a} befindet sich über {b.dative}."),
        "below": ("{a} ist unter {b.dative}.", "{a} befindet sich unter {b.dative}."),
        "covers": ("{a} verdeckt teilweise {b.accusative}.", "{a} verdeckt einen Teil von {b.dative}."),
        "background": ("Der Hintergrund ist grau.", "Alles liegt vor einem grauen Hintergrund."),
    },
)
