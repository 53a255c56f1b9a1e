"""Japanese: counters instead of plurals; attributes carry their own ending before a noun."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from benchmarks.tabletop.world.languages.language import Case, Language
from benchmarks.tabletop.world.statements import Group

NUMBERS: Final = {2: "二つ", 3: "三つ", 4: "四つ", 5: "五つ"}
NOUNS: Final = {
    "circle": "円",
    "square": "正方形",
    "triangle": "三角形",
    "diamond": "ひし形",
    "star": "星",
    "heart": "ハート",
    "cross": "十字",
    "crescent": "三日月",
}
#: Before a noun, and as a tag of its own.
COLORS: Final = {
    "red": ("赤い", "赤"),
    "orange": ("オレンジ色の", "オレンジ色"),
    "yellow": ("黄色い", "黄色"),
    "green": ("緑色の", "緑"),
    "blue": ("青い", "青"),
    "purple": ("紫色の", "紫"),
    "pink": ("ピンク色の", "ピンク"),
    "brown": ("茶色い", "茶色"),
    "black": ("黒い", "黒"),
    "white": ("白い", "白"),
}
TEXTURES: Final = {
    "plain": ("無地の", "無地"),
    "striped": ("縞模様の", "縞模様"),
    "dotted": ("水玉模様の", "水玉模様"),
    "checkered": ("市松模様の", "市松模様"),
}
SIZES: Final = {"small": ("小さな", "小"), "medium": ("中くらいの", "中"), "large": ("大きな", "大")}


def looks(group: Group) -> list[tuple[str, str]]:
    """Return the group's attributes, each before a noun and as a tag."""
    return [
        table[word]
        for table, word in ((SIZES, group.size), (TEXTURES, group.texture), (COLORS, group.color))
        if word is not None
    ]


def phrase(group: Group, case: Case = "nominative") -> str:
    """Return e.g. ``二つの大きな縞模様の赤い星``; cases are particles in the sentence."""
    number = NUMBERS[group.number] + "の" if group.number > 1 else ""
    return number + "".join(before for before, _ in looks(group)) + NOUNS[group.shape]


def tag(group: Group) -> str:
    """Return e.g. ``星二つ、赤、縞模様``."""
    head = NOUNS[group.shape] + (NUMBERS[group.number] if group.number > 1 else "")
    return "、".join((head, *(alone for _, alone in reversed(looks(group)))))


def join(phrases: Sequence[str]) -> str:
    """Return ``a``, or ``一つのaと二つのb``: among others each is counted, lest a number span all of them."""
    if len(phrases) == 1:
        return phrases[0]
    return "と".join(p if p.startswith(tuple(NUMBERS.values())) else "一つの" + p for p in phrases)


CELLS: Final = {
    "top left": "左上",
    "top": "上",
    "top right": "右上",
    "left": "左",
    "center": "中央",
    "right": "右",
    "bottom left": "左下",
    "bottom": "下",
    "bottom right": "右下",
}

JAPANESE: Final = Language(
    code="ja",
    phrase=phrase,
    tag=tag,
    join=join,
    cells=CELLS,
    tag_separator="；",
    space="",
    sentences={
        "photo": ("{a}の写真", "{a}が写った写真"),
        "photo left of": ("{b}の左にある{a}の写真",),
        "photo right of": ("{b}の右にある{a}の写真",),
        "photo above": ("{b}の上にある{a}の写真",),
        "photo below": ("{b}の下にある{a}の写真",),
        "picture": ("画像には{a}がある。", "灰色のテーブルの上に{a}がある。", "{a}が描かれている。"),
        "drawing": ("平面的なイラストで、{a}が描かれている。", "真上から見た簡素な絵で、机の上に{a}がある。"),
        "largest": ("一番大きい図形は{a}である。", "最も大きいのは{a}だ。"),
        "at": ("画面の{cell}に{a}がある。", "{a}は画面の{cell}にある。"),
        "left of": ("{a}は{b}の左にある。", "{b}の左側に{a}がある。"),
        "right of": ("{a}は{b}の右にある。", "{b}の右側に{a}がある。"),
        "above": ("{a}は{b}の上にある。", "{b}の上側に{a}がある。"),
        "below": ("{a}は{b}の下にある。", "{b}の下側に{a}がある。"),
        "covers": ("{a}が{b}の一部を覆っている。", "{a}が{b}に部分的に重なっている。"),
        "background": ("背景は灰色である。", "背景は無地の灰色だ。"),
    },
)
