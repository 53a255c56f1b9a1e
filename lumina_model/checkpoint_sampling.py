"""The sampling that a checkpoint is drawn with where nothing else is said."""

import os
from dataclasses import replace

import torch

from lumina_model.autoencoder import autoencoder_factor
from lumina_model.checkpoint import Parts, component_folder, read_schedule
from lumina_model.checkpoint_record import FILE, read_checkpoint_record
from lumina_model.errors import UserError
from lumina_model.sampling import DTYPES, Sampling
from lumina_model.weights import read_json


def default_sampling(source: str | os.PathLike[str] | Parts, dtype: torch.dtype = torch.float32) -> Sampling:
    """The sampling of a checkpoint: its own size and shift, the rest official. Reads configs, no weights.

    What `checkpoint.json` beside the transformer says of the sampling comes before all else.
    """
    levels = read_json(component_folder(source, "vae") / "config.json").get("block_out_channels", [64])
    transformer = component_folder(source, "transformer")
    side = read_json(transformer / "config.json").get("sample_size", 128)
    sampling = Sampling(
        height=side * autoencoder_factor(levels),
        width=side * autoencoder_factor(levels),
        dtype=next(name for name, value in DTYPES.items() if value == dtype),
        **read_schedule(component_folder(source, "scheduler")),
    )
    if not (transformer.parent / FILE).is_file():
        return sampling
    own = read_checkpoint_record(transformer.parent).get("sampling", {})
    try:
        return replace(sampling, **own)
    except TypeError as error:
        raise UserError(
            f"expected fields of Sampling, found {', '.join(own)}, in the sampling of "
            f"{transformer.parent / FILE}; fix: restore the file that the trainer wrote"
        ) from error
