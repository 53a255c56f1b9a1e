"""The official image layout: what is written is what the official scripts read, and comes back."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from benchmarks.t2i_compbench import adapter
from benchmarks.t2i_compbench.adapter import T2ICompBench
from benchmarks.t2i_compbench.images import named, read_images, write_images
from benchmarks.t2i_compbench.prompt_set import item_of
from lumina_eval.errors import UserError
from lumina_eval.protocol import ResolvedProtocol
from lumina_eval.records import Item, Verdict

PROMPTS = ["a teal anvil", "An amber harp and a Wet kite.", "a dog on the left of a car"]
ITEMS = [item_of("color", prompt) for prompt in PROMPTS]
AWKWARD = [
    item_of("color", text) for text in ("a " + "very " * 60 + "long prompt", "and/or", "snake_case", ".dot")
]


def pictures(folder: Path, items: list[Item], per_prompt: int, suffix: str = ".png") -> list[Any]:
    """Write pictures that tell whose they are by their colour."""
    folder.mkdir(parents=True, exist_ok=True)
    given = []
    for number, item in enumerate(items):
        for index in range(per_prompt):
            path = folder / f"{number}x{index}{suffix}"
            Image.new("RGB", (4, 4), (number * 50, index * 50, 7)).save(path)
            given.append((item, index, path))
    return given


def seen(found: list[tuple[Item, int, Path]]) -> list[tuple[str, int, Any]]:
    return [(item.prompt, index, Image.open(path).getpixel((0, 0))) for item, index, path in found]


def official(category_folder: Path) -> list[tuple[str, int]]:
    """Prompt and number as the official scripts take them from a listing, in their order."""
    names = sorted(
        (category_folder / "samples").iterdir(), key=lambda p: int(p.name.split("_")[-1].split(".")[0])
    )
    return [(path.name.split("_")[0], int(path.name.split("_")[1].split(".")[0])) for path in names]


def test_the_official_scripts_read_what_is_written(tmp_path: Path) -> None:
    write_images(tmp_path / "out", pictures(tmp_path / "made", ITEMS, 3))
    wanted = [(prompt, number * 3 + index) for number, prompt in enumerate(PROMPTS) for index in range(3)]
    assert official(tmp_path / "out" / "color") == wanted
    assert not (tmp_path / "out" / "color" / "names.jsonl").exists()


@pytest.mark.parametrize("known", [True, False])
def test_what_is_written_comes_back(tmp_path: Path, known: bool) -> None:
    more = [item_of("shape", "an oval pond"), *ITEMS]
    given = pictures(tmp_path / "made", more, 2)
    write_images(tmp_path / "out", given)
    found = read_images(tmp_path / "out", ["color", "shape"], [*ITEMS, more[0]] if known else None, 10)
    assert sorted(seen(found)) == sorted(seen(given))
    assert [item.task for item, _, _ in found] == ["color"] * 6 + ["shape"] * 2
    write_images(tmp_path / "out", given)  # again is no mistake


def test_prompts_that_are_no_file_names_are_told_beside(tmp_path: Path) -> None:
    items = [ITEMS[0], *AWKWARD]
    given = pictures(tmp_path / "made", items, 2)
    write_images(tmp_path / "out", given)
    folder = tmp_path / "out" / "color"
    lines = [json.loads(line) for line in (folder / "names.jsonl").read_text().splitlines()]
    assert [line["item_id"] for line in lines] == [item.id for item in AWKWARD for _ in range(2)]
    assert all(len(line["filename"].encode()) <= 255 for line in lines)
    assert [number for _, number in official(folder)] == list(range(10))
    assert sorted(seen(read_images(tmp_path / "out", ["color"], items, 10))) == sorted(seen(given))
    with pytest.raises(UserError, match=r"names.jsonl speaks of by id, found none; fix: .*--questions"):
        read_images(tmp_path / "out", ["color"], None, 10)


def test_numbers_in_blocks_tell_the_index_where_an_image_is_missing(tmp_path: Path) -> None:
    write_images(tmp_path / "out", pictures(tmp_path / "made", ITEMS, 3))
    samples = tmp_path / "out" / "color" / "samples"
    (samples / f"{PROMPTS[1]}_000003.png").unlink()
    for known in (ITEMS, None):
        found = read_images(tmp_path / "out", ["color"], known, 10)
        assert [
            (index, path.name, path.exists()) for item, index, path in found if item.prompt == PROMPTS[1]
        ] == [
            (0, f"{PROMPTS[1]}_000003.png", False),
            (1, f"{PROMPTS[1]}_000004.png", True),
            (2, f"{PROMPTS[1]}_000005.png", True),
        ]
    for path in samples.glob(f"{PROMPTS[0]}*"):
        path.unlink()
    found = read_images(tmp_path / "out", ["color"], ITEMS, 3)
    there = [index for _, index, path in found if path.exists()]
    assert there == [1, 2, 0, 1, 2], "by its place in the prompt set"


def test_a_gap_in_the_numbers_is_an_absent_image_though_no_prompt_has_more(tmp_path: Path) -> None:
    write_images(tmp_path / "out", pictures(tmp_path / "made", ITEMS, 4))
    samples = tmp_path / "out" / "color" / "samples"
    for number, prompt in enumerate(PROMPTS):
        (samples / f"{prompt}_{4 * number + 3:06d}.png").unlink()
    found = read_images(tmp_path / "out", ["color"], ITEMS, 4)
    assert [(item.prompt, index) for item, index, path in found if not path.exists()] == [
        (PROMPTS[0], 3), (PROMPTS[1], 3),
    ]  # fmt: skip


def test_other_numbers_are_counted_off(tmp_path: Path) -> None:
    samples = tmp_path / "samples"
    samples.mkdir()
    for number in (7, 100, 4):
        Image.new("RGB", (4, 4), (number, 0, 0)).save(samples / f"a red dog_{number:06d}.png")
    (samples / "notes.txt").write_text("no picture")
    found = read_images(tmp_path, ["shape"], None, 10)
    assert seen(found) == [("a red dog", n, (c, 0, 0)) for n, c in enumerate((4, 7, 100))]
    assert found[0][0].task == "shape"


def test_whatever_is_wrong_is_told(tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match=r"expected images like .*/color/samples/a red dog_000000.png, found none; fix: "
    ):
        read_images(tmp_path, ["color", "shape"], None, 10)
    write_images(tmp_path / "out", pictures(tmp_path / "made", ITEMS, 1))
    with pytest.raises(
        UserError, match=r"found samples of one that nobody names; fix: --set 'prompts.categories"
    ):
        read_images(tmp_path / "out" / "color", ["color", "shape"], None, 10)
    with pytest.raises(UserError, match=r"found 2 images of others, e.g. 'a dog on the left"):
        read_images(tmp_path / "out", ["color"], [ITEMS[1]], 10)
    samples = tmp_path / "out" / "color" / "samples"
    Image.new("RGB", (4, 4)).save(samples / "a teal anvil_000000.jpg")
    with pytest.raises(UserError, match=r"expected one image of number 0.*; fix: "):
        read_images(tmp_path / "out", ["color"], None, 10)
    with pytest.raises(UserError, match=r"images of this export in .*found 'a teal anvil_000000.jpg'"):
        write_images(tmp_path / "out", pictures(tmp_path / "made", ITEMS, 1))
    (samples / "a teal anvil_000000.jpg").rename(samples / "nameless.png")
    with pytest.raises(UserError, match="expected a filename like"):
        read_images(tmp_path / "out", ["color"], None, 10)


@pytest.mark.parametrize("named", [True, False])
def test_prompts_that_were_fetched_are_known_as_those_that_are_named(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    prompt_files: tuple[Path, list[Any]],
    protocol: Callable[..., ResolvedProtocol],
    named: bool,
) -> None:
    folder, words = prompt_files
    bench = T2ICompBench(folder if named else None)
    # Fetched files are those of the pinned sums, which are not at hand: only the place is another.
    monkeypatch.setattr(adapter, "fetched", lambda declaration, name: folder)
    chosen = protocol("official", [word for word in words[2:] if word != "--set"])
    item = bench.items(chosen)[3]
    long_name = item_of("color", "a " + "very " * 60 + "long prompt")
    write_images(tmp_path / "out", pictures(tmp_path / "made", [item], 2))
    assert [(one.id, index) for one, index, _ in bench.read_images(tmp_path / "out", chosen)] == [
        (item.id, 0), (item.id, 1),
    ]  # fmt: skip
    write_images(tmp_path / "strange", pictures(tmp_path / "made", [long_name, ITEMS[0]], 1))
    with pytest.raises(UserError, match=r"found 2 images of others.*fix: take them away"):
        bench.read_images(tmp_path / "strange", chosen)


def test_other_pictures_are_written_as_png(tmp_path: Path) -> None:
    write_images(tmp_path / "out", pictures(tmp_path / "made", ITEMS[:1], 1, ".bmp"))
    (path,) = (tmp_path / "out" / "color" / "samples").iterdir()
    with Image.open(path) as image:
        assert (image.format, image.size) == ("PNG", (4, 4))


def test_verdicts_of_a_judge_get_the_names_of_the_layout() -> None:
    shape = item_of("shape", "an oval pond")
    places = [(ITEMS[0], 0), (ITEMS[0], 1), (ITEMS[1], 1), (shape, 0)]
    verdicts = [
        Verdict(item_id=item.id, index=index, image_sha256="0" * 64, judge="j@0", output={"similarity": 0.5})
        for item, index in places
    ]
    found = [verdict.output for verdict in named([*ITEMS, shape], verdicts)]
    assert [output["question_id"] for output in found] == [0, 1, 3, 0]
    assert found[2]["filename"] == "An amber harp and a Wet kite._000003.png"
    kept = verdicts[0].model_copy(update={"output": {"filename": "x.png", "question_id": 9}})
    assert named(ITEMS, [kept]) == [kept]
