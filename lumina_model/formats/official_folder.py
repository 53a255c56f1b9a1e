"""The official layout: `consolidated.00-of-01.*`, `consolidated_ema.00-of-01.*` and `model_args.pth`.

What the official `train.py` writes and its `sample.py` reads: flat tensors under the official names, and the
pickled arguments of the training, of which `model` names the factory, and the factory the config.
"""

import os
from argparse import Namespace
from collections.abc import Callable, Mapping
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lumina_model.errors import UserError
from lumina_model.formats.pickles import read_namespace, read_tensors
from lumina_model.formats.shapes import PATCH_SIZE
from lumina_model.formats.stored import Stored, Weights, shapes_of, under_our_names
from lumina_model.next_dit import CONFIGS, NextDiT, NextDiTConfig
from lumina_model.official_names import FACTORIES, OFFICIAL_CLUE, OFFICIAL_QK_NORM_EPS, to_official
from lumina_model.weights import open_safetensors

FORMAT = "official"
ARGUMENTS = "model_args.pth"
STEMS: dict[Weights, str] = {"ema": "consolidated_ema", "raw": "consolidated"}
SUFFIXES = (".safetensors", ".pth")

# For configs that no official factory has: our own attributes of the Namespace.
OWN_MODEL, OWN_CONFIG = "lumina_model.NextDiT", "next_dit_config"


def is_official_folder(path: Path) -> bool:
    """Whether any file of the layout is there, so that a missing one is told by its name."""
    return (path / ARGUMENTS).is_file() or any(
        file.suffix in SUFFIXES for stem in STEMS.values() for file in path.glob(f"{stem}.*")
    )


def read_official(path: Path, weights: Weights = "ema") -> Stored:
    """Config and tensors of an official folder.

    The factory's config gets the qk-norm eps of the official code, and the caption and latent widths of the
    tensors: the official code takes these two from the text encoder and the autoencoder. A config that we
    stored is taken as it is.

    Raises:
        UserError: a file is missing or broken, or the model is of a kind that is not supported.
    """
    arguments = read_namespace(path / ARGUMENTS)
    _check(arguments, path / ARGUMENTS)
    file = _weights_file(path, weights)
    tensors = _READERS[file.suffix](file)
    if OFFICIAL_CLUE not in tensors:
        raise UserError(
            f"expected the official tensor names, found no {OFFICIAL_CLUE}, in {file}; "
            "fix: restore the file that the official code wrote"
        )
    config = _config(arguments, shapes_of(tensors), path / ARGUMENTS)
    renamed = under_our_names(tensors, config, str(file))
    return Stored(FORMAT, config, renamed, str(file), (path / ARGUMENTS, file))


def write_official(model: NextDiT, folder: str | os.PathLike[str]) -> None:
    """Write an official folder: `consolidated.00-of-01.pth`, which the official loader takes, and arguments.

    Every tensor keeps its dtype and bytes. The official `norm_final`, which nothing reads and we do not keep,
    is ones. A factory's model gets the official qk-norm eps when it is read again, since it is what the
    official code has; a config that is none of the factories' is stored whole.

    Args:
        model: on any device.
        folder: made if needed; each file is replaced whole or not at all.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    state = {name: tensor.detach().cpu() for name, tensor in model.state_dict().items()}
    official = {name: _alone(tensor) for name, tensor in to_official(state, model.config).items()}
    _save(official, folder / f"{STEMS['raw']}.00-of-01.pth")
    arguments = Namespace(model=OWN_MODEL, qk_norm=True, model_parallel_size=1)
    factory = _factory(model.config)
    if factory is None:
        setattr(arguments, OWN_CONFIG, asdict(model.config))
    else:
        arguments.model = factory
    _save(arguments, folder / ARGUMENTS)


def _check(arguments: Namespace, where: Path) -> None:
    """Refuse what the official code can train and this implementation does not have."""
    known = {*FACTORIES.values(), OWN_MODEL}
    found = getattr(arguments, "model", None)
    if found not in known:
        raise UserError(
            f"expected a model out of {', '.join(sorted(known))}, found {found!r}, in {where}; "
            "fix: give a Lumina-Image 2.0 checkpoint"
        )
    if getattr(arguments, "qk_norm", None) is not True:
        raise UserError(
            f"expected qk_norm True, found {getattr(arguments, 'qk_norm', None)!r}, in {where}; "
            "fix: models without normalised queries and keys are not supported"
        )
    parallel = getattr(arguments, "model_parallel_size", 1)
    if parallel != 1:
        raise UserError(
            f"expected model_parallel_size 1, found {parallel!r}, in {where}; "
            "fix: merge the parts with the official code first"
        )


def _weights_file(folder: Path, weights: Weights) -> Path:
    """The file of the wanted weights: EMA if there, else the only ones; raw ones for "raw" alone."""
    stems = (STEMS["ema"], STEMS["raw"]) if weights == "ema" else (STEMS["raw"],)
    for stem in stems:
        names = [f"{stem}.00-of-01{suffix}" for suffix in SUFFIXES]
        for file in (folder / name for name in names):
            if file.is_file():
                return file
        parts = sorted(file.name for file in folder.glob(f"{stem}.*-of-*") if file.suffix in SUFFIXES)
        if parts:
            raise UserError(
                f"expected the one file {' or '.join(names)}, found {', '.join(parts)}, in {folder}; "
                "fix: merge the parts of model parallelism with the official code first"
            )
    wanted = " or ".join(f"{stem}.00-of-01.{{safetensors,pth}}" for stem in stems)
    found = ", ".join(sorted(file.name for file in folder.iterdir())) or "none"
    raise UserError(
        f"expected the file {wanted}, found {found}, in {folder}; "
        f"fix: restore it{', or take the EMA weights' if weights == 'raw' else ''}"
    )


def _read_safetensors(file: Path) -> dict[str, Tensor]:
    handle = open_safetensors(file)
    return {name: handle.get_tensor(name) for name in handle.keys()}  # noqa: SIM118 (not a mapping)


_READERS: dict[str, Callable[[Path], dict[str, Tensor]]] = {
    ".safetensors": _read_safetensors,
    ".pth": read_tensors,
}


def _config(arguments: Namespace, shapes: Mapping[str, tuple[int, ...]], where: Path) -> NextDiTConfig:
    if arguments.model == OWN_MODEL:
        return _own_config(getattr(arguments, OWN_CONFIG, None), where)
    size = next(size for size, factory in FACTORIES.items() if factory == arguments.model)
    config = replace(CONFIGS[size], qk_norm_eps=OFFICIAL_QK_NORM_EPS)
    pixels, features = shapes.get("x_embedder.weight", ()), shapes[OFFICIAL_CLUE]
    if len(pixels) == 2 and pixels[1] % PATCH_SIZE**2 == 0:
        config = replace(config, in_channels=pixels[1] // PATCH_SIZE**2)
    return replace(config, cap_feat_dim=features[0]) if len(features) == 1 else config


def _own_config(record: Any, where: Path) -> NextDiTConfig:
    names = {field.name for field in fields(NextDiTConfig)}
    if not isinstance(record, dict) or set(record) != names:
        found = ", ".join(sorted(map(str, record))) if isinstance(record, dict) else repr(record)
        raise UserError(
            f"expected {OWN_CONFIG} with {', '.join(sorted(names))}, found {found}, in {where}; "
            "fix: restore the file"
        )
    try:
        return NextDiTConfig(**record)
    except (TypeError, ValueError) as error:
        raise UserError(
            f"expected the config of a transformer, found {error}, in {where}; fix: restore the file"
        ) from error


def _factory(config: NextDiTConfig) -> str | None:
    """The official factory of a config; what the official code takes from elsewhere may differ."""
    for size, factory in FACTORIES.items():
        known = CONFIGS[size]
        elsewhere = replace(config, cap_feat_dim=known.cap_feat_dim, in_channels=known.in_channels)
        if replace(elsewhere, qk_norm_eps=known.qk_norm_eps) == known:
            return factory
    return None


def _alone(tensor: Tensor) -> Tensor:
    """The tensor with a storage of its own: torch.save writes a tensor's storage whole."""
    whole = tensor.is_contiguous() and tensor.untyped_storage().nbytes() == tensor.nbytes
    return tensor if whole else tensor.contiguous().clone()


def _save(value: Any, path: Path) -> None:
    partial = path.with_name(path.name + ".partial")
    torch.save(value, partial)
    os.replace(partial, path)
