"""From a trained model to a folder in open_clip's form, in half precision."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from benchmarks.tabletop.extractor.architecture import model_config, picture_config
from benchmarks.tabletop.extractor.tokenizer import make_tokenizer
from benchmarks.tabletop.extractor.weights import write_checksums
from lumina_eval.files import make_folder, write_atomic


def write_bundle(model: Any, folder: Path) -> None:
    """Write weights (float16), configuration, tokenizer and checksums, as ``local-dir:`` has it."""
    import torch
    from safetensors.torch import save

    make_folder(folder)
    config = {"model_cfg": model_config(), "preprocess_cfg": picture_config()}
    write_atomic(folder / "open_clip_config.json", f"{json.dumps(config, indent=2)}\n".encode())
    weights = {
        name: (value.half() if value.dtype == torch.float32 else value).contiguous()
        for name, value in model.state_dict().items()
    }
    write_atomic(folder / "open_clip_model.safetensors", save(weights))
    make_tokenizer().save_pretrained(folder)
    write_checksums(folder)
