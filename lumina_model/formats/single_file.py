"""One safetensors file: of diffusers or official names, alone or among the parts of an all-in-one file.

ComfyUI's all-in-one files put `model.diffusion_model.` before the transformer's names, others only
`diffusion_model.`; the text encoder and the autoencoder in the same file are left alone.
"""

from pathlib import Path

from lumina_model.formats.stored import Stored, Weights, choose_prefix, config_of, under_our_names
from lumina_model.weights import open_safetensors

FORMAT = "single file"


def read_single_file(path: Path, weights: Weights = "ema") -> Stored:
    """Config, inferred from the shapes, and tensors of one file."""
    where = str(path)
    handle = open_safetensors(path)
    names = dict.fromkeys(handle.keys())
    prefix = choose_prefix(names, weights, where)
    tensors = {name[len(prefix) :]: handle.get_tensor(name) for name in names if name.startswith(prefix)}
    config = config_of({name: tuple(tensor.shape) for name, tensor in tensors.items()}, where)
    return Stored(FORMAT, config, under_our_names(tensors, config, where), where, (path,))
