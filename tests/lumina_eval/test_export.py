"""``lumina-eval export``: a run's images in the official layout, and the way back."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from fake_world import Cli, FakeBenchmark, with_model
from PIL import Image

from lumina_eval.protocol import ResolvedProtocol
from lumina_eval.records import Item
from lumina_eval.runs import read_items, read_plan


@pytest.fixture
def layout(world: FakeBenchmark) -> FakeBenchmark:
    """The fake world with a layout to write: ``00003_1.png``."""

    def write_images(
        folder: Path, protocol: ResolvedProtocol, images: Iterable[tuple[Item, int, Path]]
    ) -> None:
        for item, index, path in images:
            shutil.copyfile(path, folder / f"{item.id}_{index}.png")

    world.write_images = write_images  # type: ignore[attr-defined]
    return world


@pytest.fixture
def run(call: Cli, run_words: list[Any], layout: FakeBenchmark) -> Path:
    return Path(call(*run_words, "--json").records[0]["run_dir"])


def content(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_images_are_written_byte_for_byte_and_judged_alike(call: Cli, run: Path, tmp_path: Path) -> None:
    target = tmp_path / "official"
    done = call("export", "fake", "--run", run, "--out", target, "--json")
    assert done.code == 0, done.stderr
    assert (done.records[0]["images"], done.records[0]["missing"]) == (12, [])
    store = run.parent.parent / "images"
    assert content(target) == {
        f"{ref.item_id}_{ref.index}.png": (store / ref.key[:2] / f"{ref.key}.png").read_bytes()
        for ref in read_plan(run)
    }
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".official")]


def test_a_target_that_holds_anything_else_is_refused_and_left_alone(
    call: Cli, run: Path, tmp_path: Path
) -> None:
    target = tmp_path / "official"
    words = ["export", "fake", "--run", run, "--out", target]
    assert call(*words).code == 0
    times = {path: path.stat().st_mtime_ns for path in target.rglob("*")}
    assert call(*words).code == 0
    assert {path: path.stat().st_mtime_ns for path in target.rglob("*")} == times
    (target / "00000_0.png").unlink()
    assert call(*words).code == 0
    assert len(content(target)) == 12
    Image.new("RGB", (8, 8)).save(target / "00001_0.png")
    before = content(target)
    refused = call(*words)
    assert refused.code == 2
    assert "00001_0.png" in refused.stderr
    assert content(target) == before
    (target / "00001_0.png").rename(target / "mine.png")
    assert "mine.png" in call(*words).stderr
    (tmp_path / "file").touch()
    assert "expected a folder" in call(*words[:-1], tmp_path / "file").stderr


def test_missing_images_are_said(call: Cli, run: Path, tmp_path: Path) -> None:
    ref = read_plan(run)[3]
    (run.parent.parent / "images" / ref.key[:2] / f"{ref.key}.png").unlink()
    done = call("export", "fake", "--run", run, "--out", tmp_path / "official", "--json")
    assert done.code == 4
    assert done.records[0]["missing"] == [{"item_id": ref.item_id, "index": ref.index}]
    assert f"the first is image {ref.index} of item {ref.item_id}" in done.stderr
    assert len(content(tmp_path / "official")) == 11


def test_runs_that_cannot_be_exported_are_told(
    call: Cli, run: Path, run_words: list[Any], layout: FakeBenchmark, tmp_path: Path
) -> None:
    other = call("export", "geneval", "--run", run, "--out", tmp_path / "x")
    assert other.code == 2
    assert "found one of fake" in other.stderr
    words = ["judge", "fake", "--protocol", "plain", "--verdicts", run / "verdicts.jsonl"]
    judged = call(*words, "--out", tmp_path / "again", "--json").records[0]["run_dir"]
    assert (
        "expected a run that made images"
        in call("export", "fake", "--run", judged, "--out", tmp_path / "x").stderr
    )
    del layout.write_images  # type: ignore[attr-defined]
    assert "no official layout" in call("export", "fake", "--run", run, "--out", tmp_path / "x").stderr
    assert not (tmp_path / "x").exists()


def test_a_rewritten_run_says_that_the_layout_does_not_say_so(
    call: Cli, run_words: list[Any], layout: FakeBenchmark, tmp_path: Path
) -> None:
    texts = tmp_path / "texts.jsonl"
    lines = [json.dumps({"prompt": f"prompt {n}", "rewritten": f"a {n}"}) for n in range(6)]
    texts.write_text("\n".join(lines))
    run_dir = call(*run_words, "--json", "--rewrite", texts).records[0]["run_dir"]
    done = call("export", "fake", "--run", run_dir, "--out", tmp_path / "official", "--json")
    assert "prompts rewritten from texts.jsonl" in done.stderr
    assert done.records[0]["rewritten"].startswith("prompts rewritten from texts.jsonl")


def test_geneval_there_and_back(call: Cli, run_words: list[Any], tmp_path: Path) -> None:
    words = [word if word not in ("fake", "plain") else {"fake": "geneval", "plain": "tabletop"}[word]
             for word in with_model(run_words, "tabletop-truth:@128")]  # fmt: skip
    run = call(*words, "--limit", 1, "--images-per-prompt", 2, "--json").records[0]
    target = tmp_path / "official"
    assert call("export", "geneval", "--run", run["run_dir"], "--out", target).code == 0
    prompts = call("prompts", "geneval", "--protocol", "tabletop").stdout.splitlines()
    asked = {item.id: item.prompt for item in read_items(Path(run["run_dir"]))}
    folders = sorted(target.iterdir())
    assert len(folders) == 6
    for folder in folders:
        line = (folder / "metadata.jsonl").read_text()
        assert line in prompts
        assert json.loads(line)["prompt"] == asked[folder.name]
        assert [path.name for path in sorted((folder / "samples").iterdir())] == ["0000.png", "0001.png"]
    words = ["judge", "geneval", "--protocol", "tabletop", "--images", target, "--out", tmp_path / "back"]
    back = call(*words, "--json").records[0]
    assert back["metrics"] == run["metrics"]
    results = [Path(one["run_dir"]) / "results.jsonl" for one in (run, back)]
    assert results[0].read_bytes() == results[1].read_bytes()
    verdicts = Path(run["run_dir"]) / "verdicts.jsonl"
    words = ["judge", "geneval", "--protocol", "official", "--verdicts", verdicts]
    other = call(*words, "--out", tmp_path / "other")
    assert other.code == 2
    assert "found those of protocol tabletop, with which it shares no prompt" in other.stderr


@pytest.mark.parametrize(
    ("benchmark", "images", "files", "more"),
    [
        ("dpg", 4, r"(one|two|three|number)-[0-9a-f]{12}\.png", ["--set", "images.side=128"]),
        ("dpg", 1, r"(one|two|three|number)-[0-9a-f]{12}\.png", ["--set", "images_per_prompt=1"]),
        (
            "t2i_compbench",
            2,
            r"(color|shape|texture|spatial|numeracy)/samples/a photo of .*_00000[01]\.png",
            [],
        ),
    ],
)
def test_there_and_back(
    call: Cli, run_words: list[Any], tmp_path: Path, benchmark: str, images: int, files: str, more: list[str]
) -> None:
    """Pictures of the truth with every third detail wrong, so that no score is that of nothing or of all."""
    words = [word if word not in ("fake", "plain") else {"fake": benchmark, "plain": "tabletop"}[word]
             for word in with_model(run_words, "tabletop-scripted:0.3@128")]  # fmt: skip
    run = call(*words, "--limit", 1, "--images-per-prompt", images, "--json").records[0]
    target = tmp_path / "official"
    done = call("export", benchmark, "--run", run["run_dir"], "--out", target, "--json")
    assert (done.code, done.records[0]["images"]) == (0, run["coverage"]["judged"]), done.stderr
    written = content(target)
    assert len(written) == run["coverage"]["judged"] // (images if benchmark == "dpg" else 1)
    assert all(re.fullmatch(files, name) for name in written)
    judge = ["judge", benchmark, "--protocol", "tabletop", "--images", target, "--out", tmp_path / "back"]
    back = call(*judge, *more, "--json").records[0]
    assert back["metrics"] == run["metrics"]
    assert {metric["value"] for metric in back["metrics"]} - {None, 0, 1, 100}
    results = [Path(one["run_dir"]) / "results.jsonl" for one in (run, back)]
    assert results[0].read_bytes() == results[1].read_bytes()
