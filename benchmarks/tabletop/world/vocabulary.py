"""The words of the tabletop world: what there is to draw, and how each thing looks.

Everything else in this package (renderer, captions, judge) reads these tables and adds no word of its own.
"""

from __future__ import annotations

from typing import Final

#: Silhouettes. Each is told from the others by outline alone, also at 16 pixels across.
SHAPES: Final = ("circle", "square", "triangle", "diamond", "star", "heart", "cross", "crescent")

#: GenEval's ten colour words with the sRGB value (0 to 255) that this world paints them in.
COLORS: Final[dict[str, tuple[int, int, int]]] = {
    "red": (214, 32, 38),
    "orange": (250, 132, 22),
    "yellow": (250, 222, 40),
    "green": (36, 150, 62),
    "blue": (34, 78, 206),
    "purple": (126, 44, 168),
    "pink": (252, 138, 190),
    "brown": (120, 70, 34),
    "black": (24, 24, 26),
    "white": (250, 250, 250),
}

#: The second tone of a patterned surface: the same hue, lighter or darker, and no other colour word.
SHADES: Final[dict[str, tuple[int, int, int]]] = {
    "red": (142, 14, 22),
    "orange": (253, 182, 100),
    "yellow": (206, 178, 14),
    "green": (86, 196, 108),
    "blue": (92, 140, 240),
    "purple": (172, 100, 214),
    "pink": (254, 188, 220),
    "brown": (76, 42, 18),
    "black": (72, 72, 76),
    "white": (212, 212, 214),
}

#: Surface patterns. A pattern varies lightness only, so that it never changes the colour word.
TEXTURES: Final = ("plain", "striped", "dotted", "checkered")

#: Diameter of a thing as a fraction of the image side.
SIZES: Final[dict[str, float]] = {"small": 0.26, "medium": 0.33, "large": 0.42}

#: The table top: greys that are none of the ten colours, (lightness 0 to 255, warmth) kept within this range.
BACKGROUND_LIGHTNESS: Final = (140, 172)

#: Relations of GenEval's position task, in its order.
RELATIONS: Final = ("left of", "right of", "above", "below")

#: Most things on one table.
MAX_THINGS: Final = 5
