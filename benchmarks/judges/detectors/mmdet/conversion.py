"""GenEval's official detector, from mmdet's file to a folder that transformers loads."""

from __future__ import annotations

import dataclasses
import json
import pickle
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from benchmarks.judges.detectors.mmdet.names import COMPUTED, UNUSED, Pair, pairs
from benchmarks.judges.detectors.mmdet.shapes import Architecture, mmdet_shapes
from benchmarks.judges.loading import load_model
from lumina_eval.assets import data_folder
from lumina_eval.digests import sha256_file
from lumina_eval.errors import UserError
from lumina_eval.files import make_folder, write_atomic

#: What GenEval was made with.
OFFICIAL: Final = Architecture()
#: Sha256 of ``mask2former_swin-s-p4-w7-224_lsj_8x2_50e_coco_20220504_001756-743b7d99.pth``: mmdet puts its
#: first eight digits into the name, the rest is that of a public copy.
OFFICIAL_SHA256: Final = "743b7d99015f1224c6d57fd4b14d04b15cc8ec72ae7ee7831e7c71d8873b7a54"
#: Which of mmdet's four places (row by row) stands at each of transformers' (column by column).
_PIXEL_ORDER: Final = (0, 2, 1, 3)
#: How many names a message lists.
_SHOWN: Final = 3


@dataclasses.dataclass(frozen=True, slots=True)
class Conversion:
    """What was converted; ``conversion.json`` beside the weights holds the same."""

    source: str
    source_sha256: str
    official: bool
    """True if the file is the one that GenEval names."""
    parameters: int
    sha256: str
    """Of the safetensors file that was written."""


def converted_folder() -> Path:
    """Return where the converted official detector lies, or will, if no other folder is named."""
    return data_folder() / "mask2former-transformers"


def convert(source: Path, folder: Path, architecture: Architecture | None = None) -> Conversion:
    """Write ``folder`` with config, weights and conversion.json, and load it once to see that it is whole.

    Raises UserError for a file that is no checkpoint, that holds more than tensors and plain values, or whose
    names or shapes are not those of the architecture.
    """
    import torch
    from safetensors.torch import save
    from transformers import Mask2FormerForUniversalSegmentation

    architecture = architecture or OFFICIAL
    state = read_state(source)
    check_state({name: tuple(value.shape) for name, value in state.items()}, architecture, source)
    table = pairs(architecture.depths, architecture.encoder_layers, architecture.decoder_layers)
    converted = {
        target: part.to(torch.float32).contiguous()
        for pair in table
        for target, part in zip(pair.targets, changed(state[pair.source], pair), strict=True)
    }
    make_folder(folder)
    configuration_of(architecture).save_pretrained(folder)
    weights = folder / "model.safetensors"
    write_atomic(weights, save(converted, metadata={"format": "pt"}))
    load_model(Mask2FormerForUniversalSegmentation, folder, "Mask2Former", UNUSED)
    digest = sha256_file(source)
    done = Conversion(source.name, digest, digest == OFFICIAL_SHA256, len(table), sha256_file(weights))
    write_atomic(
        folder / "conversion.json",
        (json.dumps({"schema": 1, **dataclasses.asdict(done)}, indent=2) + "\n").encode(),
    )
    return done


def read_state(source: Path) -> dict[str, Any]:
    """Return the tensors of an mmdet checkpoint by name, without the buffers that are computed anew.

    Only tensors and plain values are unpickled (``weights_only``): no code of the file runs.
    """
    import torch

    if not source.is_file():
        raise UserError(
            f"expected mmdet's checkpoint, found no file {source}; fix: lumina-eval data fetch mask2former"
        )
    try:
        found = torch.load(source, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError, ValueError, KeyError) as error:
        raise UserError(
            f"expected a checkpoint of tensors and plain values, found something else, in {source}; "
            "fix: lumina-eval data fetch mask2former, or save its 'state_dict' alone where it was made"
        ) from error
    state = found.get("state_dict", found) if isinstance(found, dict) else found
    if not isinstance(state, Mapping) or not all(isinstance(one, torch.Tensor) for one in state.values()):
        raise UserError(
            f"expected 'state_dict' with tensors by name, found none, in {source}; "
            "fix: lumina-eval data fetch mask2former"
        )
    return {str(name): value for name, value in state.items() if not name.endswith(COMPUTED)}


def check_state(found: Mapping[str, tuple[int, ...]], architecture: Architecture, source: Path) -> None:
    """Raise UserError unless names and shapes are those of the architecture; all that is wrong is counted."""
    wanted = mmdet_shapes(architecture)
    missing = [name for name in wanted if name not in found]
    extra = [name for name in found if name not in wanted]
    misshapen = [
        f"{name} ({list(found[name])} instead of {list(shape)})"
        for name, shape in wanted.items()
        if name in found and found[name] != shape
    ]
    told = [
        f"{len(names)} {what}: {', '.join(names[:_SHOWN])}{', …' if len(names) > _SHOWN else ''}"
        for what, names in (("missing", missing), ("unknown", extra), ("misshapen", misshapen))
        if names
    ]
    if told:
        raise UserError(
            f"expected the {len(wanted)} parameters of mask2former_swin-s-p4-w7-224_lsj_8x2_50e_coco in "
            f"mmdet 2.x, found {'; '.join(told)}, in {source}; fix: lumina-eval data fetch mask2former "
            "(the file for mmdet 3 has other names)"
        )


def changed(tensor: Any, pair: Pair) -> Sequence[Any]:
    """Return the tensor as transformers lays it out, one for each target of the pair."""
    if pair.change == "thirds":
        return list(tensor.chunk(3))
    if pair.change == "merging":
        *front, last = tensor.shape
        pixels = tensor.reshape(*front, last // 4, 4)[..., list(_PIXEL_ORDER)]
        return [pixels.transpose(-1, -2).reshape(*front, last)]
    return [tensor]


def configuration_of(numbers: Architecture) -> Any:
    """Return transformers' configuration of an architecture."""
    from transformers import Mask2FormerConfig, SwinConfig

    backbone = SwinConfig(
        embed_dim=numbers.embed_dim,
        depths=list(numbers.depths),
        num_heads=list(numbers.heads),
        window_size=numbers.window,
        mlp_ratio=float(numbers.mlp_ratio),
        out_features=[f"stage{stage + 1}" for stage in range(len(numbers.depths))],
    )
    return Mask2FormerConfig(
        architectures=["Mask2FormerForUniversalSegmentation"],
        backbone_config=backbone,
        feature_size=numbers.channels,
        mask_feature_size=numbers.channels,
        hidden_dim=numbers.channels,
        num_attention_heads=numbers.attention_heads,
        encoder_layers=numbers.encoder_layers,
        encoder_feedforward_dim=numbers.encoder_feedforward,
        decoder_layers=numbers.decoder_layers + 1,  # transformers counts the prediction before the first
        dim_feedforward=numbers.decoder_feedforward,
        num_queries=numbers.queries,
        id2label=dict(enumerate(numbers.classes)),
        label2id={name: index for index, name in enumerate(numbers.classes)},
    )
