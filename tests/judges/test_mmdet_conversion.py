"""From mmdet's file to transformers' folder: every parameter once, in the right layout, or a clear no."""

from __future__ import annotations

import dataclasses
import json
import re
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from tiny_mask2former import TINY, mmdet_file, mmdet_state

from benchmarks.judges.detectors.mmdet import conversion
from benchmarks.judges.detectors.mmdet.conversion import OFFICIAL, changed, configuration_of, convert
from benchmarks.judges.detectors.mmdet.names import COMPUTED, UNUSED, Pair, pairs
from benchmarks.judges.detectors.mmdet.shapes import mmdet_shapes
from lumina_eval import cli
from lumina_eval.digests import digest_of, sha256_file
from lumina_eval.errors import UserError

#: Digest of names and shapes of the official config, as mmdet 2.28.2 itself builds it (625 parameters; the 24
#: tables of relative positions are left out).
MMDET_2_28_2 = "3d8c8e2c70679e1eef056c84f3657d1b784ecd9876a8c8fcacfbdb9675dedf70"
#: From published names to those of current transformers; older versions build the published ones.
RENAMED = (
    (r"pixel_level_module\.encoder\.(embeddings|encoder)", r"pixel_level_module.encoder.swin.\1"),
    (r"self\.relative_position_bias_table", "relative_position_bias.relative_position_bias_table"),
    (r"attention\.self\.(query|key|value)", lambda found: f"attention.{found[1][0]}_proj"),
    (r"attention\.output\.dense", "attention.o_proj"),
    (r"(blocks\.\d+)\.intermediate\.dense", r"\1.mlp.fc1"),
    (r"(blocks\.\d+)\.output\.dense", r"\1.mlp.fc2"),
)  # fmt: skip


def test_the_shapes_are_those_that_mmdet_builds() -> None:
    assert digest_of({name: list(shape) for name, shape in mmdet_shapes(OFFICIAL).items()}) == MMDET_2_28_2


def test_every_parameter_has_one_place_at_full_size() -> None:
    from transformers import Mask2FormerForUniversalSegmentation

    table = pairs(OFFICIAL.depths, OFFICIAL.encoder_layers, OFFICIAL.decoder_layers)
    shapes = mmdet_shapes(OFFICIAL)
    assert Counter(pair.source for pair in table) == Counter(list(shapes))
    with torch.device("meta"):
        model = Mask2FormerForUniversalSegmentation(configuration_of(OFFICIAL))
        reached = {
            target: tuple(part.shape)
            for pair in table
            for target, part in zip(
                pair.targets, changed(torch.empty(shapes[pair.source]), pair), strict=True
            )
        }
    assert len(reached) == sum(len(pair.targets) for pair in table)
    built = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    wanted = {name: shape for name, shape in built.items() if not name.endswith(UNUSED)}
    if any("encoder.swin.embeddings" in name for name in built):
        for pattern, new in RENAMED:
            reached = {re.sub(pattern, new, name): shape for name, shape in reached.items()}
    assert reached == wanted


def test_self_attention_is_cut_into_thirds() -> None:
    draw = torch.Generator().manual_seed(0)
    weight, bias = torch.randn(12, 4, generator=draw), torch.randn(12, generator=draw)
    tokens = torch.randn(5, 4, generator=draw)
    expected = torch.nn.functional.linear(tokens, weight, bias).reshape(5, 3, 4)  # as mmdet reads it
    weights, biases = (changed(one, Pair("", ("q", "k", "v"), "thirds")) for one in (weight, bias))
    for place in range(3):
        found = torch.nn.functional.linear(tokens, weights[place], biases[place])
        assert torch.allclose(found, expected[:, place])


def test_patch_merging_is_brought_from_unfold_to_columns() -> None:
    """mmdet's merging unfolds, transformers' concatenates four pictures: equal outputs on odd weights."""
    from transformers import Mask2FormerForUniversalSegmentation

    channels = TINY.embed_dim
    draw = torch.Generator().manual_seed(1)
    picture = torch.randn(2, channels, 4, 8, generator=draw)
    norm_weight, norm_bias = torch.randn(2, 4 * channels, generator=draw)
    reduction = torch.randn(2 * channels, 4 * channels, generator=draw)
    unfolded = torch.nn.functional.unfold(picture, kernel_size=2, stride=2).transpose(1, 2)
    normed = torch.nn.functional.layer_norm(unfolded, (4 * channels,), norm_weight, norm_bias)
    expected = torch.nn.functional.linear(normed, reduction)

    merging = Pair("", ("",), "merging")
    model = Mask2FormerForUniversalSegmentation(configuration_of(TINY))
    module: Any = next(part for name, part in model.named_modules() if name.endswith("layers.0.downsample"))
    with torch.no_grad():
        module.norm.weight.copy_(changed(norm_weight, merging)[0])
        module.norm.bias.copy_(changed(norm_bias, merging)[0])
        module.reduction.weight.copy_(changed(reduction, merging)[0])
        found = module(picture.flatten(2).transpose(1, 2), (4, 8))
    assert torch.allclose(found, expected, atol=1e-4)


def run(monkeypatch: pytest.MonkeyPatch, *words: object) -> int:
    monkeypatch.setattr(sys, "argv", ["lumina-eval", "assets", "convert", *map(str, words)])
    with pytest.raises(SystemExit) as end:
        cli.main()
    return int(end.value.code or 0)


def test_the_command_writes_a_folder_that_says_where_it_is_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(conversion, "OFFICIAL", TINY)
    source = mmdet_file(tmp_path / "some.pth")
    assert run(monkeypatch, "mask2former", source, tmp_path / "out") == 0
    told = capsys.readouterr()
    assert "MISSING" not in told.out + told.err
    assert "not the file that GenEval names" in told.out
    record = json.loads((tmp_path / "out" / "conversion.json").read_text())
    assert record == {
        "schema": 1,
        "source": "some.pth",
        "source_sha256": sha256_file(source),
        "official": False,
        "parameters": len(mmdet_shapes(TINY)),
        "sha256": sha256_file(tmp_path / "out" / "model.safetensors"),
        "vocabulary_sha256": None,
    }
    state, written = mmdet_state(), load_file(tmp_path / "out" / "model.safetensors")
    assert torch.equal(written["class_predictor.weight"], state["panoptic_head.cls_embed.weight"])
    assert sum(value.numel() for value in written.values()) == sum(
        value.numel() for name, value in state.items() if not name.endswith(COMPUTED)
    )


def test_the_command_says_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LUMINA_EVAL_DATA", str(tmp_path / "data"))
    assert run(monkeypatch, "mask2former") == 2
    assert "fix: lumina-eval data fetch mask2former" in capsys.readouterr().err
    assert run(monkeypatch, "mask2former", tmp_path / "file.pth") == 2
    assert "expected the folder to write" in capsys.readouterr().err
    assert run(monkeypatch, "mask2former", tmp_path / "file.pth", tmp_path / "out") == 2
    assert "found no file" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def without(name: str) -> Callable[[dict[str, Any]], None]:
    return lambda state: state.pop(name)


def put(name: str, value: torch.Tensor) -> Callable[[dict[str, Any]], None]:
    return lambda state: state.update({name: value})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (without("backbone.norm0.weight"), r"1 missing: backbone\.norm0\.weight"),
        (put("panoptic_head.other", torch.ones(1)), r"1 unknown: panoptic_head\.other"),
        (put("panoptic_head.cls_embed.bias", torch.ones(134)),
         r"1 misshapen: panoptic_head\.cls_embed\.bias \(\[134\] instead of \[81\]\)"),
    ],
)  # fmt: skip
def test_another_architecture_is_told(
    tmp_path: Path, change: Callable[[dict[str, Any]], None], message: str
) -> None:
    state = mmdet_state()
    change(state)
    with pytest.raises(UserError, match=f"{message}.*in .*x.pth; fix: "):
        convert(mmdet_file(tmp_path / "x.pth", state), tmp_path / "out", TINY)
    assert not (tmp_path / "out").exists()


def test_a_file_of_mmdet_3_is_told_with_all_its_names(tmp_path: Path) -> None:
    state = {name.replace("attentions.0", "cross_attn"): value for name, value in mmdet_state().items()}
    with pytest.raises(UserError, match=r"\d+ missing: .*, …; \d+ unknown: .*mmdet 3 has other names"):
        convert(mmdet_file(tmp_path / "x.pth", state), tmp_path / "out", TINY)


def test_no_code_of_a_file_runs(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (tmp_path / "touched",))

    torch.save({"state_dict": mmdet_state(), "meta": Trap()}, tmp_path / "x.pth")
    with pytest.raises(UserError, match="tensors and plain values, found something else"):
        convert(tmp_path / "x.pth", tmp_path / "out", TINY)
    assert not (tmp_path / "touched").exists()


@pytest.mark.parametrize("content", [[1, 2], {"state_dict": {"a": 1}}])
def test_a_file_without_weights(tmp_path: Path, content: Any) -> None:
    torch.save(content, tmp_path / "x.pth")
    with pytest.raises(UserError, match="expected 'state_dict' with tensors by name"):
        convert(tmp_path / "x.pth", tmp_path / "out", TINY)


def test_half_precision_becomes_float32(tmp_path: Path) -> None:
    state = {
        name: value.half() if value.is_floating_point() else value for name, value in mmdet_state().items()
    }
    done = convert(mmdet_file(tmp_path / "x.pth", state), tmp_path / "out", dataclasses.replace(TINY))
    assert {value.dtype for value in load_file(tmp_path / "out" / "model.safetensors").values()} == {
        torch.float32
    }
    assert not done.official
