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
    ["00001/samples/0001.png", "00001/samples/00001.png", "00001/0001.png", "00001/1.png", "00001_1.png"],
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
    with pytest.raises(UserError, match="PNG"):
        open_models(f"folder:{tmp_path}", {})


def test_a_file_that_does_not_load_is_a_mistake(tmp_path: Path) -> None:
    path = tmp_path / "m.py"
    path.write_text("import nothing_of_this_name\n")
    with pytest.raises(UserError, match="nothing_of_this_name"):
        open_models(f"{path}:f", {})


def test_the_kit_passes_a_good_model_and_stops_bad_ones(tmp_path: Path) -> None:
    path = tmp_path / "m.py"
    path.write_text(
        MODEL.replace("pixels[0, 0, 1] = len(prompts)", "pass") + "def drifting(prompts, seeds):\n"
        "    return [Image.new('RGB', (8, 8), (40 * len(prompts), 0, 0)) for _ in prompts]\n"
        "def short(prompts, seeds):\n    return reddish(prompts, seeds)[1:]\n"
    )
    check_model(open_models(f"{path}:reddish", {})[0])
    for bad in ("drifting", "short"):
        with pytest.raises(AssertionError, match="expected"):
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
