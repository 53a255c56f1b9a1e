"""mPLUG's wiring with a stand-in for modelscope; its weights were never run here."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from tiny_answerers import pictures

from benchmarks.judges.vqa.answering import Answer, Answerer
from benchmarks.judges.vqa.mplug import MODEL, MplugAnswerer
from benchmarks.judges.vqa.opening import open_answerer
from lumina_eval.errors import UserError


@pytest.fixture
def hub(tmp_path: Path) -> Path:
    """What the stand-in for modelscope's hub has: the folder of a revision, by its name."""
    for revision in ("master", "v1"):
        (tmp_path / "hub" / revision).mkdir(parents=True)
        (tmp_path / "hub" / revision / "pytorch_model.bin").write_text(revision)
    return tmp_path / "hub"


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch, hub: Path) -> list[tuple[str, str, str]]:
    """A modelscope whose pipeline says how large the picture is; what it was opened with is returned."""
    calls: list[tuple[str, str, str]] = []

    def snapshot_download(model: str, revision: str = "master", local_files_only: bool = False) -> str:
        if local_files_only:
            raise ValueError("not on this machine")
        if model != MODEL:
            raise OSError("no such model")
        return str(hub / revision)

    def pipeline(task: str, model: str, device: str) -> Any:
        if Path(model).name == "broken":
            raise KeyError("no configuration")
        calls.append((task, model, device))
        return lambda given: {"text": [f"{given['question']} {given['image'].size}"]}

    package, pipelines, utils, constant, downloads, download = (
        ModuleType(f"modelscope{tail}")
        for tail in ("", ".pipelines", ".utils", ".utils.constant", ".hub", ".hub.snapshot_download")
    )
    download.snapshot_download = snapshot_download  # type: ignore[attr-defined]
    package.__version__ = "1.0"  # type: ignore[attr-defined]
    pipelines.pipeline = pipeline  # type: ignore[attr-defined]
    constant.Tasks = type("Tasks", (), {"visual_question_answering": "vqa"})  # type: ignore[attr-defined]
    package.pipelines = pipelines  # type: ignore[attr-defined]
    for module in (package, pipelines, utils, constant, downloads, download):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    return calls


def test_nothing_is_fetched_offline(
    opened: list[tuple[str, str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(UserError, match="not on this machine; fix: modelscope download"):
        _ = MplugAnswerer(device="cpu").digest


def test_one_picture_and_one_question_at_a_time(opened: list[tuple[str, str, str]], hub: Path) -> None:
    answerer = MplugAnswerer(device="cpu")
    assert isinstance(answerer, Answerer)
    assert opened == []
    assert answerer.answer(pictures(2), ["Red?", "Blue?"]) == [
        Answer("Red? (24, 24)"), Answer("Blue? (24, 25)"),
    ]  # fmt: skip
    assert opened == [("vqa", str(hub / "master"), "cpu")]


def test_the_digest_of_a_name_is_that_of_its_files(opened: list[tuple[str, str, str]], hub: Path) -> None:
    """A name without a revision may be other weights tomorrow: the settings of each verdict say so."""
    named, pinned = MplugAnswerer(device="cpu"), MplugAnswerer(f"{MODEL}@v1", "cpu")
    assert (named.settings["revision"], pinned.settings["revision"]) == ("unpinned", "v1")
    folders = [MplugAnswerer(str(hub / revision), "cpu") for revision in ("master", "v1")]
    assert all("revision" not in one.settings for one in folders)
    assert [named.digest, pinned.digest] == [one.digest for one in folders]
    (hub / "master" / "pytorch_model.bin").write_text("changed")
    assert MplugAnswerer(device="cpu").digest != named.digest


def test_the_digest_knows_weights_and_package(opened: list[tuple[str, str, str]], tmp_path: Path) -> None:
    named = MplugAnswerer(device="cpu").digest
    (tmp_path / "pytorch_model.bin").write_bytes(b"1")
    first = MplugAnswerer(str(tmp_path), "cpu").digest
    (tmp_path / "pytorch_model.bin").write_bytes(b"2")
    second = MplugAnswerer(str(tmp_path), "cpu").digest
    sys.modules["modelscope"].__version__ = "1.1"
    assert len({named, first, second, MplugAnswerer(str(tmp_path), "cpu").digest}) == 4


def test_a_model_that_does_not_load_is_told(opened: list[tuple[str, str, str]], tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match="'absent', which does not load: no such model; fix: modelscope download"
    ):
        _ = MplugAnswerer("absent", "cpu").digest
    (tmp_path / "broken").mkdir()
    with pytest.raises(UserError, match="which does not load: 'no configuration'; fix: modelscope download"):
        MplugAnswerer(str(tmp_path / "broken"), "cpu").answer(pictures(1), ["Red?"])


def test_without_modelscope_the_way_to_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "modelscope", None)
    with pytest.raises(UserError, match=r"fix: pip install 'lumina-eval\[mplug\]', or take another one"):
        open_answerer({"answerer": "mplug"})


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ({"answerer": "blib"}, r"unknown judge.answerer 'blib'; did you mean blip\?"),
        (
            {"answerer": "blip", "batch_size": 0},
            "expected a whole number of at least 1 for judge.batch_size, found 0",
        ),
        (
            {"answerer": "blip", "wieghts": "x"},
            "unknown key in the table .judge.: 'wieghts'; did you mean weights",
        ),
        ({}, r"found no answerer; fix: extends"),
        ({"answerer": "blip"}, "expected the weights of BLIP"),
        ({"answerer": "vision-language", "weights": "x/y@z"}, "cannot get x/y at z .*fix: hf download"),
    ],
)
def test_a_table_that_cannot_be_opened_is_told(
    table: dict[str, object], told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(UserError, match=told):
        open_answerer(table)
