"""Russian: three genders, four cases, and nouns that decline by the number before them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from benchmarks.tabletop.world.languages.language import Case, Language
from benchmarks.tabletop.world.statements import Group

#: Gender; nominative, genitive, accusative and instrumental singular; genitive plural.
NOUNS: Final = {
    "circle": ("m", "круг", "круга", "круг", "кругом", "кругов"),
    "square": ("m", "квадрат", "квадрата", "квадрат", "квадратом", "квадратов"),
    "triangle": ("m", "треугольник", "треугольника", "треугольник", "треугольником", "треугольников"),
    "diamond": ("m", "ромб", "ромба", "ромб", "ромбом", "ромбов"),
    "star": ("f", "звезда", "звезды", "звезду", "звездой", "звёзд"),
    "heart": ("n", "сердце", "сердца", "сердце", "сердцем", "сердец"),
    "cross": ("m", "крест", "креста", "крест", "крестом", "крестов"),
    "crescent": ("m", "полумесяц", "полумесяца", "полумесяц", "полумесяцем", "полумесяцев"),
}
_CASES: Final = {"nominative": 1, "genitive": 2, "accusative": 3, "instrumental": 4}

#: Endings of the four patterns of adjectives by case and gender ("m", "f", "n", "p" for plural).
_ENDINGS: Final = {
    "hard": "ый ая ое ые, ого ой ого ых, ый ую ое ые, ым ой ым ыми",
    "soft": "ий яя ее ие, его ей его их, ий юю ее ие, им ей им ими",
    "velar": "ий ая ое ие, ого ой ого их, ий ую ое ие, им ой им ими",
    "stressed": "ой ая ое ие, ого ой ого их, ой ую ое ие, им ой им ими",
}
ENDINGS: Final = {
    pattern: {
        case: dict(zip("mfnp", row.split(), strict=True))
        for case, row in zip(_CASES, rows.split(","), strict=True)
    }
    for pattern, rows in _ENDINGS.items()
}
#: Stem and pattern.
ADJECTIVES: Final = {
    "red": ("красн", "hard"),
    "orange": ("оранжев", "hard"),
    "yellow": ("жёлт", "hard"),
    "green": ("зелён", "hard"),
    "blue": ("син", "soft"),
    "purple": ("фиолетов", "hard"),
    "pink": ("розов", "hard"),
    "brown": ("коричнев", "hard"),
    "black": ("чёрн", "hard"),
    "white": ("бел", "hard"),
    "plain": ("однотонн", "hard"),
    "striped": ("полосат", "hard"),
    "checkered": ("клетчат", "hard"),
    "small": ("маленьк", "velar"),
    "large": ("больш", "stressed"),
}
#: Attributes that follow the noun and never change.
SUFFIXES: Final = {"dotted": "в горошек", "medium": "среднего размера"}

#: Two to five, in the nominative by gender and in the genitive.
NUMBERS: Final = {
    2: {"m": "два", "f": "две", "n": "два", "genitive": "двух"},
    3: {"m": "три", "f": "три", "n": "три", "genitive": "трёх"},
    4: {"m": "четыре", "f": "четыре", "n": "четыре", "genitive": "четырёх"},
    5: {"m": "пять", "f": "пять", "n": "пять", "genitive": "пяти"},
}


def adjective(word: str, case: str, gender: str) -> str:
    """Return an attribute in a case and a gender (``p`` for the plural)."""
    stem, pattern = ADJECTIVES[word]
    return stem + ENDINGS[pattern][case][gender]


def counted(group: Group, case: Case) -> tuple[str, str, str, str]:
    """Return the number word, the noun, and the case and gender of adjectives between the two.

    Two to four take the genitive singular, five the genitive plural; adjectives are then genitive plural,
    but nominative plural with feminine nouns after two to four. In the genitive all is genitive plural.
    """
    gender, forms = NOUNS[group.shape][0], NOUNS[group.shape]
    if group.number == 1:
        return "", forms[_CASES[case]], case, gender
    if case == "genitive":
        return NUMBERS[group.number]["genitive"], forms[5], "genitive", "p"
    few = group.number < 5
    agreeing = "nominative" if few and gender == "f" else "genitive"
    return NUMBERS[group.number][gender], forms[2 if few else 5], agreeing, "p"


def phrase(group: Group, case: Case = "nominative") -> str:
    """Return e.g. ``две большие красные звезды в горошек``; counts above one only nominative or genitive."""
    number, noun, agreeing, gender = counted(group, case)
    words = [word for word in (group.size, group.color, group.texture) if word]
    before = [adjective(word, agreeing, gender) for word in words if word in ADJECTIVES]
    after = [SUFFIXES[word] for word in words if word in SUFFIXES]
    return " ".join(filter(None, (number, *before, noun, *reversed(after))))


def tag(group: Group) -> str:
    """Return e.g. ``две звезды, красные, полосатые``."""
    number, noun, _, _ = counted(group, "nominative")
    gender = NOUNS[group.shape][0] if group.number == 1 else "p"
    words = [word for word in (group.color, group.texture, group.size) if word]
    looks = (SUFFIXES.get(word) or adjective(word, "nominative", gender) for word in words)
    return ", ".join((f"{number} {noun}".strip(), *looks))


def join(phrases: Sequence[str]) -> str:
    """Return ``a``, ``a и b`` or ``a, b и c``."""
    return " и ".join(filter(None, (", ".join(phrases[:-1]), phrases[-1])))


CELLS: Final = {
    "top left": "вверху слева",
    "top": "вверху посередине",
    "top right": "вверху справа",
    "left": "слева посередине",
    "center": "в центре",
    "right": "справа посередине",
    "bottom left": "внизу слева",
    "bottom": "внизу посередине",
    "bottom right": "внизу справа",
}

RUSSIAN: Final = Language(
    code="ru",
    phrase=phrase,
    tag=tag,
    join=join,
    cells=CELLS,
    sentences={
        "photo": ("фото {a.genitive}",),
        "photo left of": ("фото {a.genitive} слева от {b.genitive}",),
        "photo right of": ("фото {a.genitive} справа от {b.genitive}",),
        "photo above": ("фото {a.genitive} над {b.instrumental}",),
        "photo below": ("фото {a.genitive} под {b.instrumental}",),
        "picture": ("На картинке {a}.", "Изображение {a.genitive}.", "На сером столе {a}."),
        "drawing": (
            "Плоский рисунок {a.genitive} на столе.",
            "На этой простой иллюстрации {a}.",
            "Простой цифровой рисунок, вид сверху: {a}.",
        ),
        "largest": ("Самая крупная фигура — {a}.", "Крупнее всего {a}."),
        "at": ("{cell} находится {a}.", "{cell} лежит {a}.", "{a} находится {cell}."),
        "at many": ("{cell} находятся {a}.", "{cell} лежат {a}.", "{a} находятся {cell}."),
        "left of": ("{a} находится слева от {b.genitive}.", "{a} слева от {b.genitive}."),
        "right of": ("{a} находится справа от {b.genitive}.", "{a} справа от {b.genitive}."),
        "above": ("{a} находится над {b.instrumental}.", "{a} выше {b.genitive}."),
        "below": ("{a} находится под {b.instrumental}.", "{a} ниже {b.genitive}."),
        "covers": ("{a} частично закрывает {b.accusative}.", "{a} закрывает часть {b.genitive}."),
        "background": ("Фон серый.", "Всё это на сером фоне."),
    },
)
