"""Captions of a scene at four levels of detail in five languages, all of them true."""

from __future__ import annotations

from typing import Final

import numpy as np

from benchmarks.tabletop.world.languages.de import GERMAN
from benchmarks.tabletop.world.languages.en import ENGLISH
from benchmarks.tabletop.world.languages.ja import JAPANESE
from benchmarks.tabletop.world.languages.language import Language
from benchmarks.tabletop.world.languages.ru import RUSSIAN
from benchmarks.tabletop.world.languages.zh import CHINESE
from benchmarks.tabletop.world.planning import plan
from benchmarks.tabletop.world.scene import Scene
from benchmarks.tabletop.world.statements import LEVELS, Level

__all__ = ["LANGUAGES", "LEVELS", "Level", "caption", "captions"]

#: Languages by ISO 639-1 code.
LANGUAGES: Final[dict[str, Language]] = {
    language.code: language for language in (ENGLISH, CHINESE, JAPANESE, RUSSIAN, GERMAN)
}


def caption(scene: Scene, level: Level, language: str, rng: np.random.Generator) -> str:
    """Return one caption.

    Args:
        scene: what is on the table.
        level: ``tag``, ``short`` (in English one of GenEval's prompt forms), ``medium`` or ``detailed``.
        language: a key of :data:`LANGUAGES`.
        rng: draws what is said and in which words; never whether it is true.

    Raises:
        KeyError: there is no such level or language.
    """
    return LANGUAGES[language].tell(plan(scene, level, rng), rng)


def captions(scene: Scene, rng: np.random.Generator) -> dict[str, dict[str, str]]:
    """Return captions by language, then level; those of one level are translations of each other."""
    plans = {level: plan(scene, level, rng) for level in LEVELS}
    return {
        code: {level: language.tell(said, rng) for level, said in plans.items()}
        for code, language in LANGUAGES.items()
    }
