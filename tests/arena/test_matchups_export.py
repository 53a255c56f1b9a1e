"""From runs to match-ups: balance, anonymity, layouts, and what is told where something is wrong."""

from __future__ import annotations

import csv
import io
import itertools
import json
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pytest
from arena_world import PROMPTS, make_arena, make_run, pixels
from PIL import Image
from typer.testing import CliRunner

from benchmarks.arena.blinding import bare_png, on_canvas, padded
from benchmarks.arena.cli import app
from benchmarks.arena.export import export_arena
from benchmarks.arena.layouts import MATCHUPS, read_match_ups
from benchmarks.arena.manifest import manifest_path, read_manifest_of_export
from benchmarks.arena.matchups import Place, entrants, match_ups, run_folders
from benchmarks.arena.reveal import reveal
from lumina_eval.errors import UserError

MODELS = ("bright", "dull", "wild", "odd one")


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("prompts", [1, 5, 8])
def test_every_pair_meets_once_at_each_place_with_sides_in_balance(seed: int, prompts: int) -> None:
    places = [Place(f"prompt {k}", 0, index) for k in range(prompts) for index in range(3)]
    category = {place: "ab"[int(place.prompt[-1]) % 2] for place in places}
    made = match_ups(MODELS, places, category, seed)
    met = Counter((frozenset((one.left, one.right)), one.place) for one in made)
    pairs = [frozenset(pair) for pair in itertools.combinations(MODELS, 2)]
    assert met == Counter(itertools.product(pairs, places))
    lefts: dict[tuple[object, str], Counter[str]] = defaultdict(Counter)
    for one in made:
        for where in ("everywhere", one.category):
            lefts[frozenset((one.left, one.right)), where][one.left] += 1
    for (pair, _), sides in lefts.items():
        first, second = (sides[model] for model in pair)  # type: ignore[attr-defined]
        assert abs(first - second) <= 1


def test_the_seed_settles_the_sides() -> None:
    places = [Place(f"prompt {k}", 0, 0) for k in range(20)]
    category = dict.fromkeys(places, "all")
    first, again, other = (match_ups(MODELS, places, category, seed) for seed in (3, 3, 4))
    assert first == again
    assert first != other


def test_an_export_is_whole_and_the_manifest_undoes_it(tmp_path: Path) -> None:
    done = make_arena(tmp_path)
    who = read_manifest_of_export(done.manifest)
    shown = read_match_ups(tmp_path / "arena")
    assert (done.match_ups, done.images, done.missing) == (3 * 12, 3 * 12, ())
    assert len(shown) == len({one.id for one in shown}) == 36
    for one in shown:
        for name, model in ((one.left, who.matchups[one.id].left), (one.right, who.matchups[one.id].right)):
            image = who.images[name]
            assert (image.model, image.prompt) == (model, one.prompt)
            with Image.open(tmp_path / "arena" / "images" / f"{name}.png") as opened:
                found = np.asarray(opened)
            np.testing.assert_array_equal(found, pixels(model, image.prompt, image.index, 16))


def test_nothing_that_is_given_away_tells_a_model(tmp_path: Path) -> None:
    runs = [make_run(tmp_path / "w", "bright", side=16), make_run(tmp_path / "w", "dull", side=24)]
    done = export_arena(entrants(runs), tmp_path / "out", "arena")
    assert (done.size, done.resized) == ((24, 24), 12)
    files = sorted(path for path in (tmp_path / "out").rglob("*") if path.is_file())
    everything = b"".join(
        path.read_bytes() + str(path.relative_to(tmp_path / "out")).encode() for path in files
    )
    assert b"bright" not in everything
    assert b"dull" not in everything
    images = [path for path in files if path.suffix == ".png"]
    assert len({path.stat().st_size for path in images}) == 1
    assert len({Image.open(path).size for path in images}) == 1
    assert {frozenset(Image.open(path).info) for path in images} == {frozenset()}
    # Written in the order of their names, so that times tell nothing of the order of models.
    assert images == sorted(images, key=lambda path: (path.stat().st_mtime_ns, path.name))
    assert done.manifest.stat().st_mode & 0o077 == 0
    # Another export of the same runs has other names.
    export_arena(entrants(runs), tmp_path / "again", "arena")
    assert not {one.left for one in read_match_ups(tmp_path / "out")} & {
        one.left for one in read_match_ups(tmp_path / "again")
    }


def test_padding_is_skipped_by_decoders() -> None:
    image = Image.fromarray(pixels("m", "p", 0, 8))
    png = bare_png(image)
    longer = padded(png, len(png) + 500)
    assert len(longer) == len(png) + 500
    with Image.open(io.BytesIO(longer)) as opened:
        opened.load()
        assert opened.tobytes() == image.tobytes()
    with pytest.raises(ValueError, match="cannot pad"):
        padded(png, len(png))


def test_an_image_of_another_shape_stands_on_grey() -> None:
    wide = Image.new("RGB", (20, 10), (255, 0, 0))
    found = np.asarray(on_canvas(wide, (10, 10)))
    assert (found[:2] == 128).all()
    assert (found[-2:] == 128).all()
    assert (found[3:7, :, 0] == 255).all()


def test_a_table_for_an_upload_and_back(tmp_path: Path) -> None:
    prompts = ["=HYPERLINK(1)", "a cat, <b>bold</b>", 'with "quotes"\nand a line']
    runs = [make_run(tmp_path / "w", model, prompts, images=1) for model in ("one", "two")]
    done = export_arena(entrants(runs), tmp_path / "out", "rapidata")
    with (tmp_path / "out" / "pairs.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert {row["prompt"] for row in rows} == {"'=HYPERLINK(1)", *prompts[1:]}
    assert all((tmp_path / "out" / row[side]).is_file() for row in rows for side in ("image1", "image2"))
    arguments = [str(tmp_path / "out" / "pairs.csv"), "--manifest", str(done.manifest)]
    run = CliRunner().invoke(app, ["reveal", *arguments, "--out", str(tmp_path / "back.csv")])
    assert run.exit_code == 0
    with (tmp_path / "back.csv").open(newline="") as stream:
        back = list(csv.DictReader(stream))
    who = read_manifest_of_export(done.manifest)
    assert [{**row, "model1": who.matchups[row["id"]].left, "model2": who.matchups[row["id"]].right}
            for row in rows] == back  # fmt: skip


def test_plain_folders(tmp_path: Path) -> None:
    runs = [make_run(tmp_path / "w", model, PROMPTS[:2]) for model in ("one", "two")]
    done = export_arena(entrants(runs), tmp_path / "out", "folder")
    who = read_manifest_of_export(done.manifest)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(who.matchups)
    place = next((tmp_path / "out").iterdir())
    assert sorted(path.name for path in place.iterdir()) == ["left.png", "prompt.txt", "right.png"]
    left = {pixels(who.matchups[place.name].left, p, k, 16).tobytes() for p in PROMPTS[:2] for k in (0, 1)}
    with Image.open(place / "left.png") as image:
        assert image.tobytes() in left


def test_the_command_says_what_is_missing_and_what_is_shared(tmp_path: Path) -> None:
    make_run(tmp_path, "one", PROMPTS[:4], without=[(PROMPTS[1], 0), (PROMPTS[2], 1)])
    make_run(tmp_path, "two", PROMPTS[1:6], without=[(PROMPTS[1], 0)])
    run = CliRunner().invoke(app, ["export", str(tmp_path), "--out", str(tmp_path / "out"), "--json"])
    assert run.exit_code == 4
    told = json.loads(run.stdout)
    assert told["match_ups"] == 6 - 2
    assert Counter(one["model"] for one in told["missing"]) == {"one": 2, "two": 1}
    assert "one 4 (8 images), two 5 (10 images); shared by all: 3 (6 images)" in run.stderr
    assert "3 images are missing" in run.stderr
    assert repr(PROMPTS[1]) in run.stderr


def test_a_limit_draws_prompts_of_each_category(tmp_path: Path) -> None:
    runs = [make_run(tmp_path / "w", model) for model in ("one", "two")]
    export_arena(entrants(runs), tmp_path / "out", "arena", limit=1)
    shown = read_match_ups(tmp_path / "out")
    assert Counter(one.category for one in shown) == {"even": 2, "odd": 2}


def test_prompts_that_come_twice_keep_their_places(tmp_path: Path) -> None:
    runs = [make_run(tmp_path / "w", model, ["same", "same"], images=1) for model in ("one", "two")]
    done = export_arena(entrants(runs), tmp_path / "out", "arena")
    assert (done.match_ups, done.images) == (2, 4)


def test_mistakes_are_told(tmp_path: Path) -> None:
    one, two = make_run(tmp_path / "w", "one", PROMPTS[:2]), make_run(tmp_path / "w", "two", PROMPTS[2:5])
    with pytest.raises(UserError, match=r"found neither, at .*nowhere"):
        run_folders([tmp_path / "nowhere"])
    with pytest.raises(UserError, match="found 1"):
        entrants([one])
    with pytest.raises(UserError, match=r"one 2 \(4 images\), two 3 \(6 images\); shared by all: 0"):
        export_arena(entrants([one, two]), tmp_path / "out", "arena")
    with pytest.raises(UserError, match="each model once"):
        entrants([one, one])
    with pytest.raises(UserError, match="unknown layout 'arenas'; did you mean arena"):
        export_arena(entrants([one, two]), tmp_path / "out", "arenas")
    bare = make_run(
        tmp_path / "w", "bare", PROMPTS[:2], without=[(p, k) for p in PROMPTS[:2] for k in (0, 1)]
    )
    with pytest.raises(UserError, match="a missing one at each place \\(4 in all\\)"):
        export_arena(entrants([one, bare]), tmp_path / "out", "arena")
    assert not (tmp_path / "out").exists()


def test_files_of_an_export_that_were_changed_are_told(tmp_path: Path) -> None:
    done = make_arena(tmp_path)
    matchups = tmp_path / "arena" / MATCHUPS
    matchups.write_text(matchups.read_text() + "{}\n")
    with pytest.raises(UserError, match=rf"{MATCHUPS}:\d+: no match-up of ours: .*; fix: export anew"):
        read_match_ups(tmp_path / "arena")
    who = read_manifest_of_export(done.manifest)
    done.manifest.write_text("{}")
    with pytest.raises(UserError, match=r"is no manifest of an arena: .*; fix: --manifest FILE"):
        read_manifest_of_export(done.manifest)
    image = next(iter(who.images))
    for table, message in [
        (f"image\n{image}\nnone.png\n", ":3: 'none.png' in image is no image of this export; fix: "),
        (f"image\n{image},more\n", ":2: expected 1 cells, found more; fix: put a cell"),
        ("image\n\xff\n", "expected a CSV table in UTF-8, .*; fix: "),
    ]:
        (tmp_path / "t.csv").write_bytes(table.encode("latin-1"))
        with pytest.raises(UserError, match=message):
            reveal(tmp_path / "t.csv", who, tmp_path / "back.csv")
    assert not (tmp_path / "back.csv").exists()


def test_nothing_is_written_over(tmp_path: Path) -> None:
    done = make_arena(tmp_path)
    runs = entrants(run_folders([tmp_path / "world"]))
    with pytest.raises(UserError, match="new or empty folder"):
        export_arena(runs, tmp_path / "arena", "arena")
    (tmp_path / "arena").rename(tmp_path / "moved")
    before = done.manifest.read_bytes()
    with pytest.raises(UserError, match="expected no manifest yet"):
        export_arena(runs, tmp_path / "arena", "arena")
    assert manifest_path(tmp_path / "arena").read_bytes() == before
