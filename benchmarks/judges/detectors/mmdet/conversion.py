"""GenEval's official detector, from mmdet's file to a folder that transformers loads."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from benchmarks.judges.conversion import Conversion, check_shapes, read_state, write_folder
from benchmarks.judges.detectors.mmdet.names import COMPUTED, UNUSED, Pair, pairs
from benchmarks.judges.detectors.mmdet.shapes import Architecture, mmdet_shapes
from benchmarks.judges.loading import load_model
from lumina_eval.assets.catalogue import data_folder

#: What GenEval was made with.
OFFICIAL: Final = Architecture()
#: Sha256 of ``mask2former_swin-s-p4-w7-224_lsj_8x2_50e_coco_20220504_001756-743b7d99.pth``: mmdet puts its
#: first eight digits into the name, the rest is that of a public copy.
OFFICIAL_SHA256: Final = "743b7d99015f1224c6d57fd4b14d04b15cc8ec72ae7ee7831e7c71d8873b7a54"
#: Which of mmdet's four places (row by row) stands at each of transformers' (column by column).
_PIXEL_ORDER: Final = (0, 2, 1, 3)
_FETCH: Final = "lumina-eval data fetch mask2former"


def converted_folder() -> Path:
    """Return where the converted official detector lies, or will, if no other folder is named."""
    return data_folder() / "mask2former-transformers"


def convert(source: Path, folder: Path, architecture: Architecture | None = None) -> Conversion:
    """Write ``folder`` with config, weights and conversion.json, and load it once to see that it is whole.

    Raises UserError for a file that is no checkpoint, that holds more than tensors and plain values, or whose
    names or shapes are not those of the architecture.
    """
    from transformers import Mask2FormerForUniversalSegmentation

    architecture = architecture or OFFICIAL
    state = {
        name: value
        for name, value in read_state(source, "state_dict", "mmdet's", _FETCH).items()
        if not name.endswith(COMPUTED)
    }
    check_shapes(
        {name: tuple(value.shape) for name, value in state.items()},
        mmdet_shapes(architecture),
        "mask2former_swin-s-p4-w7-224_lsj_8x2_50e_coco in mmdet 2.x",
        source,
        f"{_FETCH} (the file for mmdet 3 has other names)",
    )
    table = pairs(architecture.depths, architecture.encoder_layers, architecture.decoder_layers)
    converted = {
        target: part
        for pair in table
        for target, part in zip(pair.targets, changed(state[pair.source], pair), strict=True)
    }

    def load() -> None:
        load_model(Mask2FormerForUniversalSegmentation, folder, "Mask2Former", UNUSED)

    config = configuration_of(architecture)
    return write_folder(folder, config, converted, source, OFFICIAL_SHA256, len(table), load)


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
