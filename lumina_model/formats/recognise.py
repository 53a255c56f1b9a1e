"""Which format a path is, by the names of its files alone; the format's reader then looks inside."""

from collections.abc import Callable
from pathlib import Path

from lumina_model.errors import UserError
from lumina_model.formats import diffusers_folder, official_folder, single_file
from lumina_model.formats.stored import Stored, Weights

DISTRIBUTED = "distributed"


def _read_distributed(path: Path, weights: Weights) -> Stored:
    # Imported when it is needed: it takes as long as torch itself.
    from lumina_model.formats.distributed import read_distributed

    return read_distributed(path, weights)


READERS: dict[str, Callable[[Path, Weights], Stored]] = {
    diffusers_folder.FORMAT: diffusers_folder.read_diffusers,
    official_folder.FORMAT: official_folder.read_official,
    DISTRIBUTED: _read_distributed,
    single_file.FORMAT: single_file.read_single_file,
}


def recognise(path: Path) -> str:
    """The format of a file or folder: a key of `READERS`.

    A folder with a diffusers `transformer/` is read as that, whatever else lies in it: it has the config.

    Raises:
        UserError: there is nothing, or nothing that is known.
    """
    if path.is_file():
        if path.suffix == ".safetensors":
            return single_file.FORMAT
        raise UserError(
            f"expected a folder or a .safetensors file, found the file {path}; "
            "fix: give the folder of an official (.pth, with model_args.pth) or distributed checkpoint"
        )
    if not path.is_dir():
        raise UserError(f"expected a checkpoint, found nothing, at {path}; fix: check the path")
    if (path / "transformer").is_dir():
        return diffusers_folder.FORMAT
    if (path / ".metadata").is_file() or any(path.glob("__*.distcp")):
        return DISTRIBUTED
    if official_folder.is_official_folder(path):
        return official_folder.FORMAT
    if (path / diffusers_folder.CONFIG).is_file() or any(path.glob("diffusion_pytorch_model*")):
        return diffusers_folder.FORMAT
    raise UserError(
        "expected transformer/ or config.json (diffusers), model_args.pth (official) or .metadata "
        f"(distributed), found {_first_names(path)}, in {path}; "
        "fix: give the folder of a transformer, a .safetensors file, or DIR/stages/NAME of a training run"
    )


def _first_names(folder: Path, most: int = 5) -> str:
    names = sorted(file.name for file in folder.iterdir())
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "") or "none"
