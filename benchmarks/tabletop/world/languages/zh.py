"""Chinese: measure words instead of plurals; a definite thing goes without number and measure word."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from benchmarks.tabletop.world.languages.language import Case, Language
from benchmarks.tabletop.world.statements import Group

NUMBERS: Final = {1: "一", 2: "两", 3: "三", 4: "四", 5: "五"}
#: Name and measure word.
NOUNS: Final = {
    "circle": ("圆形", "个"),
    "square": ("正方形", "个"),
    "triangle": ("三角形", "个"),
    "diamond": ("菱形", "个"),
    "star": ("星星", "颗"),
    "heart": ("爱心", "颗"),
    "cross": ("十字", "个"),
    "crescent": ("月牙", "弯"),
}
COLORS: Final = {
    "red": "红色",
    "orange": "橙色",
    "yellow": "黄色",
    "green": "绿色",
    "blue": "蓝色",
    "purple": "紫色",
    "pink": "粉色",
    "brown": "棕色",
    "black": "黑色",
    "white": "白色",
}
TEXTURES: Final = {"plain": "无花纹", "striped": "带条纹", "dotted": "带圆点", "checkered": "带格子"}
#: Before a noun, and as a tag of its own.
SIZES: Final = {"small": ("小", "小"), "medium": ("中等大小的", "中等大小"), "large": ("大", "大")}


def phrase(group: Group, case: Case = "nominative") -> str:
    """Return e.g. ``两颗带条纹的红色大星星``; Chinese nouns have no cases."""
    name, measure = NOUNS[group.shape]
    number = "" if group.definite else NUMBERS[group.number] + measure
    size = SIZES[group.size][0] if group.size else ""
    texture = TEXTURES[group.texture] + "的" if group.texture else ""
    color = COLORS[group.color] if group.color else ""
    if group.size == "medium":
        return number + size + texture + color + name
    return number + texture + color + size + name


def tag(group: Group) -> str:
    """Return e.g. ``两颗星星，红色，带条纹``."""
    name, measure = NOUNS[group.shape]
    head = name if group.number == 1 else NUMBERS[group.number] + measure + name
    color = COLORS[group.color] if group.color else None
    texture = TEXTURES[group.texture] if group.texture else None
    size = SIZES[group.size][1] if group.size else None
    return "，".join(filter(None, (head, color, texture, size)))


def join(phrases: Sequence[str]) -> str:
    """Return ``a``, ``a和b`` or ``a、b和c``."""
    return "和".join(filter(None, ("、".join(phrases[:-1]), phrases[-1])))


CELLS: Final = {
    "top left": "左上角",
    "top": "上方",
    "top right": "右上角",
    "left": "左侧",
    "center": "中央",
    "right": "右侧",
    "bottom left": "左下角",
    "bottom": "下方",
    "bottom right": "右下角",
}

CHINESE: Final = Language(
    code="zh",
    phrase=phrase,
    tag=tag,
    join=join,
    cells=CELLS,
    tag_separator="；",
    space="",
    sentences={
        "photo": ("{a}的照片", "一张有{a}的照片"),
        "photo left of": ("{a}在{b}左边的照片", "照片里{a}在{b}左边"),
        "photo right of": ("{a}在{b}右边的照片", "照片里{a}在{b}右边"),
        "photo above": ("{a}在{b}上方的照片", "照片里{a}在{b}上方"),
        "photo below": ("{a}在{b}下方的照片", "照片里{a}在{b}下方"),
        "picture": ("图中有{a}。", "画面上有{a}。", "灰色的桌面上有{a}。"),
        "drawing": ("这是一幅扁平风格的插画，画着{a}。", "一幅简单的俯视图，桌上有{a}。"),
        "largest": ("最大的图形是{a}。", "其中最大的是{a}。"),
        "at": ("画面{cell}有{a}。", "{cell}有{a}。"),
        "left of": ("{a}在{b}的左边。", "{a}位于{b}左侧。"),
        "right of": ("{a}在{b}的右边。", "{a}位于{b}右侧。"),
        "above": ("{a}在{b}的上方。", "{a}位于{b}上面。"),
        "below": ("{a}在{b}的下方。", "{a}位于{b}下面。"),
        "covers": ("{a}遮住了{b}的一部分。", "{a}部分盖住了{b}。"),
        "background": ("背景是灰色的。", "背景为纯灰色。"),
    },
)
