"""What a language must bring to put statements into words."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from benchmarks.tabletop.world.statements import Group, Statement

Case = Literal["nominative", "genitive", "dative", "accusative", "instrumental"]


@dataclass(frozen=True, slots=True)
class Language:
    """Words and sentences of one language.

    ``sentences`` maps what a statement is about to paraphrases: format strings with ``{a}``, ``{b}`` (noun
    phrases; ``{a.dative}`` and so on where the language has cases) and ``{cell}``. A sentence named
    ``"… many"`` stands in where ``a`` is more than one thing.
    """

    code: str
    phrase: Callable[[Group, Case], str]  # "two red stars"
    tag: Callable[[Group], str]  # "two stars, red"
    join: Callable[[Sequence[str]], str]  # "a star, a heart and a cross"
    cells: Mapping[str, str]
    sentences: Mapping[str, tuple[str, ...]]
    tag_separator: str = "; "
    space: str = " "

    def tell(self, statements: Sequence[Statement], rng: np.random.Generator) -> str:
        """Return the statements as text, each in a paraphrase drawn from ``rng``."""
        return self.space.join(self._sentence(statement, rng) for statement in statements)

    def _sentence(self, statement: Statement, rng: np.random.Generator) -> str:
        if statement.about == "tags":
            return self.tag_separator.join(map(self.tag, statement.a))
        about = statement.about
        if sum(group.number for group in statement.a) > 1 and f"{about} many" in self.sentences:
            about = f"{about} many"
        paraphrases = self.sentences[about]
        template = paraphrases[int(rng.random() * len(paraphrases))]
        text = template.format(
            a=NounPhrase(self, statement.a),
            b=NounPhrase(self, statement.b),
            cell=self.cells[statement.cell] if statement.cell else "",
        )
        return text if about.startswith("photo") else text[0].upper() + text[1:]


@dataclass(frozen=True, slots=True)
class NounPhrase:
    """Groups of things, to be put into the case that a sentence asks for; nominative by default."""

    language: Language
    groups: tuple[Group, ...]

    def _in(self, case: Case) -> str:
        return self.language.join([self.language.phrase(group, case) for group in self.groups])

    def __str__(self) -> str:
        return self._in("nominative")

    @property
    def genitive(self) -> str:
        """Of whom or what."""
        return self._in("genitive")

    @property
    def dative(self) -> str:
        """To whom or what."""
        return self._in("dative")

    @property
    def accusative(self) -> str:
        """Whom or what."""
        return self._in("accusative")

    @property
    def instrumental(self) -> str:
        """By, or in Russian also above and below, whom or what."""
        return self._in("instrumental")
