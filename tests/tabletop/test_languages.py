"""The other languages say what the English says, in their own grammar.

The reader here knows the languages' words from its own tables and never looks at the package's.
"""

from __future__ import annotations

import dataclasses
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.tabletop.world.captions import LANGUAGES, LEVELS, caption, captions
from benchmarks.tabletop.world.scene import Scene, Thing, sample_scene
from benchmarks.tabletop.world.statements import Group

SHAPES = ["circle", "square", "triangle", "diamond", "star", "heart", "cross", "crescent"]
COLORS = ["red", "orange", "yellow", "green", "blue", "purple", "pink", "brown", "black", "white"]
seeds = st.integers(0, 2**32 - 1)
scenes = st.integers(0, 2**32 - 1).map(lambda seed: sample_scene(np.random.default_rng(seed)))


def draw(scene: Scene, seed: int) -> dict[str, dict[str, str]]:
    return captions(scene, np.random.default_rng(seed))


RED_STAR = Thing("star", "red", "plain", "large", 0.30, 0.5)
BLUE_CIRCLE = Thing("circle", "blue", "plain", "small", 0.52, 0.5)
BESIDE = Scene((RED_STAR, dataclasses.replace(BLUE_CIRCLE, x=0.80)), (150, 150, 150))
BELOW = Scene((RED_STAR, dataclasses.replace(BLUE_CIRCLE, x=0.30, y=0.85)), (150, 150, 150))
ON_TOP = Scene((RED_STAR, BLUE_CIRCLE), (150, 150, 150))


@pytest.mark.parametrize(
    ("scene", "language", "expected"),
    [
        (BESIDE, "zh", {"一颗红色星星在一个蓝色圆形左边的照片", "一个蓝色圆形在一颗红色星星右边的照片"}),
        (BELOW, "zh", {"一颗红色星星在一个蓝色圆形上方的照片", "一个蓝色圆形在一颗红色星星下方的照片"}),
        (BESIDE, "ja", {"青い円の左にある赤い星の写真", "赤い星の右にある青い円の写真"}),
        (BELOW, "ja", {"青い円の上にある赤い星の写真", "赤い星の下にある青い円の写真"}),
        (
            BESIDE,
            "ru",
            {"фото красной звезды слева от синего круга", "фото синего круга справа от красной звезды"},
        ),
        (BELOW, "ru", {"фото красной звезды над синим кругом", "фото синего круга под красной звездой"}),
        (
            BESIDE,
            "de",
            {
                "ein Foto von einem roten Stern links von einem blauen Kreis",
                "ein Foto von einem blauen Kreis rechts von einem roten Stern",
            },
        ),
        (
            BELOW,
            "de",
            {
                "ein Foto von einem roten Stern über einem blauen Kreis",
                "ein Foto von einem blauen Kreis unter einem roten Stern",
            },
        ),
    ],
)
def test_relations_in_each_language(scene: Scene, language: str, expected: set[str]) -> None:
    rng = np.random.default_rng(0)
    said = {caption(scene, "short", language, rng) for _ in range(400)}
    assert expected <= said


@pytest.mark.parametrize(
    ("language", "sentence"),
    [
        (
            "en",
            r"The (blue )?circle (partly covers|lies partly on top of|overlaps) the (red )?star"
            r"( from above)?\.",
        ),
        ("zh", r"(蓝色)?圆形(遮住了(红色)?星星的一部分|部分盖住了(红色)?星星)。"),
        ("ja", r"(青い)?円が(赤い)?星(の一部を覆っている|に部分的に重なっている)。"),
        ("ru", r"(Синий к|К)руг (частично закрывает (красную )?звезду|закрывает часть (красной )?звезды)\."),
        (
            "de",
            r"Der (blaue )?Kreis verdeckt (teilweise den (roten )?Stern|einen Teil von dem (roten )?Stern)\.",
        ),
    ],
)
def test_what_lies_on_top_covers_what_lies_below(language: str, sentence: str) -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        assert re.search(sentence, caption(ON_TOP, "detailed", language, rng))


def test_templates_ask_only_for_cases_that_the_sentence_governs() -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        for sentence in caption(BELOW, "detailed", "ru", rng).split(". ")[1:]:
            if re.search(r"\b(над|под|выше|ниже)\b", sentence):
                assert re.fullmatch(
                    r"(Красная з|З)везда (находится над (синим )?кругом|выше (синего )?круга)"
                    r"|(Синий к|К)руг (находится под (красной )?звездой|ниже (красной )?звезды)",
                    sentence,
                ), sentence
        for sentence in caption(BESIDE, "detailed", "de", rng).split(". ")[1:]:
            if re.search(r"\b(links|rechts) von\b", sentence):
                assert re.fullmatch(
                    r"Der (rote )?Stern (ist|liegt) links von dem (blauen )?Kreis"
                    r"|Der (blaue )?Kreis (ist|liegt) rechts von dem (roten )?Stern",
                    sentence,
                ), sentence


#: Stems by which a reader of each language knows the words, in the order of SHAPES and COLORS.
STEMS = {
    "zh": (
        "圆形 正方形 三角形 菱形 星星 爱心 十字 月牙",
        "红色 橙色 黄色 绿色 蓝色 紫色 粉色 棕色 黑色 白色",
    ),
    "ja": (
        "円 正方形 三角形 ひし形 星 ハート 十字 三日月",
        "赤 オレンジ 黄 緑 青 紫 ピンク 茶 黒 白",
    ),
    "ru": (
        r"\bкруг \bквадрат \bтреугольн \bромб \bзв[её]зд \bсерд \bкрест \bполумес",
        r"\bкрасн \bоранж \bж[её]лт \bзел[её]н \bсин \bфиолет \bрозов \bкоричн \bч[её]рн \bбел",
    ),
    "de": (
        r"\bkreis \bquadrat \bdreieck \braute \bstern \bherz \bkreuz \bhalbmond",
        r"\brot \borange \bgelb \bgrün \bblau \bviolett \brosa \bbraun \bschwarz \bweiß",
    ),
}
TWO_TO_FIVE = {
    "zh": "两 三(?!角) 四 五",
    "ja": "二つ 三つ 四つ 五つ",
    "ru": r"\b(?:два|две|двух)\b \bтр(?:и|ёх)\b \bчетыр(?:е|ёх)\b \bпят[ьи]\b",
    "de": r"\bzwei\b \bdrei\b \bvier\b \bfünf\b",
}


def words_in(text: str, stems: str, names: list[str]) -> dict[str, int]:
    return {
        name: len(re.findall(stem, text, re.IGNORECASE))
        for name, stem in zip(names, stems.split(), strict=True)
    }


@pytest.mark.parametrize("language", sorted(STEMS))
@given(scene=scenes, seed=seeds)
def test_translations_say_what_the_english_says(language: str, scene: Scene, seed: int) -> None:
    told = draw(scene, seed)
    shapes, colors = STEMS[language]
    for level in LEVELS:
        english, text = told["en"][level], told[language][level]
        plain = {name: rf"\b{name}(?:s|es)?\b" for name in (*SHAPES, *COLORS, "two", "three", "four", "five")}
        for stems, names in (
            (shapes, SHAPES),
            (colors, COLORS),
            (TWO_TO_FIVE[language], ["two", "three", "four", "five"]),
        ):
            want = words_in(english, " ".join(plain[name] for name in names), names)
            assert words_in(text, stems, names) == want, (english, text)


STAR, CROSS, HEART, ROMB = "star", "cross", "heart", "diamond"


@pytest.mark.parametrize(
    ("language", "group", "case", "text"),
    [
        ("en", Group(STAR, "orange"), "nominative", "an orange star"),
        ("en", Group(CROSS, None, None, "large", 2), "nominative", "two large crosses"),
        ("de", Group(STAR, "red"), "dative", "einem roten Stern"),
        ("de", Group(ROMB, "pink", "striped"), "nominative", "eine gestreifte rosa Raute"),
        ("de", Group(HEART, "green"), "accusative", "ein grünes Herz"),
        ("de", Group(HEART, "green", definite=True), "dative", "dem grünen Herzen"),
        ("de", Group(STAR, "blue", definite=True), "accusative", "den blauen Stern"),
        ("de", Group("circle", "white", number=4), "dative", "vier weißen Kreisen"),
        ("de", Group("circle", "white", number=4), "accusative", "vier weiße Kreise"),
        ("ru", Group(STAR, "blue"), "accusative", "синюю звезду"),
        ("ru", Group(STAR, "red", None, "large", 2), "nominative", "две большие красные звезды"),
        ("ru", Group(STAR, "red", None, "small", 3), "genitive", "трёх маленьких красных звёзд"),
        ("ru", Group("circle", "red", "striped", None, 2), "nominative", "два красных полосатых круга"),
        ("ru", Group(HEART, "blue", number=5), "nominative", "пять синих сердец"),
        ("ru", Group(HEART, "blue", "dotted"), "instrumental", "синим сердцем в горошек"),
        ("ru", Group(CROSS, "green", None, "medium"), "genitive", "зелёного креста среднего размера"),
        ("zh", Group(STAR, "red", number=2), "nominative", "两颗红色星星"),
        ("zh", Group("crescent", None, None, "small"), "nominative", "一弯小月牙"),
        ("zh", Group("circle", "red", definite=True), "nominative", "红色圆形"),
        ("ja", Group(STAR, "red", "striped", "large", 3), "nominative", "三つの大きな縞模様の赤い星"),
        ("ja", Group("circle", "orange"), "nominative", "オレンジ色の円"),
    ],
)
def test_grammar(language: str, group: Group, case: str, text: str) -> None:
    assert LANGUAGES[language].phrase(group, case) == text  # type: ignore[arg-type]
