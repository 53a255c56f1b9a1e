"""What is known of a run's checkpoint: its size and shape, and how its stage was trained.

The transformer's configuration and ``checkpoint.json`` lie beside the weights, as the trainer or diffusers
wrote them. A folder that is not here, or holds another step by now, tells nothing; its cells are em dashes.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from importlib import resources
from pathlib import Path
from typing import Any, Final

from reports.loading import RunView
from reports.table import Cell

#: The checkpoints that come with the project: data of package ``lumina_model``, no code of it.
EMBEDDED: Final = "embedded:"
#: The class of diffusers whose norms and positions are those of Lumina-Image 2.0.
LUMINA2: Final = "Lumina2Transformer2DModel"

_MAGNITUDES: Final = ((1e9, "B"), (1e6, "M"), (1e3, "K"))


def facts(run: RunView) -> dict[str, Cell]:
    """Return what is known of a run's checkpoint, by the names that ``fact`` of a published column has."""
    folder = checkpoint_folder(run)
    config = _json(folder / "transformer" / "config.json") if folder else {}
    recipe = _get(_json(folder / "checkpoint.json"), "recipe", {}) if folder else {}
    step = run.result.step
    found = {
        "name": Cell(run.title, note=run.manifest.checkpoint),
        "stage": Cell(run.title, note=run.manifest.checkpoint),
        "kilosteps": Cell() if step is None else Cell(f"{step / 1000:g}", step / 1000),
        "parameters": _parameters(folder) if folder else Cell(),
    }
    return found | _shape(config) | _training(recipe if isinstance(recipe, dict) else {})


def checkpoint_folder(run: RunView) -> Path | None:
    """Return the folder with ``transformer/`` of a run's checkpoint; None if it is not here as it was."""
    name = run.manifest.checkpoint or ""
    if name.startswith(EMBEDDED):
        folder = (
            Path(str(resources.files("lumina_model"))) / "embedded" / "stages" / name.removeprefix(EMBEDDED)
        )
    else:
        folder = Path(name)
    if not name or not (folder / "transformer" / "config.json").is_file():
        return None
    step = _json(folder / "checkpoint.json").get("step")
    return folder if step is None or run.manifest.step in (None, step) else None


def magnitude(number: float) -> str:
    """Write a count of parameters or images as papers do.

    >>> magnitude(2_609_771_456), magnitude(48_000)
    ('2.6B', '48K')
    """
    for size, letter in _MAGNITUDES:
        if number >= size:
            return f"{number / size:.1f}".removesuffix(".0") + letter
    return f"{number:g}"


def amount(text: str) -> float | None:
    """Read a count as papers write it, ``2.6B`` or ``2e-4``; None for what is no number.

    >>> amount("732M"), amount("2e-4"), amount("256x256")
    (732000000.0, 0.0002, None)
    """
    sizes = {letter: size for size, letter in _MAGNITUDES}
    factor = sizes.get(text[-1:], 1.0)
    try:
        return float(text[:-1] if text[-1:] in sizes else text) * factor
    except ValueError:
        return None


def _shape(config: Mapping[str, Any]) -> dict[str, Cell]:
    names = {
        "patch_size": "patch_size",
        "dimension": "hidden_size",
        "heads": "num_attention_heads",
        "kv_heads": "num_kv_heads",
        "layers": "num_layers",
    }
    known = config.get("_class_name") == LUMINA2
    shape = {fact: _number(config, key, lambda value: f"{value:g}") for fact, key in names.items()}
    return shape | {"norm": Cell("yes" if known else None), "positions": Cell("M-RoPE" if known else None)}


def _training(recipe: Mapping[str, Any]) -> dict[str, Cell]:
    loop = _get(recipe, "loop", {})
    size = _get(recipe, "size", 0)
    muon = bool(_get(loop, "matrix_lr", 0.0))
    optimizer = ("AdamW, Muon" if muon else "AdamW") if loop else None
    rate = _number(loop, "lr", lambda value: f"{value:g}")
    steps = _get(loop, "steps", 0)
    return {
        "resolution": Cell(f"{size}x{size}") if size else Cell(),
        "images": _number(recipe, "examples", magnitude) if _get(recipe, "examples", 0) else Cell(),
        "stage_kilosteps": Cell(f"{steps / 1000:g}", steps / 1000) if steps else Cell(),
        "batch": _number(recipe, "batch", lambda value: f"{value:g}"),
        "learning_rate": rate,
        "gpu_days": Cell(note="not recorded"),
        "optimizer": Cell(optimizer),
    }


def _parameters(folder: Path) -> Cell:
    """Count the elements of all tensors of the transformer, from the heads of its safetensors files."""
    files = sorted((folder / "transformer").glob("*.safetensors"))
    try:
        total = sum(_elements(file) for file in files)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return Cell(note="the weights cannot be read")
    return Cell(magnitude(total), total, note=f"{total:,} parameters of the transformer") if total else Cell()


def _elements(file: Path) -> int:
    with file.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        if length > file.stat().st_size:
            raise ValueError("no safetensors file")
        head = json.loads(stream.read(length))
    return sum(math.prod(tensor["shape"]) for name, tensor in head.items() if name != "__metadata__")


def _number(values: Mapping[str, Any], key: str, write: Callable[[float], str]) -> Cell:
    found = values.get(key)
    if isinstance(found, bool) or not isinstance(found, int | float):
        return Cell()
    return Cell(write(found), found)


def _get(values: Mapping[str, Any], key: str, default: Any) -> Any:
    """Return a value of the default's type, else the default: files of others may hold anything."""
    found = values.get(key, default)
    kinds = (int, float) if isinstance(default, int | float) else (type(default),)
    return found if isinstance(found, kinds) else default


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
