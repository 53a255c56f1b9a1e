"""What a protocol of fidelity may say: which extractor is whose, and what is refused before any work."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from PIL import Image

from benchmarks.fidelity import layout, prompt_sets
from benchmarks.fidelity.adapter import Fidelity
from benchmarks.fidelity.options import Options, options_of
from lumina_eval.errors import UserError
from lumina_eval.evaluation import find_protocol
from lumina_eval.records import Item


def options(name: str, *changes: str) -> Options:
    return options_of(find_protocol(Fidelity(), name, changes))


def test_cmmd_has_an_extractor_of_its_own() -> None:
    """Its authors' model and order of cropping, not CLIP-FID's."""
    found = options("folder", 'metrics=["cmmd", "clip_fid"]').extractors
    assert found == {
        "cmmd": "cmmd:ViT-L-14-336-quickgelu/openai",
        "clip": "clip:ViT-B-32-quickgelu/openai",
    }
    assert options("tabletop").extractors["cmmd"] == "tabletop"


def test_no_cosine_with_a_prompt_that_there_is_not() -> None:
    for metric in ("clip_score", "clip_score_gap"):
        with pytest.raises(UserError, match=rf"prompts.*{metric}.*folder; fix: "):
            options("folder", f'metrics=["fid", "{metric}"]')
    assert options("coco30k").metrics[-1] == "clip_score"


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        ("folder", 'metrics=[["fid"]]', "list of names for metrics"),
        ("folder", 'metrics=["fid", "fid"]', "fid again"),
        ("folder", "metrics=[]", "list of metrics, found none"),
        ("mjhq30k", "by_task=[3]", "list of names for by_task"),
        ("folder", "reference.source=tabletop", "prompts of the embedded world"),
        ("tabletop", "reference.side=-1", "for reference.side, found -1"),
        ("tabletop", "reference.images_per_prompt=0", "for reference.images_per_prompt, found 0"),
        ("tabletop", "reference.base_seed=-3", "for reference.base_seed, found -3"),
    ],
)
def test_a_protocol_that_cannot_be_is_refused_at_once(name: str, change: str, said: str) -> None:
    """Not after the images were made: options are read before that, and by ``--dry-run``."""
    with pytest.raises(UserError, match=rf"{re.escape(said)}.*; fix: "):
        options(name, change)


def test_a_reference_that_would_be_ignored_is_refused(tmp_path: Path) -> None:
    Image.new("RGB", (4, 4)).save(tmp_path / "a.png")
    bench = Fidelity(str(tmp_path))
    with pytest.raises(UserError, match=r"expected no --reference.*tabletop.*; fix: "):
        bench.items(find_protocol(bench, "tabletop"))


@pytest.mark.parametrize(
    ("protocol", "text", "said"),
    [
        ("coco30k", "image_id,caption\n7,a cat\n8\n", "none for id '8'"),
        ("coco30k", "image_id,caption\n7,a cat\n8, \n", "none for id '8'"),
        ("coco30k", "image_id,caption\n7,a cat\n7,a dog\n", "id '7' twice"),
        ("coco30k", "image_id,caption\n../e,a cat\n", "id '../e', which is no name"),
        ("mjhq30k", "{}", "expected prompts, found none"),
        ("mjhq30k", '{"a": {"prompt": "", "category": "c"}}', "none for id 'a'"),
    ],
)
def test_a_broken_file_of_prompts_is_told(tmp_path: Path, protocol: str, text: str, said: str) -> None:
    file = tmp_path / "prompts"
    file.write_text(text)
    with pytest.raises(UserError, match=rf"{re.escape(said)}.*; fix: "):
        prompt_sets.items_of(find_protocol(Fidelity(), protocol, [f"prompts.file={file}"]))


def test_no_image_is_written_outside_the_folder(tmp_path: Path) -> None:
    Image.new("RGB", (4, 4)).save(tmp_path / "a.png")
    item = Item(id="../e", prompt="a cat", task="all")
    with pytest.raises(UserError, match=r"found '\.\./e'; fix: "):
        layout.write(tmp_path / "out", [(item, 0, tmp_path / "a.png")])
    assert not (tmp_path / "e").exists()
