"""Prompts of this world and scenes that fulfil them: the truth that a judge is held against."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from benchmarks.geneval.prompts import COUNT_WORDS, Record
from benchmarks.geneval.rules import Options, evaluate
from benchmarks.geneval.vocabulary import TABLETOP, plural
from benchmarks.tabletop.world.renderer import silhouette, visible_masks
from benchmarks.tabletop.world.scene import CrowdedTableError, Kind, Scene, place
from benchmarks.tabletop.world.vocabulary import COLORS, RELATIONS, SHAPES
from benchmarks.tabletop.world.wishes import read_wish
from lumina_eval.errors import UserError

#: A `detect` verdict: detections, colors and textures by class.
Output = dict[str, dict[str, list[Any]]]

#: The rules as they are.
RULES: Final = Options()
#: The rules with a margin: truth must not hang on the rounding of a box, or on a hair of visible area.
STRICT: Final = Options(position_threshold=0.14, counting_threshold=0.93)
#: Share of scenes in which things may touch and overlap a little, as in training sets, and how far.
TOUCHING: Final = 0.3
OVERLAP: Final = 0.12

_NUMBERS: Final = {word: number for number, word in COUNT_WORDS.items()}
_THING: Final = rf"an? (?:({'|'.join(COLORS)}) )?({'|'.join(SHAPES)})"
_MANY: Final = re.compile(rf"a photo of ({'|'.join(_NUMBERS)}) ({'|'.join(map(plural, SHAPES))})")
_FEW: Final = re.compile(rf"a photo of {_THING}(?: (and|{'|'.join(RELATIONS)}) {_THING})?")


def read_prompt(prompt: str) -> Record:
    """Return what a prompt of any tabletop protocol asks for, as GenEval's object.

    Beyond GenEval's own keys a clause may have ``texture`` and ``size``.

    Raises:
        UserError: it is none of them.
    """
    try:
        return parse_prompt(prompt)
    except UserError:
        wish = read_wish(prompt)
        if wish is None:
            raise
        return wish.record(prompt)


def parse_prompt(prompt: str) -> Record:
    """Return GenEval's object for one of its six forms of prompt over this vocabulary.

    Raises:
        UserError: the prompt has another form, or speaks of other things.
    """
    if many := _MANY.fullmatch(prompt):
        count, name = _NUMBERS[many[1]], next(shape for shape in SHAPES if plural(shape) == many[2])
        return {
            "tag": "counting",
            "include": [{"class": name, "count": count}],
            "exclude": [{"class": name, "count": count + 1}],
            "prompt": prompt,
        }
    few = _FEW.fullmatch(prompt)
    if few is None or not _is_asked(few[1], few[3], few[4]):
        raise UserError(
            f"expected a GenEval prompt about shapes on a table, such as 'a photo of a red circle', "
            f"found {prompt!r}; fix: take the prompts of a protocol 'tabletop'"
        )
    first: Record = {"class": few[2], "count": 1} | ({"color": few[1]} if few[1] else {})
    if few[3] is None:
        return {"tag": "colors" if few[1] else "single_object", "include": [first], "prompt": prompt}
    second: Record = {"class": few[5], "count": 1} | ({"color": few[4]} if few[4] else {})
    if few[3] == "and":
        tag = "color_attr" if few[1] else "two_object"
        return {"tag": tag, "include": [first, second], "prompt": prompt}
    # The located thing comes first in the text, and second in the object, where it points back.
    return {"tag": "position", "include": [second, first | {"position": [few[3], 0]}], "prompt": prompt}


def _is_asked(first: str | None, link: str | None, second: str | None) -> bool:
    """Tell whether GenEval colours things in this way: both or none of two, none that stand in a relation."""
    if link is None:
        return True
    return not first and not second if link in RELATIONS else bool(first) == bool(second)


def scene_for(metadata: Mapping[str, Any], rng: np.random.Generator) -> Scene:
    """Lay out a scene that shows what the prompt asks for, and nothing else.

    Raises:
        CrowdedTableError: no such scene was found; this does not happen to prompts of tabletop protocols.
    """
    for _ in range(200):
        scene = _draft(metadata, rng)
        if all(accepts(metadata, perfect_output(scene, size), STRICT) for size in (64, 128)):
            return scene
    raise CrowdedTableError(f"no scene found for {metadata['prompt']!r}")


def _draft(metadata: Mapping[str, Any], rng: np.random.Generator) -> Scene:
    relation, kinds = None, []
    one_color = None if rng.random() < 0.3 else str(rng.choice(tuple(COLORS)))
    for clause in metadata["include"]:
        color = clause.get("color") or (one_color if clause["count"] > 1 else None)
        kind = Kind(clause["class"], color, clause.get("texture"), clause.get("size"))
        kinds += [kind] * clause["count"]
        relation = clause.get("position", [relation])[0]
    overlap = OVERLAP if rng.random() < TOUCHING else 0.0
    scene = place(kinds, rng, relation=relation, overlap=overlap)
    order = rng.permutation(len(scene.things))
    return Scene(tuple(scene.things[int(i)] for i in order), scene.background)


def perfect_output(scene: Scene, size: int) -> Output:
    """Return what a judge without error would say of a render; scores are visible fractions."""
    output: Output = {"detections": {}, "colors": {}, "textures": {}}
    for thing, mask in zip(scene.things, visible_masks(scene, size), strict=True):
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        if not len(rows):
            continue
        visible = float(mask.sum() / silhouette(thing, size).sum())
        box = [float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1)]
        output["detections"].setdefault(thing.shape, []).append([*box, visible])
        output["colors"].setdefault(thing.shape, []).append(thing.color)
        output["textures"].setdefault(thing.shape, []).append(thing.texture)
    return output


def accepts(metadata: Mapping[str, Any], output: Mapping[str, Any], options: Options = RULES) -> bool:
    """Apply GenEval's rules to a verdict, and ``texture`` in a clause by the rule for colours."""
    outcome = evaluate(metadata, output["detections"], output["colors"], TABLETOP.classes, options)
    if not outcome.correct:
        return False
    for clause in metadata["include"]:
        if "texture" in clause:
            kept = outcome.kept[clause["class"]][: clause["count"]]
            seen = [output["textures"][clause["class"]][found.index] for found in kept]
            if seen.count(clause["texture"]) < clause["count"]:
                return False
    return True
