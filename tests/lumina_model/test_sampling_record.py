"""The record of all that changes a pixel, and the texts that it makes."""

import dataclasses
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lumina_model.errors import UserError
from lumina_model.prompt_templates import SYSTEM_PROMPTS, compose
from lumina_model.sampling import Sampling


def test_canonical_names_every_field_as_json() -> None:
    record = Sampling(guidance=4, shift=6).canonical()
    assert json.loads(json.dumps(record)) == record
    assert record == Sampling(guidance=4.0, shift=6.0).canonical()
    assert json.dumps(record) == json.dumps(Sampling(guidance=4.0, shift=6.0).canonical())
    assert Sampling(**record).canonical() == record
    assert set(record) == {field.name for field in dataclasses.fields(Sampling)}


def test_the_grid_follows_the_solver_unless_it_is_named() -> None:
    assert Sampling().canonical()["grid"] == "official"
    assert Sampling().updated({"solver": "dpm"}).canonical()["grid"] == "dpm"
    assert Sampling(solver="dpm", grid="diffusers").canonical()["grid"] == "diffusers"


def test_points_are_the_official_way_to_count() -> None:
    """scripts/sample.sh: 18 points are 17 steps of two evaluations; its DPM solver counts steps."""
    assert Sampling(points=18) == Sampling(steps=17)
    assert Sampling(points=18).evaluations() == 34
    assert Sampling(points=10, solver="rk4").evaluations() == 36
    assert Sampling(points=18, solver="dpm").evaluations() == 18
    assert Sampling().updated({"points": "36"}).evaluations() == 70


@pytest.mark.parametrize(("text", "value"), [("true", True), ("Off", False), ("1", True), ("no", False)])
def test_switches_are_read_from_words(text: str, value: bool) -> None:
    assert Sampling().updated({"row_renorm": text}).row_renorm is value
    with pytest.raises(UserError, match="true or false"):
        Sampling().updated({"row_renorm": "perhaps"})


@given(
    st.fixed_dictionaries(
        {
            "steps": st.integers(1, 300),
            "guidance": st.floats(0, 20),
            "renorm": st.none() | st.floats(0.1, 2),
            "solver": st.sampled_from(["euler", "midpoint", "heun", "rk4", "dpm"]),
            "cache": st.none() | st.floats(0.01, 1),
            "dynamic_shift": st.booleans(),
        }
    )
)
def test_text_options_mean_the_values(options: dict[str, object]) -> None:
    assert Sampling().updated({key: str(value) for key, value in options.items()}) == Sampling(**options)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"solver": "rk5"}, "one of euler, midpoint, heun, rk4, dpm, found 'rk5'"),
        ({"grid": "karras"}, "one of auto, official, diffusers, dpm"),
        ({"grid": "dpm"}, "a grid from 0 to 1"),
        ({"points": 1}, "steps"),
        ({"truncation": 0.5, "truncation_ratio": 0.5}, "found both"),
        ({"renorm": 1.0, "row_renorm": True}, "found both"),
        ({"cache": 0.0}, "cache"),
        ({"cache_coefficients": "v3"}, "one of v1, v2"),
        ({"guidance_start": 2.0}, "guidance_start"),
        ({"row_renorm": "yes"}, "true or false"),
        ({"dtype": "float16"}, "black images"),
        ({"steps": 0}, "steps"),
        ({"steps": True}, "steps"),
        ({"shift": 0}, "shift"),
        ({"guidance": float("nan")}, "guidance"),
        ({"guidance": float("inf")}, "guidance"),
        ({"guidance": None}, "a number, found None"),
        ({"shift": "6"}, "a number, found '6'"),
        ({"renorm": -1}, "renorm"),
        ({"truncation": 1.5}, "truncation"),
        ({"height": 72}, "multiple of 16"),
        ({"width": 0}, "multiple of 16"),
        ({"system_prompt": "nice"}, "one of real"),
        ({"max_text_tokens": 1}, "max_text_tokens"),
        ({"dtype": "int8"}, "float32"),
    ],
)
def test_bad_values(change: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        Sampling(**change)


@pytest.mark.parametrize(
    ("options", "message"), [({"step": "3"}, "found 'step'"), ({"steps": "many"}, "'many'")]
)
def test_bad_options(options: dict[str, str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        Sampling().updated(options)


def test_texts() -> None:
    assert compose("base", "a cat") == (
        "You are an assistant designed to generate high-quality images based on user prompts. "
        "<Prompt Start> a cat"
    )
    assert compose("empty", "a cat") == "a cat"
    assert Sampling().final_text("a cat").startswith(SYSTEM_PROMPTS["real"] + " <Prompt Start> ")
    assert Sampling().final_negative_text() == ""
    assert Sampling(system_prompt="base", negative_prompt="x").final_negative_text() == compose("base", "x")
    with pytest.raises(UserError, match="found 'nice'"):
        compose("nice", "a cat")


def test_evaluations() -> None:
    assert Sampling(solver="midpoint", steps=17).evaluations() == 34  # the official script's count
    assert Sampling(solver="euler", steps=30).evaluations() == 30
