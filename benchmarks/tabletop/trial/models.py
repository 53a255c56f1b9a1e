"""Two models without weights of their own: the truth, and one that errs with a known probability.

``tabletop-truth[:autoencoder][@64|@128]`` draws what the prompt asks for: the ceiling of every score, with
``autoencoder`` the ceiling of a model that draws in the embedded autoencoder's latents.
``tabletop-scripted[:P][@64|@128]`` draws it with probability P, else a minimal edit that does not fulfil the
prompt; without P every prompt has its own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
from PIL import Image

from benchmarks.tabletop.sources import source_digest
from benchmarks.tabletop.trial.edits import KINDS, edits_of
from benchmarks.tabletop.trial.roundtrip import Roundtrip, embedded_folder, folder_digest
from benchmarks.tabletop.trial.truth import read_prompt, scene_for
from benchmarks.tabletop.world.renderer import render
from benchmarks.tabletop.world.scene import Scene
from lumina_eval.errors import UserError

#: Sides of the pictures, in pixels: the training sizes of the embedded model.
SIZES: Final = (64, 128)
#: The files that the pixels depend on.
_SOURCES: Final = (
    *(f"tabletop/trial/{name}.py" for name in ("models", "truth", "edits", "roundtrip")),
    *(f"tabletop/world/{name}.py" for name in ("scene", "renderer", "vocabulary", "wishes", "languages/en")),
    *(f"geneval/{name}.py" for name in ("prompts", "rules", "vocabulary")),
)  # fmt: skip


def open_truth(spec: str, options: Mapping[str, str]) -> list[TruthModel]:
    """Open ``[autoencoder][@SIZE]``; both sizes if none is given.

    Option ``vae`` names another autoencoder's folder than the embedded one.
    """
    variant, sizes = _parse(spec, "tabletop-truth[:autoencoder][@64|@128]")
    if variant not in ("", "autoencoder"):
        raise UserError(
            f"expected tabletop-truth or tabletop-truth:autoencoder, found {variant!r} after the colon"
        )
    folder = None
    if variant:
        folder = Path(options["vae"]) if "vae" in options else embedded_folder()
        if not folder.is_dir():
            raise UserError(f"expected the folder of an autoencoder, found none, at option vae={folder}")
    return [TruthModel(size, folder) for size in sizes]


def open_scripted(spec: str, options: Mapping[str, str]) -> list[ScriptedModel]:
    """Open ``[P][@SIZE]`` with 0 <= P <= 1; size 64 if none is given."""
    text, sizes = _parse(spec, "tabletop-scripted[:P][@64|@128]", default=(64,))
    probability = None
    if text:
        try:
            probability = float(text)
        except ValueError:
            probability = -1.0
        if not 0 <= probability <= 1:
            raise UserError(
                f"expected tabletop-scripted:P with P from 0 to 1, found {text!r} after the colon"
            )
    return [ScriptedModel(size, probability) for size in sizes]


class TruthModel:
    """Draws a scene that fulfils the prompt; the seed decides which."""

    name = "tabletop-truth"
    step: int | None = None
    device = "cpu"
    sampler_version = 1
    takes_options = False

    def __init__(self, size: int, vae: Path | None = None) -> None:
        """Draw pictures of ``size`` pixels a side, through the autoencoder in folder ``vae`` if given."""
        self._size, self._vae = size, vae

    @property
    def checkpoint(self) -> str:
        """What stands in the place of weights."""
        return "renderer" if self._vae is None else f"renderer through {self._vae.name}"

    @property
    def stage(self) -> str | None:
        """Variant and size, so that each has a row of its own."""
        return f"{'clean' if self._vae is None else 'autoencoder'}@{self._size}"

    @property
    def title(self) -> str:
        """Name in tables: no model that draws in the autoencoder's latents gets above the ceiling."""
        return f"{'truth' if self._vae is None else 'ceiling'} {self._size} px"

    def components(self) -> Mapping[str, str]:
        """Return the digest of the drawing code, and of the autoencoder if there is one."""
        found = {"renderer": source_digest(*_SOURCES)}
        return found if self._vae is None else {**found, "vae": folder_digest(self._vae)}

    def sampling(self) -> Mapping[str, Any]:
        """Return the picture's side."""
        return {"size": self._size}

    def final_text(self, prompt: str) -> str:
        """Return the prompt as it is."""
        return prompt

    def generate(self, prompts: Sequence[str], seeds: Sequence[int]) -> list[Image.Image]:
        """Draw one picture for each prompt.

        Raises:
            UserError: a prompt is none of a tabletop protocol.
        """
        return [self._picture(self.scene(p, seed)) for p, seed in zip(prompts, seeds, strict=True)]

    def scene(self, prompt: str, seed: int) -> Scene:
        """Return the scene that is drawn."""
        return scene_for(read_prompt(prompt), np.random.default_rng(seed))

    def _picture(self, scene: Scene) -> Image.Image:
        pixels = render(scene, self._size)
        return Image.fromarray(pixels if self._vae is None else self._roundtrip(pixels))

    @cached_property
    def _roundtrip(self) -> Roundtrip:
        assert self._vae is not None
        return Roundtrip(self._vae)


class ScriptedModel(TruthModel):
    """Fulfils each prompt with a known probability; on the other pictures one thing is wrong."""

    name = "tabletop-scripted"

    def __init__(self, size: int, probability: float | None = None) -> None:
        """Draw pictures of ``size`` pixels; ``probability`` of success, or None for one per prompt."""
        super().__init__(size)
        self._probability = probability

    @property
    def stage(self) -> str | None:
        """Probability and size."""
        return f"{'own' if self._probability is None else format(self._probability, 'g')}@{self._size}"

    @property
    def title(self) -> str:
        """Name in tables."""
        return f"{self.name}:{self.stage}"

    def sampling(self) -> Mapping[str, Any]:
        """Return side and probability (null: each prompt's own)."""
        return {"size": self._size, "probability": self._probability}

    def true_probability(self, prompt: str) -> float:
        """Return the probability that a picture of this prompt is right; a prompt's own is even on 0 to 1."""
        return own_probability(prompt) if self._probability is None else self._probability

    def succeeds(self, prompt: str, seed: int) -> bool:
        """Tell whether the picture of this prompt and seed is right."""
        return bool(self._draw(prompt, seed)[0])

    def scene(self, prompt: str, seed: int) -> Scene:
        """Return the scene that is drawn: right, or one minimal edit away from it."""
        success, rng = self._draw(prompt, seed)
        metadata = read_prompt(prompt)
        if success:
            return scene_for(metadata, rng)
        # An edit of texture is only wrong where the prompt names the textures.
        textured = all("texture" in clause for clause in metadata["include"])
        kinds = [kind for kind in KINDS if kind != "texture" or textured]
        while True:
            scene = scene_for(metadata, rng)
            if edits := edits_of(metadata, scene, rng, kinds):
                return edits[int(rng.integers(len(edits)))].edited

    def _draw(self, prompt: str, seed: int) -> tuple[bool, np.random.Generator]:
        rng = np.random.default_rng(seed)
        return bool(rng.random() < self.true_probability(prompt)), rng


def own_probability(prompt: str) -> float:
    """Return a number from 0 to 1 that depends on the prompt alone, evenly spread over prompts."""
    digest = hashlib.sha256(f"tabletop-scripted/{prompt}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def _parse(spec: str, form: str, default: tuple[int, ...] = SIZES) -> tuple[str, tuple[int, ...]]:
    """Split ``TEXT@SIZE``; no size means ``default``."""
    text, at, size = spec.partition("@")
    if not at:
        return text, default
    if size not in map(str, SIZES):
        raise UserError(
            f"expected {form}, found size {size!r}; fix: take @64 or @128, or none for the default"
        )
    return text, (int(size),)
