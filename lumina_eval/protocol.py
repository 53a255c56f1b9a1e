"""Protocols: pinned variants of a benchmark as TOML files, with ``extends`` and ``--set``.

A file that extends another one, and ``--set``, may change only values that are there: a misspelt key is an
error that names file, line and the near keys. The core reads ``title``, ``description``, ``extends``,
``images_per_prompt``, ``base_seed`` and ``[suites.NAME]``; everything else belongs to the benchmark.
"""

from __future__ import annotations

import copy
import dataclasses
import json
import re
import tomllib
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from lumina_eval.digests import digest_of
from lumina_eval.errors import UserError, nearest, unknown

#: Keys that the core reads, with the type it expects.
CORE_KEYS: Final[dict[str, type]] = {
    "schema": int,
    "title": str,
    "description": str,
    "extends": str,
    "images_per_prompt": int,
    "base_seed": int,
    "suites": dict,
}
SUITES: Final = ("quick", "standard", "paper")
SUITE_KEYS: Final = ("prompts_per_task", "images_per_prompt")
#: Keys that tell people something and change no score.
SILENT_KEYS: Final = ("schema", "title", "description", "extends", "suites")
#: Keys that say where and how a judge runs, and how a folder of images is cut. What the judge is, its own
#: digest says, and how an image was cut, that image's: both are part of every verdict. The place of weights
#: is not among them, also where the pinned ones lie there: nobody knows that before they are read.
RUNNING_KEYS: Final = frozenset(
    (
        *(f"judge.{key}" for key in ("device", "batch_size", "concurrency", "timeout", "cache", "url")),
        "images.side",
    )
)
DEFAULT_IMAGES_PER_PROMPT: Final = 4
#: What ``quick`` means to a protocol that does not say.
DEFAULT_QUICK_PROMPTS: Final = 5


@dataclasses.dataclass(frozen=True)
class Suite:
    """How much of a protocol: prompts per task (None: all) and images per prompt."""

    name: str
    prompts_per_task: int | None
    images_per_prompt: int


@dataclasses.dataclass(frozen=True)
class ResolvedProtocol:
    """A protocol with ``extends`` and ``--set`` worked in; plain JSON values."""

    name: str
    values: Mapping[str, Any]
    changed: tuple[str, ...] = ()
    """Values changed by ``--set``, as ``key=value`` with a JSON value; none of :data:`RUNNING_KEYS`."""

    @property
    def digest(self) -> str:
        """Sha256 of every value that can change a score."""
        return digest_of(
            _without(RUNNING_KEYS, {k: v for k, v in self.values.items() if k not in SILENT_KEYS})
        )

    @property
    def title(self) -> str:
        """Name for people."""
        return str(self.values.get("title", self.name))

    @property
    def base_seed(self) -> int:
        """The seed that the seeds of all images come from; 0 is a seed like any other."""
        return int(self.values.get("base_seed", 0))

    def value(self, key: str, default: Any = None) -> Any:
        """Return the value at a dotted key such as ``"rules.threshold"``, or ``default``."""
        return _at(self.values, key, default)

    def suite(self, name: str) -> Suite:
        """Return the suite called ``name``; all protocols have ``quick``, ``standard`` and ``paper``."""
        own: Mapping[str, Any] = self.values.get("suites", {})
        if name not in {*own, *SUITES}:
            raise unknown("suite", name, {*own, *SUITES})
        table = own.get(name, {"prompts_per_task": DEFAULT_QUICK_PROMPTS} if name == "quick" else {})
        images = table.get(
            "images_per_prompt", self.values.get("images_per_prompt", DEFAULT_IMAGES_PER_PROMPT)
        )
        if images < 1:
            raise UserError(
                f"expected at least 1 for images_per_prompt, found {images}, in protocol {self.name}; "
                "fix: ask for one image or more"
            )
        return Suite(name, table.get("prompts_per_task"), int(images))


def resolve(
    name: str,
    files: Mapping[str, Path],
    changes: Sequence[str] = (),
    known: Collection[str] | None = None,
    what: str = "protocol",
) -> ResolvedProtocol:
    """Load protocol ``name`` (one of ``files``, or the path of a TOML file) and apply ``KEY=VALUE`` changes.

    ``known`` are the dotted keys that the benchmark knows beside the core's; None leaves a root file
    unchecked.
    """
    if name in files:
        path = files[name]
    elif name.endswith(".toml"):
        path, name = Path(name), Path(name).stem
    else:
        raise unknown(what, name, files)
    values = _load(path, files, known, ())
    for change in changes:
        values = _changed(values, change, name)
    telling = [change for change in changes if change.partition("=")[0] not in RUNNING_KEYS]
    return ResolvedProtocol(name, values, tuple(sorted(_spell(change) for change in telling)))


def _load(
    path: Path, files: Mapping[str, Path], known: Collection[str] | None, seen: tuple[Path, ...]
) -> dict[str, Any]:
    if path in seen:
        raise UserError(f"protocol {path} extends itself by way of {' -> '.join(p.stem for p in seen)}")
    own, text = _parse(path)
    _check_core(own, path, text)
    base_name = own.pop("extends", None)
    if base_name is None:
        if known is not None:
            allowed = {*CORE_KEYS, *known}
            for key in _leaves(own):
                if not any(key == name or key.startswith(f"{name}.") for name in allowed):
                    raise _unknown_key(key, allowed, path, text)
        return own
    if base_name in files:
        base_path = files[base_name]
    elif str(base_name).endswith(".toml"):
        base_path = path.parent / base_name
    else:
        raise UserError(
            f"{path}:{_line(text, 'extends')}: extends = {base_name!r} is no protocol of this benchmark; "
            f"{nearest(str(base_name), files)}"
        )
    base = _load(base_path, files, known, (*seen, path))
    keys = {*_leaves(base), *CORE_KEYS}
    for key in _leaves(own):
        if key.split(".")[0] in CORE_KEYS:
            continue
        if key not in keys:
            raise _unknown_key(key, keys, path, text)
        old, new = _at(base, key), _at(own, key)
        if not _same_kind(old, new):
            line = _line(text, key.rsplit(".", 1)[-1])
            raise UserError(
                f"{path}:{line}: expected {type(old).__name__} like {old!r} for key {key!r}, found {new!r}"
            )
    return _merged(base, own)


def _parse(path: Path) -> tuple[dict[str, Any], str]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot read protocol {path}: {error}") from error
    try:
        return tomllib.loads(text), text
    except tomllib.TOMLDecodeError as error:
        place = re.search(r"line (\d+)", str(error))
        number = int(place.group(1)) if place else len(text.splitlines())
        lines = text.splitlines() or [""]
        key = lines[min(number, len(lines)) - 1].split("=")[0].strip()
        raise UserError(
            f"{path}:{number}: broken TOML at key {key!r}: {error}; fix: write the line as key = value"
        ) from error


def _check_core(own: Mapping[str, Any], path: Path, text: str) -> None:
    for key, kind in CORE_KEYS.items():
        if key in own and (not isinstance(own[key], kind) or isinstance(own[key], bool)):
            raise UserError(
                f"{path}:{_line(text, key)}: expected {kind.__name__} for key {key!r}, found {own[key]!r}"
            )
    for suite, table in own.get("suites", {}).items():
        for key in table if isinstance(table, dict) else [suite]:
            if key not in SUITE_KEYS:
                raise _unknown_key(
                    f"suites.{suite}.{key}", [f"suites.{suite}.{k}" for k in SUITE_KEYS], path, text
                )
            if isinstance(table[key], bool) or not isinstance(table[key], int) or table[key] < 1:
                raise UserError(
                    f"{path}:{_line(text, key)}: expected a count of at least 1 for key "
                    f"'suites.{suite}.{key}', found {table[key]!r}"
                )


def _changed(values: dict[str, Any], change: str, name: str) -> dict[str, Any]:
    key, equals, text = change.partition("=")
    if not equals or not key:
        raise UserError(f"expected --set KEY=VALUE, found {change!r}")
    keys = [
        k for k in {*_leaves(values), "base_seed", "images_per_prompt"} if k.split(".")[0] not in SILENT_KEYS
    ]
    if key not in keys:
        raise unknown(f"key for --set in protocol {name}:", key, keys)
    new = _json_value(text)
    old = _at(values, key, default=0)
    if not _same_kind(old, new):
        raise UserError(f"--set {key}: expected {type(old).__name__} like {old!r}, found {text!r}")
    nested: Any = new
    for part in reversed(key.split(".")):
        nested = {part: nested}
    return _merged(values, nested)


def _at(table: Mapping[str, Any], key: str, default: Any = None) -> Any:
    """Return the value at a dotted key, ``default`` where there is none."""
    node: Any = table
    for part in key.split("."):
        if not isinstance(node, Mapping) or part not in node:
            return default
        node = node[part]
    return node


def _same_kind(old: Any, new: Any) -> bool:
    if isinstance(old, bool) or isinstance(new, bool):
        return isinstance(old, bool) and isinstance(new, bool)
    if isinstance(old, float):
        return isinstance(new, int | float)
    return old is None or isinstance(new, type(old))


def _json_value(text: str) -> Any:
    """Read a value as JSON; what is no JSON (or no finite number) is a string."""
    try:
        value = json.loads(text, parse_constant=str)
    except ValueError:
        return text
    return value


def _spell(change: str) -> str:
    key, _, text = change.partition("=")
    return f"{key}={json.dumps(_json_value(text))}"


def _merged(base: Mapping[str, Any], top: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``base`` with the values of ``top`` laid over it, table by table."""
    merged = dict(copy.deepcopy(dict(base)))
    for key, value in top.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = _merged(merged[key], value) if both else copy.deepcopy(value)
    return merged


def _without(keys: Collection[str], table: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return ``table`` without the values at dotted ``keys``, and without tables that hold nothing else."""
    left = {}
    for key, value in table.items():
        if f"{prefix}{key}" in keys:
            continue
        rest = _without(keys, value, f"{prefix}{key}.") if isinstance(value, dict) else value
        if rest or not isinstance(value, dict) or not value:
            left[key] = rest
    return left


def _leaves(table: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for key, value in table.items():
        if isinstance(value, dict) and value:
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}"


def _unknown_key(key: str, known: Collection[str], path: Path, text: str) -> UserError:
    line = _line(text, key.rsplit(".", 1)[-1])
    return UserError(f"{path}:{line}: unknown key {key!r}; {nearest(key, known)}")


def _line(text: str, key: str) -> int:
    """Return the number of the first line that sets ``key`` (1 if it is not found)."""
    pattern = re.compile(rf"^\s*(\[.*)?[\"']?\b{re.escape(key)}\b[\"']?\s*(=|\.|\])")
    return next((n for n, line in enumerate(text.splitlines(), 1) if pattern.search(line)), 1)
