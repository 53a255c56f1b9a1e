"""OpenAI's own CLIP files: which fetched asset an official name stands for, and how such a file is loaded.

open_clip would take a copy of these weights from a hub, whichever is newest there.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from lumina_eval.assets.catalogue import locate

#: ``NAME/TAG`` of open_clip, and the asset with the file that OpenAI published.
ASSETS: Final = {
    "ViT-L-14-quickgelu/openai": "clip-vit-l-14",
    "ViT-L-14-336-quickgelu/openai": "clip-vit-l-14-336",
    "ViT-B-32-quickgelu/openai": "clip-vit-b-32",
}


def clip_source(model: str) -> Path | None:
    """Return the folder or file of ``model``; None for ``NAME/TAG`` that open_clip itself has to get.

    Raises UserError, with the command that fetches it, for an official name whose file is not there.
    """
    path = Path(model)
    if path.exists():
        return path
    return locate(ASSETS[model]) if model in ASSETS else None


def load_openai(file: Path, device: str) -> tuple[Any, Any, Any]:
    """Return model in float32, image transform and tokenizer of a file in OpenAI's form.

    Activation (QuickGELU), sizes and normalisation are OpenAI's. Raises whatever open_clip raises.
    """
    import open_clip

    model = open_clip.load_openai_model(str(file), precision="fp32", device=device)
    preprocess = open_clip.image_transform(
        model.visual.image_size,
        is_train=False,
        mean=model.visual.image_mean,
        std=model.visual.image_std,
    )
    return model, preprocess, open_clip.SimpleTokenizer(context_length=model.context_length)
