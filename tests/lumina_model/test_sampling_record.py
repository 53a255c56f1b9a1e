"""The record of all that changes a pixel, and the texts that it makes."""

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
    assert Sampling(**record) == Sampling()
    assert set(record) == set(Sampling.__dataclass_fields__)


@given(
    st.fixed_dictionaries(
        {
            "steps": st.integers(1, 300),
            "guidance": st.floats(0, 20),
            "renorm": st.none() | st.floats(0.1, 2),
            "solver": st.sampled_from(["euler", "midpoint"]),
        }
    )
)
def test_text_options_mean_the_values(options: dict[str, object]) -> None:
    assert Sampling().updated({key: str(value) for key, value in options.items()}) == Sampling(**options)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"solver": "rk4"}, "one of euler, midpoint, found 'rk4'"),
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
