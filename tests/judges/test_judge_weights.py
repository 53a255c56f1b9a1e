"""The folder, digest and device of a judge's weights, and what is said where they are not there."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
import torch

from benchmarks.judges.weights import device_of, find_weights, weights_digest
from lumina_eval.errors import UserError


def test_the_digest_is_that_of_all_that_changes_an_answer(tmp_path: Path) -> None:
    """By hand: canonical JSON of names and sums, in the order of the names."""
    (tmp_path / "part").mkdir()
    parts = {"config.json": b"{}", "part/model.safetensors": b"1", "template.jinja": b"2"}
    for name, content in {**parts, "README.md": b"for people", "weights.pth": b"3"}.items():
        (tmp_path / name).write_bytes(content)

    def digest(**more: bytes) -> str:
        rows = [
            [name, hashlib.sha256(content).hexdigest()] for name, content in sorted({**parts, **more}.items())
        ]
        return hashlib.sha256(json.dumps(rows, separators=(",", ":")).encode()).hexdigest()

    assert find_weights(str(tmp_path), "a judge") == tmp_path
    assert weights_digest(tmp_path) == digest()
    assert weights_digest(tmp_path, [".pth"]) == digest(**{"weights.pth": b"3"})


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (
            "",
            r"weights of a judge \(a folder with config\.json\), found no folder ''; .*judge\.weights=DIR",
        ),
        ("nowhere", r"found no folder 'nowhere'; fix: --set judge\.weights=DIR, or .*OWNER/NAME@COMMIT"),
        ("owner/name", r"a pinned revision of owner/name, found none; fix: .*weights=owner/name@COMMIT"),
        ("owner/name@", r"a pinned revision of owner/name, found none"),
        ("owner/name@v1", r"cannot get owner/name at v1 \(HF_HUB_OFFLINE is set\): .*fix: hf download"),
    ],
)
def test_weights_that_are_not_there(spec: str, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(UserError, match=message):
        find_weights(spec, "a judge")


def test_a_folder_of_something_else(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"expected config\.json of a judge, found none, .*save_pretrained"):
        find_weights(str(tmp_path), "a judge")


def test_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert (device_of("auto"), device_of("cpu")) == ("cpu", "cpu")
    with pytest.raises(UserError, match=r"CUDA device .* found none; fix: take --set judge\.device=cpu"):
        device_of("cuda:1")
    with pytest.raises(UserError, match=r"judge\.device=auto, cpu or cuda, found 'tpu'"):
        device_of("tpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert (device_of("auto"), device_of("cuda:1")) == ("cuda", "cuda:1")
