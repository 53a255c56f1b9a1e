"""What every reader gives: a transformer's config and tensors, under our names, as they were stored."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from lumina_model.errors import UserError
from lumina_model.formats.shapes import infer_config
from lumina_model.next_dit import NextDiT, NextDiTConfig
from lumina_model.official_names import (
    OFFICIAL_CLUE,
    OFFICIAL_QK_NORM_EPS,
    UNUSED,
    from_official,
    to_official,
)
from lumina_model.weights import Shapes, check_names, load_checked

Weights = Literal["ema", "raw"]
"""Which weights, where a checkpoint has both: the averaged ones, or those that the optimiser moved."""

SAMPLE_SIZE = (
    128  # latent side that diffusers takes as default image size; only its config.json knows another
)


@dataclass(frozen=True)
class Stored:
    """A transformer on disk.

    `format` is for people; `files` are those that were read; `where` goes into messages. `sample_size` is
    diffusers' default image side in latents.
    """

    format: str
    config: NextDiTConfig
    tensors: Mapping[str, Tensor]
    where: str
    files: tuple[Path, ...]
    sample_size: int = SAMPLE_SIZE

    def module(self, dtype: torch.dtype | None = None) -> NextDiT:
        """The transformer on the CPU, in `dtype` or as stored, for inference.

        Raises:
            UserError: the tensors are not those of the config, or have NaN or infinite values.
        """
        model = empty(self.config)
        load_checked(model, dict(self.tensors), self.where, dtype, assign=True)
        return model.eval()


def empty(config: NextDiTConfig) -> NextDiT:
    """A transformer of shapes alone, on the meta device."""
    with torch.device("meta"):
        return NextDiT(config)


def shapes_of(tensors: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    """Name -> shape."""
    return {name: tuple(tensor.shape) for name, tensor in tensors.items()}


def is_official(names: Mapping[str, object]) -> bool:
    """True for the official names, False for those of diffusers."""
    return OFFICIAL_CLUE in names


def config_of(shapes: Shapes, where: str) -> NextDiTConfig:
    """The config that the shapes show; the names tell whose qk-norm eps it has."""
    config = infer_config(shapes, where)
    return replace(config, qk_norm_eps=OFFICIAL_QK_NORM_EPS) if is_official(shapes) else config


def under_our_names(tensors: Mapping[str, Tensor], config: NextDiTConfig, where: str) -> dict[str, Tensor]:
    """Tensors of either naming under ours; official ones are checked first, so that messages name them.

    Raises:
        UserError: official tensors are missing, unexpected or of another shape.
    """
    if not is_official(tensors):
        return dict(tensors)
    expected = shapes_of(to_official(empty(config).state_dict(), config))
    if UNUSED not in tensors:  # nothing reads it, and some converters leave it out
        del expected[UNUSED]
    check_names(expected, shapes_of(tensors), where)
    return from_official(tensors, config)


def choose_prefix(names: Mapping[str, object], weights: Weights, where: str) -> str:
    """The beginning that the names of the wanted transformer have, e.g. `model.` or `ema.`, or none.

    It is what stands before `x_embedder.weight`, which both namings have; so other parts of a file (an
    autoencoder, an optimiser's state) do not matter. Where there is one transformer only, "ema", which is
    the default everywhere, takes it; "raw" does not take weights that call themselves averaged.

    Raises:
        UserError: there is no transformer, not the wanted one, or several.
    """
    clue = "x_embedder.weight"
    found = [name.removesuffix(clue) for name in names if name.endswith(clue)]
    found = sorted(prefix for prefix in found if not prefix or prefix.endswith("."))
    averaged = [prefix for prefix in found if "ema" in prefix.replace("_", ".").split(".")]
    plain = [prefix for prefix in found if prefix not in averaged]
    wanted = averaged or plain if weights == "ema" else plain
    usual = [
        prefix for prefix in wanted if prefix in ("ema.", "model.")
    ]  # beside e.g. an optimiser's moments
    wanted = usual or wanted
    if len(wanted) != 1:
        told = ", ".join(prefix + clue for prefix in (wanted or found)) or "none"
        raise UserError(
            f"expected one Lumina transformer with {weights} weights (a tensor …{clue}), found {told}, "
            f"in {where}; fix: {'take the other weights (ema or raw)' if found else 'check the path'}"
        )
    return wanted[0]
