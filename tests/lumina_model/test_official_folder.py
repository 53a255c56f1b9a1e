"""The official folder: read without executing a pickle, written, and told what is broken."""

from __future__ import annotations

import os
import pickle
from argparse import Namespace
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from checkpoint_files import (
    official_by_hand,
    same,
    torch_load,
    write_dcp,
    write_tiny_official,
)
from safetensors.torch import save_file

from lumina_model import load_transformer
from lumina_model.errors import UserError
from lumina_model.formats import recognise, write_official
from lumina_model.next_dit import CONFIGS, NextDiT
from lumina_model.official_names import FACTORIES


@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
def test_the_official_folder(tmp_path: Path, small: NextDiT, suffix: str) -> None:
    write_tiny_official(tmp_path, small)
    raw, ema = (official_by_hand(small) | {"x_embedder.bias": small.x_embedder.bias.data + i} for i in (1, 2))
    (tmp_path / "consolidated.00-of-01.pth").unlink()
    for stem, tensors in (("consolidated", raw), ("consolidated_ema", ema)):
        file = tmp_path / f"{stem}.00-of-01.{suffix}"
        torch.save(tensors, file) if suffix == "pth" else save_file(tensors, file)
    assert recognise(tmp_path) == "official"
    same(small, load_transformer(tmp_path), plus=2)
    same(small, load_transformer(tmp_path, weights="raw"), plus=1)
    (tmp_path / f"consolidated_ema.00-of-01.{suffix}").unlink()
    same(small, load_transformer(tmp_path), plus=1)
    (tmp_path / f"consolidated.00-of-01.{suffix}").rename(tmp_path / f"consolidated_ema.00-of-01.{suffix}")
    with pytest.raises(UserError, match=r"expected the file consolidated\.00-of-01.*EMA weights"):
        load_transformer(tmp_path, weights="raw")


def test_an_official_factory_sets_the_config(
    tmp_path: Path, small: NextDiT, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = replace(small.config, cap_feat_dim=2304)
    monkeypatch.setitem(CONFIGS, "3B", config)  # the real one takes 15 GB
    model = NextDiT(replace(config, cap_feat_dim=24, in_channels=4))
    write_official(model, tmp_path)
    arguments = torch_load(tmp_path / "model_args.pth")
    assert vars(arguments) == {"model": FACTORIES["3B"], "qk_norm": True, "model_parallel_size": 1}
    loaded = load_transformer(tmp_path)
    assert loaded.config == replace(model.config, qk_norm_eps=1e-6)
    assert model.config.qk_norm_eps == 1e-5
    same(model, loaded)


def test_what_the_official_writer_writes(tmp_path: Path, small: NextDiT) -> None:
    write_official(small, tmp_path)
    written = torch.load(tmp_path / "consolidated.00-of-01.pth", weights_only=True)
    expected = official_by_hand(small)
    assert written.keys() == expected.keys()
    assert bool((written["norm_final.weight"] == 1).all())
    assert all(torch.equal(written[name], expected[name]) for name in written if name != "norm_final.weight")
    assert torch_load(tmp_path / "model_args.pth").next_dit_config["axes_dim_rope"] == (8, 8, 8)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"model": "NextDiT_2B_patch2"}, "expected a model out of .*found 'NextDiT_2B_patch2'"),
        ({"qk_norm": False}, "expected qk_norm True, found False"),
        ({"model_parallel_size": 2}, "expected model_parallel_size 1, found 2"),
        ({"next_dit_config": {"hidden_size": 96}}, "expected next_dit_config with .*found hidden_size"),
        ({"next_dit_config": None}, "expected next_dit_config with .*found None"),
        ({"model": FACTORIES["2.6B"]}, r"expected shape .*; and \d+ more, in .*consolidated"),
    ],
)
def test_official_models_that_are_not_ours(
    tmp_path: Path, small: NextDiT, arguments: dict[str, Any], told: str
) -> None:
    with pytest.raises(UserError, match=told) as raised:
        load_transformer(write_tiny_official(tmp_path, small, **arguments))
    assert str(tmp_path) in str(raised.value)


class Bomb:
    """A pickle that would leave a folder behind if it were executed."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("name", ["model_args.pth", "consolidated.00-of-01.pth", ".metadata"])
@pytest.mark.parametrize("zipped", [True, False])
def test_no_pickle_is_executed(tmp_path: Path, small: NextDiT, name: str, zipped: bool) -> None:
    bomb = Bomb(tmp_path / "executed")
    if name == ".metadata":
        folder = write_dcp(tmp_path / "dcp", small.state_dict())
        (folder / name).write_bytes(pickle.dumps(bomb))
    else:
        folder = write_tiny_official(tmp_path, small)
        value = Namespace(model=bomb) if name == "model_args.pth" else {"x_embedder.weight": bomb}
        torch.save(value, folder / name, _use_new_zipfile_serialization=zipped)
    with pytest.raises(UserError, match=r"found \w+\.mkdir, which could run code, in ") as raised:
        load_transformer(folder)
    assert "weights_only" not in str(raised.value)
    assert "\n" not in str(raised.value)
    assert not bomb.path.exists()


@pytest.mark.parametrize("change", ["parts", "cut", "empty", "arguments", "weights", "names", "nested"])
def test_broken_official_folders(tmp_path: Path, small: NextDiT, change: str) -> None:
    folder = write_tiny_official(tmp_path, small)
    file = folder / "consolidated.00-of-01.pth"
    told = {
        "parts": r"expected the one file .*found consolidated\.00-of-02\.pth",
        "cut": "expected .*, found .*, in .*consolidated",
        "empty": "expected .*, found .*, in .*consolidated",
        "arguments": "expected the file .*model_args.pth, found none",
        "weights": r"expected the file consolidated_ema\.00-of-01\..* or consolidated\.00-of-01\.",
        "names": r"expected the official tensor names, found no cap_embedder\.0\.weight",
        "nested": "expected tensors by name, found OrderedDict under 'model'",
    }[change]
    if change == "parts":
        file.rename(folder / "consolidated.00-of-02.pth")
    elif change == "cut":
        file.write_bytes(file.read_bytes()[:1000])
    elif change == "empty":
        file.write_bytes(b"")
    elif change == "arguments":
        (folder / "model_args.pth").unlink()
    elif change == "weights":
        file.unlink()
    else:
        torch.save(small.state_dict() if change == "names" else {"model": small.state_dict()}, file)
    with pytest.raises(UserError, match=told) as raised:
        load_transformer(folder)
    assert "\n" not in str(raised.value)
