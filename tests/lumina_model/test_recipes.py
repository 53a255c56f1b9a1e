"""Recipes: those of the embedded stages are whole, and a broken one names the place."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from lumina_model.errors import UserError
from lumina_model.next_dit import NextDiT
from lumina_model.training.autoencoder import AutoencoderSettings
from lumina_model.training.flow import StageSettings
from lumina_model.training.recipes import FOLDER, load_recipe


@pytest.mark.parametrize("name", ["low_res", "high_res", "hq_tuning", "hq_again"])
def test_recipes_of_the_embedded_stages_are_whole(name: str) -> None:
    recipe = load_recipe(StageSettings, FOLDER / f"{name}.toml")
    assert recipe.stage == name.replace("hq_again", "hq_tuning")
    with torch.device("meta"):
        assert sum(p.numel() for p in NextDiT(recipe.model).parameters()) <= 5_000_000


@pytest.mark.parametrize("name", ["autoencoder", "latents", "decoder", "patterns"])
def test_recipes_of_the_embedded_autoencoder_are_whole(name: str) -> None:
    recipe = load_recipe(AutoencoderSettings, FOLDER / f"{name}.toml")
    assert recipe.channels == (16, 32, 64, 96)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("stage = \n", "line 1"),
        ("stage = 'x'\nsteps = 3\n", "steps"),
        ("stage = 3\n", "stage"),
        ("stage = 'x'\n", "required"),
        ("stage = 'x'\ncheckpoints = ['a']\n", "checkpoints"),
        ("stage = 'x'\n[levels]\nshort = 'much'\n", "levels.short"),
    ],
)
def test_a_broken_recipe_names_the_place(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "bad.toml"
    file.write_text(text)
    with pytest.raises(UserError, match=message):
        load_recipe(StageSettings, file)


def test_a_recipe_of_another_part_gets_a_short_list_and_the_way_to_its_command() -> None:
    with pytest.raises(UserError, match=r"found anchor_weights, detail_weights, .* and 6 more") as error:
        load_recipe(StageSettings, FOLDER / "patterns.toml")
    assert "lumina-model train --help" in str(error.value)
    with pytest.raises(
        UserError, match=r"found hidden_size, layers, in .*; fix: .*lumina-model train --help"
    ):
        load_recipe(AutoencoderSettings, FOLDER / "text_encoder.toml")


def test_a_way_to_start_that_is_not_there_is_told(tmp_path: Path) -> None:
    file = tmp_path / "bad.toml"
    file.write_text("start = 'decodr'\n[loop]\nsteps = 1\nlr = 1e-3\n")
    with pytest.raises(UserError, match="one of new, whitened, decoder, anchored, found 'decodr'"):
        load_recipe(AutoencoderSettings, file)
