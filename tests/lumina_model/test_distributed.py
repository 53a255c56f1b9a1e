"""Checkpoints of torch.distributed, whole and broken."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from checkpoint_files import (
    official_by_hand,
    same,
    shifted,
    write_dcp,
)

from lumina_model import load_transformer
from lumina_model.checkpoint import write_transformer
from lumina_model.errors import UserError
from lumina_model.formats import recognise
from lumina_model.next_dit import NextDiT


@pytest.mark.parametrize("official", [True, False])
def test_distributed_checkpoints(tmp_path: Path, small: NextDiT, official: bool) -> None:
    state = official_by_hand(small) if official else dict(small.state_dict())
    optimizer = {"state": {"x_embedder.weight": {"exp_avg": torch.ones(96, 64)}}, "param_groups": [{"lr": 1}]}
    both = {"model": shifted(state, 1), "ema": shifted(state, 2), "optimizer": optimizer, "step": 7}
    folder = write_dcp(tmp_path / "both", both)
    assert recognise(folder) == "distributed"
    same(small, load_transformer(folder), plus=2)
    same(small, load_transformer(folder, weights="raw"), plus=1)
    assert load_transformer(folder).config.qk_norm_eps == (1e-6 if official else 1e-5)
    same(small, load_transformer(write_dcp(tmp_path / "plain", state)))
    moments = {name: torch.zeros_like(tensor) for name, tensor in state.items()}
    same(small, load_transformer(write_dcp(tmp_path / "model", {"model": state, "moments": moments})))
    with pytest.raises(UserError, match=r"with raw weights .*found ema\.x_embedder\.weight"):
        load_transformer(write_dcp(tmp_path / "ema", {"ema": state}), weights="raw")


def test_a_config_beside_a_distributed_checkpoint_counts(tmp_path: Path, model: NextDiT) -> None:
    folder = write_dcp(tmp_path / "dcp", {"model": model.state_dict()})
    with pytest.raises(UserError, match="do not tell axes_dim_rope"):
        load_transformer(folder)
    write_transformer(model, tmp_path / "diffusers")
    (folder / "config.json").write_bytes((tmp_path / "diffusers" / "config.json").read_bytes())
    loaded = load_transformer(folder)
    assert loaded.config == model.config
    same(model, loaded)


def test_broken_distributed_checkpoints(tmp_path: Path, small: NextDiT) -> None:
    folder = write_dcp(tmp_path / "dcp", small.state_dict())
    shard = next(folder.glob("*.distcp"))
    data, metadata = shard.read_bytes(), (folder / ".metadata").read_bytes()

    def told() -> str:
        with pytest.raises(UserError) as raised:
            load_transformer(folder)
        assert str(folder) in str(raised.value)
        assert "\n" not in str(raised.value)
        return str(raised.value)

    shard.write_bytes(data[: len(data) // 2])
    assert "expected the shards of a complete checkpoint" in told()
    shard.unlink()
    assert f"{shard.name}, found none" in told()
    shard.write_bytes(data)
    (folder / ".metadata").write_bytes(
        metadata.replace(shard.name.encode(), b"../" + shard.name.encode()[3:])
    )
    assert "expected shards in the folder itself, found '../" in told()
    (folder / ".metadata").write_bytes(metadata[:100])
    assert "expected the metadata of a torch distributed checkpoint" in told()
    (folder / ".metadata").unlink()
    assert ".metadata, found none" in told()
