"""Transformers in every form that they are found in; one format per file.

    diffusers folder ──┐
    official folder ───┤
    single file ───────┼─▶ Stored (config, tensors under our names) ─▶ NextDiT ─▶ diffusers or official folder
    distributed folder ┘                                                 ▲
                                                                     LoRA files

`recognise.py` tells which one a path is, `official_names.py` above has the names. Whatever is read is data:
no pickle is executed.
"""

from lumina_model.formats.load import load_pipeline, load_transformer, read_stored
from lumina_model.formats.lora import apply_lora
from lumina_model.formats.official_folder import write_official
from lumina_model.formats.recognise import recognise
from lumina_model.formats.stored import Stored, Weights

__all__ = [
    "Stored",
    "Weights",
    "apply_lora",
    "load_pipeline",
    "load_transformer",
    "read_stored",
    "recognise",
    "write_official",
]
