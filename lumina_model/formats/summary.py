"""What a checkpoint or a size is, as one JSON object and as tables for people. Unknown is null."""

import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

from rich.console import Console
from rich.table import Table

from lumina_model import checkpoint_record
from lumina_model.checkpoint import COMPONENTS, component_digests
from lumina_model.digests import tensors_digest
from lumina_model.formats.hub import local_transformer
from lumina_model.formats.load import read_stored
from lumina_model.formats.sizes import beside_lumina_next, config_of_size, counts
from lumina_model.formats.stored import Weights
from lumina_model.next_dit import CONFIGS
from lumina_model.weights import Parts, component_folder, iterate_tensors

SCHEMA = 1


def describe_size(size: str) -> dict[str, Any]:
    """An official size, computed on the meta device."""
    config = config_of_size(size)
    return {"schema": SCHEMA, "size": size.lower()} | counts(config) | {"config": asdict(config)}


def compare(size: str | None = None) -> dict[str, Any]:
    """All sizes, or one, beside Lumina-Next."""
    names = [name for name in CONFIGS if size is None or CONFIGS[name] is config_of_size(size)]
    return {"schema": SCHEMA, "compare": beside_lumina_next(names)}


def describe(source: str | os.PathLike[str] | Parts, name: str, weights: str = "ema") -> dict[str, Any]:
    """A checkpoint, read whole and checked.

    `digest` is over the transformer's tensors under our names, so it is the same in every format, as long as
    the dtype is. `components` is there for whole pipelines: their digests are those that image keys are made
    of, which count the config too.

    Args:
        source: any path that `load_transformer` takes, or the folders of a pipeline's parts.
        name: of the model, for people.
        weights: ema or raw.
    """
    if isinstance(source, Mapping):
        path, parts = component_folder(source, "transformer"), source
    else:
        path = local_transformer(source)
        whole = all((path / component).is_dir() for component in COMPONENTS)
        parts = {component: path / component for component in COMPONENTS} if whole else {}
    stored = read_stored(path, cast(Weights, weights))
    stored.module()  # whatever is wrong with the tensors is told now
    record = _record(path)
    dtypes = sorted({str(tensor.dtype).removeprefix("torch.") for tensor in stored.tensors.values()})
    return {
        "schema": SCHEMA,
        "model": name,
        "format": stored.format,
        "stage": record.get("stage"),
        "step": record.get("step"),
        **counts(stored.config),
        "bytes": sum(file.stat().st_size for file in stored.files),
        "dtypes": dtypes,
        "digest": tensors_digest(sorted(stored.tensors.items())),
        "files": [str(file) for file in stored.files],
        "config": asdict(stored.config),
        "components": _components(parts),
    }


def show(record: dict[str, Any], console: Console) -> None:
    """Print what one of the functions above made."""
    if "compare" in record:
        console.print(_comparison(record["compare"]))
        return
    parts = Table("part", "parameters", title=f"{record.get('model', record.get('size'))}")
    parts.columns[1].justify = "right"
    for name, count in record["parameters_by_part"].items():
        parts.add_row(name + (" (unused)" if name == "norm_final" else ""), f"{count:,}")
    parts.add_section()
    parts.add_row("parameters", f"{record['parameters']:,}")
    parts.add_row("parameters_diffusers", f"{record['parameters_diffusers']:,}")
    console.print(parts)
    for key in ("format", "stage", "step", "dtypes", "bytes", "digest", "files"):
        if record.get(key) is not None:
            value = record[key]
            text = ", ".join(value) if isinstance(value, list) else value
            console.print(f"{key}: {text}", soft_wrap=True)
    if record.get("components"):
        table = Table("component", "parameters", "MiB", "sha256")
        for name, part in record["components"].items():
            count = f"{part['parameters']:,}" if part["parameters"] else "—"
            table.add_row(name, count, f"{part['bytes'] / 2**20:.2f}", (part["digest"] or "—")[:16])
        console.print(table)


def _record(path: Path) -> dict[str, Any]:
    """The `checkpoint.json` of a folder, or of the folder around a transformer; empty if there is none."""
    around = (path, path.parent) if path.name == "transformer" else (path,)
    for folder in around:
        if (folder / checkpoint_record.FILE).is_file():
            return checkpoint_record.read_checkpoint_record(folder)
    return {}


def _components(parts: Parts) -> dict[str, dict[str, Any]]:
    digests = component_digests(parts) if parts else {}
    components = {}
    for name, place in parts.items():
        folder = Path(place)
        weights = any(folder.glob("*.safetensors*"))
        components[name] = {
            "parameters": sum(tensor.numel() for _, tensor in iterate_tensors(folder)) if weights else None,
            "bytes": sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()),
            "digest": digests.get(name),
        }
    return components


def _comparison(rows: list[dict[str, Any]]) -> Table:
    """One column per model, headed by the last word of its name, so that all fit in 80 characters."""
    table = Table(box=None)
    table.add_column(no_wrap=True)
    for row in rows:
        table.add_column(row["model"].split()[-1], overflow="fold")
    for key in (key for key in rows[0] if key != "model"):
        values = [row[key] for row in rows]
        table.add_row(key, *(f"{v / 1e9:.1f}B" if key == "parameters" else str(v) for v in values))
    return table
