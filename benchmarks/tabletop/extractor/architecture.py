"""The extractor's size and form, in open_clip's own words."""

from __future__ import annotations

from typing import Any, Final

from benchmarks.tabletop.extractor.pool import SIDE
from benchmarks.tabletop.extractor.tokenizer import CONTEXT, words

#: Numbers in a row of features.
WIDTH: Final = 64
#: Mean and standard deviation of the three channels, 0 to 1: a grey table and things of any colour on it.
MEAN: Final = (0.57, 0.55, 0.55)
DEVIATION: Final = (0.2, 0.2, 0.2)
#: What comes before the words of a vocabulary (padding, unknown, beginning) and after them (end).
_SPECIAL: Final = 4


def model_config() -> dict[str, Any]:
    """Return ``model_cfg`` of an open_clip folder: a small ResNet, and a transformer for text."""
    return {
        "embed_dim": WIDTH,
        "custom_text": True,
        "vision_cfg": {
            "image_size": SIDE,
            "layers": [3, 4, 4, 2],
            "width": 8,
            "head_width": 32,
            "patch_size": None,
        },
        "text_cfg": {
            "context_length": CONTEXT,
            "vocab_size": len(words()) + _SPECIAL,
            "width": 64,
            "heads": 4,
            "layers": 2,
            "hf_tokenizer_name": "tabletop",
        },
    }


def picture_config() -> dict[str, Any]:
    """Return ``preprocess_cfg`` of an open_clip folder."""
    return {
        "mean": list(MEAN),
        "std": list(DEVIATION),
        "interpolation": "bicubic",
        "resize_mode": "shortest",
    }


def make_model(config: dict[str, Any]) -> Any:
    """Return a fresh open_clip model of a ``model_cfg``, with random weights."""
    from open_clip.model import CustomTextCLIP

    return CustomTextCLIP(
        embed_dim=config["embed_dim"], vision_cfg=config["vision_cfg"], text_cfg=config["text_cfg"]
    )
