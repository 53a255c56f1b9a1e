"""Offline no judge fetches: it says what is missing before it asks anybody."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.judges import clip_model
from benchmarks.judges.clip_model import ClipModel
from benchmarks.judges.colors import ColorClassifier
from benchmarks.judges.offline import refuse_offline
from lumina_eval.errors import UserError

#: A model that open_clip knows at a plain address alone.
PLAIN = "RN50-quickgelu/yfcc15m"


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def fetched(*_: object, **__: object) -> str:
        raise AssertionError("something was fetched")

    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("open_clip.download_pretrained", fetched)
    monkeypatch.setattr("open_clip.create_model_from_pretrained", fetched)
    monkeypatch.setattr(
        "open_clip.get_pretrained_cfg", lambda *_: {"url": "https://example.org/a.pt", "quick_gelu": True}
    )
    monkeypatch.setattr(clip_model, "CACHE", tmp_path)


def test_clip_is_not_fetched() -> None:
    message = "network may not be used .HF_HUB_OFFLINE.; fix: --set judge.clip=DIR"
    with pytest.raises(UserError, match=message):
        _ = ClipModel(PLAIN, "cpu").weights
    with pytest.raises(UserError, match=message):
        _ = ClipModel(PLAIN, "cpu").loaded
    with pytest.raises(UserError, match=r"fix: --set judge\.colors=DIR"):
        _ = ColorClassifier(PLAIN, ["red"], "cpu").digest


def test_an_address_is_refused_and_a_file_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match=r"detectron2 on this machine, found an address, detectron2://x\.pkl"):
        refuse_offline("detectron2", "detectron2://x.pkl", "--set judge.weights=FILE")
    refuse_offline("detectron2", "weights/x.pkl", "")
    monkeypatch.delenv("HF_HUB_OFFLINE")
    refuse_offline("detectron2", "detectron2://x.pkl", "")
