"""Models that need no plug-in: a folder of images, a function in a file; and the conformance kit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fake_world import MODEL, Cli, FakeBenchmark, RedJudge, with_model
from PIL import Image

from lumina_eval.errors import UserError
from lumina_eval.models import open_models
from lumina_eval.records import Item
from lumina_eval.testing import check_benchmark, check_judge, check_model


@pytest.mark.parametrize(
    "name",
    [
        "00001/samples/0001.png",
        "00001/samples/00001.png",
        "00001/0001.png",
        "00001/1.png",
        "00001_1.png",
        "00001/samples/0001.jpg",
        "00001_1.jpeg",
        "00001/1.webp",
    ],
)
def test_images_of_a_folder_are_found_by_item_and_index(
    call: Cli, run_words: list[Any], tmp_path: Path, name: str
) -> None:
    path = tmp_path / "made" / name
    path.parent.mkdir(parents=True)
    Image.new("RGB", (8, 8), "red").save(path)
    done = call(*with_model(run_words, f"folder:{tmp_path / 'made'}"), "--json")
    assert done.code == 4
    assert done.records[0]["coverage"]["generated"] == 1
    assert done.records[0]["metrics"][0]["n_images"] == 1


def test_another_image_in_the_folder_gives_other_keys(tmp_path: Path) -> None:
    Image.new("RGB", (8, 8), "red").save(tmp_path / "00000_0.png")
    before = open_models(f"folder:{tmp_path}", {})[0].components()
    Image.new("RGB", (8, 8), "blue").save(tmp_path / "00000_0.png")
    assert open_models(f"folder:{tmp_path}", {})[0].components() != before


def test_an_empty_folder_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"\.png, \.jpg.*; fix: name the folder"):
        open_models(f"folder:{tmp_path}", {})


def test_a_file_that_does_not_load_is_a_mistake(tmp_path: Path) -> None:
    path = tmp_path / "m.py"
    path.write_text("import nothing_of_this_name\n")
    with pytest.raises(UserError, match="nothing_of_this_name'; fix: mend the file"):
        open_models(f"{path}:f", {})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("folder:nowhere", r"found no folder 'nowhere'; fix: "),
        ("diffusers:", r"found no name; fix: "),
        ("nowhere.py:f", r"function 'f', found no file nowhere.py; fix: "),
        ("m.py:", r"expected --model FILE.py:function, found 'm.py:'; fix: "),
        ("m.py:paint_", r"has no function 'paint_' \(did you mean paint\?\); fix: "),
    ],
)
def test_a_model_that_is_not_there_is_a_mistake(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "m.py").write_text("def paint(prompts, seeds):\n    return []\n")
    with pytest.raises(UserError, match=message):
        open_models(text, {})


ARRAYS = """
import numpy as np
from PIL import Image

def pixels(count):
    made = np.zeros((count, 8, 8, 3), dtype=np.uint8)
    made[..., 0] = 255
    return made

def batch(prompts, seeds):
    return pixels(len(prompts))

def arrays(prompts, seeds):
    return list(pixels(len(prompts))[:, :, ::-1])

def mixed(prompts, seeds):
    made = [Image.fromarray(one) for one in pixels(len(prompts))]
    return [ValueError("no paint left") if "3" in p else one for p, one in zip(prompts, made)]

def floats(prompts, seeds):
    return pixels(len(prompts)) / 255

def first(prompts, seeds):
    return pixels(1)[0]

def grey(prompts, seeds):
    return pixels(len(prompts))[..., 0]

def tensor(prompts, seeds):
    import torch
    return torch.zeros(len(prompts), 3, 8, 8)

def short(prompts, seeds):
    return pixels(len(prompts))[1:]

def paths(prompts, seeds):
    return [f"{seed}.png" for seed in seeds]

def nothing(prompts, seeds):
    pass

def flat(prompts, seeds):
    return [np.zeros((0, 64, 3), dtype=np.uint8) for _ in prompts]

def narrow(prompts, seeds):
    return np.zeros((len(prompts), 64, 0, 3), dtype=np.uint8)

def empty(prompts, seeds):
    return [Image.new("RGB", (0, 64)) for _ in prompts]

def alone(prompts, seeds):
    return Image.new("RGB", (64, 64))

def sometimes(prompts, seeds):
    if "prompt 0" in prompts:
        raise RuntimeError("out of memory")
    return pixels(len(prompts))
"""


@pytest.mark.parametrize("function", ["batch", "arrays"])
def test_a_function_may_return_uint8_arrays(
    call: Cli, run_words: list[Any], tmp_path: Path, function: str
) -> None:
    (tmp_path / "a.py").write_text(ARRAYS)
    done = call(*with_model(run_words, f"{tmp_path / 'a.py'}:{function}"), "--json")
    assert done.code == 0, done.stderr
    assert done.records[0]["metrics"][0]["value"] == 1
    stored = next((tmp_path / "out" / "images").rglob("*.png"))
    assert np.array_equal(np.asarray(Image.open(stored)), np.full((8, 8, 3), (255, 0, 0)))


def test_an_exception_in_the_place_of_an_image_says_why_it_is_not_there(
    call: Cli, run_words: list[Any], tmp_path: Path
) -> None:
    (tmp_path / "a.py").write_text(ARRAYS)
    done = call(*with_model(run_words, f"{tmp_path / 'a.py'}:mixed"), "--json")
    assert done.code == 4
    assert done.records[0]["coverage"]["generated"] == 10
    assert "generate failed for image 0 of item 00003: no paint left … and 1 more" in done.stderr


def test_a_function_that_fails_on_one_batch_fails_that_batch(
    call: Cli, run_words: list[Any], tmp_path: Path
) -> None:
    (tmp_path / "a.py").write_text(ARRAYS)
    done = call(*with_model(run_words, f"{tmp_path / 'a.py'}:sometimes"), "--json")
    assert done.code == 4
    assert done.records[0]["coverage"]["generated"] == 8  # batches of four


@pytest.mark.parametrize(
    ("function", "found"),
    [
        ("floats", "a ndarray of float64 with shape (8, 8, 3) among them"),
        ("first", "a ndarray of uint8 with shape (8, 8, 3)"),
        ("grey", "a ndarray of uint8 with shape (4, 8, 8)"),
        ("tensor", "a Tensor of torch.float32 with shape (3, 8, 8) among them"),
        ("short", "3 images"),
        ("paths", "a str among them"),
        ("nothing", "a NoneType"),
        ("flat", "a ndarray of uint8 with shape (0, 64, 3) among them"),
        ("narrow", "a ndarray of uint8 with shape (64, 0, 3) among them"),
        ("empty", "a picture of 0 by 64 pixels among them"),
        ("alone", "a picture of 64 by 64 pixels"),
    ],
)
def test_what_is_no_image_per_prompt_stops_at_the_first_batch(
    call: Cli, run_words: list[Any], tmp_path: Path, function: str, found: str
) -> None:
    (tmp_path / "a.py").write_text(ARRAYS)
    done = call(*with_model(run_words, f"{tmp_path / 'a.py'}:{function}"))
    assert done.code == 2
    assert "expected 4 images for 4 prompts from" in done.stderr
    assert f"found {found}; fix: return a list of PIL images" in done.stderr


def test_the_kit_passes_a_good_model_and_stops_bad_ones(tmp_path: Path) -> None:
    path = tmp_path / "m.py"
    path.write_text(
        MODEL.replace("pixels[0, 0, 1] = len(prompts)", "pass") + "def drifting(prompts, seeds):\n"
        "    return [Image.new('RGB', (8, 8), (40 * len(prompts), 0, 0)) for _ in prompts]\n"
        "def short(prompts, seeds):\n    return reddish(prompts, seeds)[1:]\n"
    )
    check_model(open_models(f"{path}:reddish", {})[0])
    for bad, error in (("drifting", AssertionError), ("short", UserError)):
        with pytest.raises(error, match="expected"):
            check_model(open_models(f"{path}:{bad}", {})[0])


def test_the_kit_passes_the_fake_benchmark_and_stops_a_bad_one(world: FakeBenchmark) -> None:
    check_benchmark(world)
    twice = world.items
    world.items = lambda protocol: [*twice(protocol), *twice(protocol)]  # type: ignore[method-assign]
    with pytest.raises(AssertionError, match="one id"):
        check_benchmark(world)


def test_the_kit_stops_a_judge_that_looks_at_its_neighbours() -> None:
    images = [Image.new("RGB", (4, 4), color) for color in ("red", "white")]
    items = [Item(id=str(n), prompt="p", task="t") for n in range(2)]
    check_judge(RedJudge(), images, items)

    class Crowd(RedJudge):
        def judge(self, images: Any, items: Any) -> Any:
            mean = float(np.mean([np.asarray(image).mean() for image in images]))
            return [{"mean": mean} for _ in images]

    with pytest.raises(AssertionError, match="alone"):
        check_judge(Crowd(), images, items)
