"""How many parameters a config has, part by part, and the sizes beside that of Lumina-Next."""

import difflib
from typing import Any

from lumina_model.errors import UserError
from lumina_model.formats.stored import empty
from lumina_model.next_dit import CONFIGS, NextDiTConfig
from lumina_model.official_names import to_official

# Lumina-Next, the model that Lumina-Image 2.0 is measured against: arXiv 2503.21758, Table 2.
LUMINA_NEXT: dict[str, Any] = {
    "model": "Lumina-Next",
    "parameters": 1_700_000_000,
    "patch_size": 2,
    "hidden_size": 2304,
    "heads": 16,
    "kv_heads": 8,
    "layers": 24,
    "positions": "2D-RoPE",
    "text": "zero-init gated cross-attention",
    "text_encoder": "Gemma-2B",
    "autoencoder": "SDXL VAE",
}

# In the order of the data.
PARTS = (
    *("x_embedder", "noise_refiner", "context_refiner", "t_embedder", "cap_embedder"),
    *("layers", "norm_final", "final_layer"),
)


def config_of_size(size: str) -> NextDiTConfig:
    """The official config of a size, in upper or lower case.

    Raises:
        UserError: there is no such size.
    """
    known = {name.lower(): config for name, config in CONFIGS.items()}
    if size.lower() not in known:
        near = difflib.get_close_matches(size.lower(), known, n=2, cutoff=0.5)
        raise UserError(
            f"expected a size out of {', '.join(known)}, found {size!r}; "
            f"fix: take {' or '.join(near or known)}"
        )
    return known[size.lower()]


def parameters_by_part(config: NextDiTConfig) -> dict[str, int]:
    """Part of the official checkpoint -> parameters, with the `norm_final` that nothing reads.

    Counted on the meta device: no memory is taken.
    """
    counts = dict.fromkeys(PARTS, 0)
    for name, tensor in to_official(empty(config).state_dict(), config).items():
        counts[name.split(".")[0]] += tensor.numel()
    return counts


def counts(config: NextDiTConfig) -> dict[str, Any]:
    """Parameters in the official form, by its parts, and as diffusers and we hold them (no `norm_final`)."""
    parts = parameters_by_part(config)
    total = sum(parts.values())
    return {
        "parameters": total,
        "parameters_diffusers": total - parts["norm_final"],
        "parameters_by_part": parts,
    }


def beside_lumina_next(sizes: list[str]) -> list[dict[str, Any]]:
    """Lumina-Next, then the sizes; every row has the same keys."""
    return [LUMINA_NEXT, *(_row(size) for size in sizes)]


def _row(size: str) -> dict[str, Any]:
    config = config_of_size(size)
    return {
        "model": f"Lumina-Image 2.0 {size}",
        "parameters": sum(parameters_by_part(config).values()),
        "patch_size": config.patch_size,
        "hidden_size": config.hidden_size,
        "heads": config.num_attention_heads,
        "kv_heads": config.num_kv_heads,
        "layers": config.num_layers,
        "positions": "3D mRoPE",
        "text": "in one sequence",
        "text_encoder": "Gemma-2-2B",
        "autoencoder": "FLUX.1-dev VAE",
    }
