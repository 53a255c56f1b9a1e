"""The diffusers layout: a pipeline folder with `transformer/`, or the transformer's folder itself."""

from pathlib import Path

from lumina_model.checkpoint import read_transformer_config
from lumina_model.formats.stored import SAMPLE_SIZE, Stored, Weights
from lumina_model.weights import iterate_tensors, read_json, weight_files

FORMAT = "diffusers"
CONFIG = "config.json"


def transformer_folder(path: Path) -> Path:
    """The transformer's own folder, given that or the pipeline's."""
    return path / "transformer" if (path / "transformer").is_dir() else path


def read_diffusers(path: Path, _weights: Weights = "ema") -> Stored:
    """Config and tensors of a diffusers folder, which holds one set of weights."""
    folder = transformer_folder(path)
    config = read_transformer_config(folder)
    size = read_json(folder / CONFIG).get("sample_size")
    return Stored(
        format=FORMAT,
        config=config,
        tensors=dict(iterate_tensors(folder)),
        where=str(folder),
        files=(folder / CONFIG, *weight_files(folder)),
        sample_size=size if isinstance(size, int) else SAMPLE_SIZE,
    )
