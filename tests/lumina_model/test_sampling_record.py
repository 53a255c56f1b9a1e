"""The record of all that changes a pixel, and the texts that it makes."""

import dataclasses
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lumina_model.errors import UserError
from lumina_model.prompt_templates import SYSTEM_PROMPTS, compose, compose_panels
from lumina_model.sampling import _LATER, Sampling


def test_canonical_names_every_field_as_json() -> None:
    record = Sampling(guidance=4, shift=6).canonical()
    assert json.loads(json.dumps(record)) == record
    assert record == Sampling(guidance=4.0, shift=6.0).canonical()
    assert json.dumps(record) == json.dumps(Sampling(guidance=4.0, shift=6.0).canonical())
    assert Sampling(**record).canonical() == record
    assert set(record) | set(_LATER) == {field.name for field in dataclasses.fields(Sampling)}


def test_a_later_field_is_named_where_it_does_something() -> None:
    """What was drawn before there was a guidance cache keeps its digest."""
    assert not set(_LATER) & set(Sampling().canonical())
    assert Sampling(guidance_every=2).canonical() == {**Sampling().canonical(), "guidance_every": 2}


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
    assert Sampling().updated({"dynamic_shift": text}).dynamic_shift is value
    with pytest.raises(UserError, match="true or false"):
        Sampling().updated({"dynamic_shift": "perhaps"})


def test_what_is_not_set_is_the_checkpoint_s_own() -> None:
    own = Sampling(
        height=64, width=96, shift=3.0, max_text_tokens=32, dtype="bfloat16", solver="euler", steps=9
    )
    asked = Sampling(steps=30, guidance=2.0, width=128)
    completed = asked.completed(own)
    assert completed.size == (64, 128)
    assert (completed.shift, completed.text_tokens, completed.dtype) == (3.0, 32, "bfloat16")
    assert (completed.steps, completed.guidance, completed.solver) == (30, 2.0, "midpoint")
    record = Sampling().canonical()
    assert (record["height"], record["shift"], record["renorm"], record["dtype"]) == (
        1024,
        6.0,
        1.0,
        "float32",
    )


def test_the_official_zero_means_no_renormalisation() -> None:
    assert Sampling(renorm=0) == Sampling(renorm=None) == Sampling().updated({"renorm": "0"})
    assert Sampling(renorm=None) != Sampling()


def test_another_solver_by_option_has_its_own_grid() -> None:
    stored = Sampling(**Sampling(solver="dpm").canonical())
    assert stored.grid == "dpm"
    assert stored.updated({"solver": "euler"}).canonical()["grid"] == "official"
    assert Sampling(**Sampling().canonical()).updated({"solver": "dpm"}).canonical()["grid"] == "dpm"


@given(
    st.fixed_dictionaries(
        {
            "steps": st.integers(1, 300),
            "guidance": st.floats(0, 20),
            "renorm": st.none() | st.just("rows") | st.floats(0.1, 2),
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
        ({"points": 1}, ">= 2, found 1, in sampling points"),
        ({"truncation": 0.5, "truncation_ratio": 0.5}, "found both"),
        ({"renorm": "columns"}, "a number, none or rows, found 'columns'"),
        ({"truncation": float("nan")}, "after guidance_start"),
        ({"truncation": 0.2, "guidance_start": 0.3}, "after guidance_start"),
        ({"guidance": True}, "a number, found True"),
        ({"cache": 0.0}, "cache"),
        ({"cache_coefficients": "v3"}, "one of v1, v2"),
        ({"guidance_start": 2.0}, "guidance_start"),
        ({"dynamic_shift": "yes"}, "true or false"),
        ({"dtype": "float16"}, "black images"),
        ({"steps": 0}, "steps"),
        ({"steps": True}, "steps"),
        ({"shift": 0}, "shift"),
        ({"guidance": float("nan")}, "guidance"),
        ({"guidance": float("inf")}, "guidance"),
        ({"guidance": None}, "a number, found None"),
        ({"shift": "6"}, "a number, found '6'"),
        ({"renorm": -1}, "renorm"),
        ({"truncation": -0.5}, "truncation"),
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


def test_panels_are_the_paper_s() -> None:
    """Figure 1 of the paper, with its slots filled as there."""
    assert compose_panels("a cat", "depth map") == (
        "Generate a dual-panel image where the lower half displays a depth map, while the upper half "
        "retains the original image for direct visual comparison. <Prompt Start> a cat"
    )
    assert compose_panels("a face", "human face transforming", "left half", "two-panel") == (
        "Generate a two-panel depiction of a human face transforming from a rough sketch in the left half "
        "to a hyper-realistic portrait in the right half. <Prompt Start> a face"
    )
    for change in ({"place": "middle"}, {"template": "four-panel"}):
        with pytest.raises(UserError, match=next(iter(change.values()))):
            compose_panels("a cat", "depth map", **change)


def test_an_unknown_option_is_told_the_near_ones_of_the_reader_too():
    with pytest.raises(UserError, match="did you mean compile"):
        Sampling().updated({"compil": "true"}, ("device", "compile"))
    with pytest.raises(UserError, match="did you mean guidance"):
        Sampling().updated({"gudance": "3"})
