"""What must come from elsewhere, pinned: prompt files, annotations, weights; and where it lies once fetched.

Each benchmark declares its own in an ``assets.toml``: a table for each asset, named as people will type it.

.. code-block:: toml

    [dpg-questions]
    what = "the questions of DPG-Bench"
    licence = "Apache-2.0"
    url = "https://example.org/{revision}/{name}"   # of each file
    revision = "3c228f1d…"
    files = [{ name = "dpg_bench.csv", size = 12, sha256 = "…" }]

A file is pinned by ``sha256``, by ``git_blob`` (the id that git gives to its content) or, where only its
name tells a part of the sum, by ``sha256_prefix``. One without any of these is trusted when it first comes:
what came is written to ``lock.json`` beside it, and a later copy must be the same. Instead of ``url`` and
``files`` a table may hold ``hub``: a repository of the Hugging Face hub, whose listing tells the files.

Reading declarations and looking for files costs no network; :mod:`lumina_eval.assets.fetching` brings them.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Final, Literal
from urllib.parse import quote, urlsplit

from pydantic import Field, ValidationError, model_validator

from lumina_eval import plugins
from lumina_eval.assets.pins import LOCK, File, Pin
from lumina_eval.errors import UserError, first_line, is_user_error, unknown
from lumina_eval.records import Record

#: Names the folder of all fetched files; else ``lumina-eval`` in the user's cache folder.
FOLDER_VARIABLE: Final = "LUMINA_EVAL_DATA"


class Hub(Record):
    """A repository of the Hugging Face hub."""

    repository: str = Field(pattern=r"^[\w.-]+/[\w.-]+$")
    kind: Literal["dataset", "model"] = "model"
    commit_prefix: str | None = Field(default=None, pattern=r"^[0-9a-f]{7,40}$")
    """First hex digits of the commit that the revision must be; None: the first fetch decides."""
    patterns: tuple[str, ...] = ()
    """Which files, as glob patterns; all of them if empty."""


class Asset(Record):
    """Files that belong together, from one place, under one licence."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")
    benchmark: str = ""
    """Who declares it; filled in by :func:`all_assets`."""
    what: str
    licence: str
    note: str = ""
    """What a user should know of the pin, or of the licence."""
    url: str | None = None
    """Address of each file, with ``{revision}`` and ``{name}`` for what stands there."""
    revision: str | None = None
    files: tuple[File, ...] = ()
    hub: Hub | None = None

    @model_validator(mode="after")
    def _is_one_of_both(self) -> Asset:
        if (self.hub is None) == (self.url is None) or bool(self.files) == bool(self.hub):
            raise ValueError("expected either 'url' with 'files', or 'hub'")
        if self.url is not None:
            parts = urlsplit(self.url)
            if parts.scheme != "https" and parts.hostname not in ("127.0.0.1", "localhost"):
                raise ValueError("expected a url that begins with https://")
            if ("{revision}" in self.url) != (self.revision is not None):
                raise ValueError("expected 'revision' and '{revision}' in 'url', or neither")
            if len(self.files) > 1 and "{name}" not in self.url:
                raise ValueError("expected '{name}' in 'url', since there are several files")
        if len({file.name for file in self.files}) < len(self.files):
            raise ValueError("expected each file name once")
        return self

    @property
    def folder(self) -> Path:
        """Where its files lie, or will."""
        return data_folder() / self.name

    @property
    def size(self) -> int | None:
        """Bytes of all files; None where one of them is unknown."""
        sizes = [file.size for file in self.files]
        return None if not sizes or None in sizes else sum(size for size in sizes if size is not None)

    def address(self, file: File) -> str:
        """Return where a file comes from."""
        if self.url is None:
            raise ValueError(f"{self.name} is no list of addresses")
        address = self.url.replace("{revision}", self.revision or "")
        return address.replace("{name}", quote(file.name))

    @property
    def pinned_by(self) -> str:
        """Say in a word or two what its content is held to."""
        if self.hub is not None:
            return f"commit {self.hub.commit_prefix}" if self.hub.commit_prefix else "first fetch"
        if not all(file.holds_content for file in self.files):
            return "first fetch"
        if all(file.sha256 for file in self.files):
            return "sha256"
        return "git blob" if all(file.git_blob for file in self.files) else "sha256 in part"


class Lock(Record):
    """``lock.json``: what the first fetch got, where the declaration does not say it."""

    schema_: Literal[1] = Field(default=1, alias="schema")
    revision: str | None = None
    files: dict[str, Pin] = Field(default={})

    def pin(self, file: File) -> Pin:
        """Return what is known of a file: its own pin, else what came first."""
        return file if file.holds_content else self.files.get(file.name, file)


def data_folder() -> Path:
    """Return the folder of everything fetched: ``LUMINA_EVAL_DATA``, else in the user's cache folder."""
    chosen = os.environ.get(FOLDER_VARIABLE)
    if chosen:
        return Path(chosen).expanduser()
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "lumina-eval"


def read_assets(path: Path) -> dict[str, Asset]:
    """Read a declaration, strictly: name to asset, in the order of the file.

    Raises UserError naming file, asset and key.
    """
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UserError(f"cannot read the assets {path}: {error}; fix: mend the file") from error
    found = {}
    for name, table in tables.items():
        try:
            if not isinstance(table, dict):
                raise UserError(f"{path}: expected a table [{name}], found {table!r}; fix: name an asset")
            found[name] = Asset.model_validate({**table, "name": name})
        except ValidationError as error:
            # An unknown key is the likelier mistake than the one that it leaves out.
            first = min(error.errors(), key=lambda one: one["type"] != "extra_forbidden")
            place = ".".join(map(str, (name, *first["loc"])))
            raise UserError(f"{path}: {place}: {first['msg']}; fix: mend the file") from error
    return found


def all_assets() -> dict[str, Asset]:
    """Return the assets of every benchmark installed, by name; a plug-in that does not load is passed over.

    Raises UserError where two benchmarks declare the same name, or one declares badly.
    """
    found: dict[str, Asset] = {}
    for name in plugins.available("benchmarks"):
        try:
            benchmark = plugins.benchmark(name)
        except Exception as error:
            if not is_user_error(error):
                raise
            continue
        declared = getattr(benchmark, "assets", None)
        for asset in read_assets(declared()).values() if declared else ():
            if asset.name in found:
                raise UserError(
                    f"expected each asset name once, found {asset.name!r} in benchmarks "
                    f"{found[asset.name].benchmark} and {name}; fix: rename one of them"
                )
            found[asset.name] = asset.model_copy(update={"benchmark": name})
    return found


def chosen_assets(names: Iterable[str]) -> list[Asset]:
    """Return assets by name; the name of a benchmark stands for all of its own. UserError for any other."""
    known = all_assets()
    benchmarks = {asset.benchmark for asset in known.values()}
    chosen: dict[str, Asset] = {}
    for name in names:
        if name not in known and name not in benchmarks:
            raise unknown("asset", name, [*known, *benchmarks])
        chosen |= {key: one for key, one in known.items() if name in (key, one.benchmark)}
    return list(chosen.values())


def read_lock(asset: Asset) -> Lock:
    """Return what the first fetch wrote down; an empty one if nothing was. UserError if it is damaged."""
    path = asset.folder / LOCK
    try:
        return Lock.model_validate_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return Lock()
    except (OSError, UnicodeDecodeError, ValidationError) as error:
        if isinstance(error, ValidationError):
            first = error.errors()[0]
            why = " at ".join([first["msg"], *([".".join(map(str, first["loc"]))] if first["loc"] else [])])
        else:
            why = first_line(error)
        raise UserError(
            f"expected what the first fetch wrote down, found {why}, in {path}; fix: delete {asset.folder} "
            f"and run 'lumina-eval data fetch {asset.name}'"
        ) from error


def files_of(asset: Asset) -> tuple[File, ...]:
    """Return an asset's files as far as they are known: those of a hub once the first fetch listed them."""
    if asset.hub is None:
        return asset.files
    return tuple(
        File(name=name, **pin.model_dump(include=set(Pin.model_fields)))
        for name, pin in read_lock(asset).files.items()
    )


def absent(asset: Asset) -> list[str]:
    """Name the files that are not there, or not of their size. Nothing is hashed."""
    files = files_of(asset)
    if not files:
        return [asset.hub.repository if asset.hub else asset.name]
    return [file.name for file in files if not _looks_right(asset.folder / file.name, file)]


def fetched(declaration: Path, name: str) -> Path | None:
    """Return where an asset lies, None if it was not fetched: a file if it has one, else its folder.

    For a benchmark that asks for what it declared itself.
    """
    asset = read_assets(declaration)[name]
    return None if absent(asset) else _place(asset)


def locate(name: str) -> Path:
    """Return where the asset called ``name`` lies: a file if it has one, else its folder.

    Raises UserError naming the first file that is not there, and the command that fetches it.
    """
    asset = all_assets().get(name)
    if asset is None:
        raise unknown("asset", name, all_assets())
    if missing := absent(asset):
        raise UserError(
            f"expected {asset.what} ({missing[0]}) in {asset.folder}, found none; "
            f"fix: lumina-eval data fetch {name}"
        )
    return _place(asset)


def _place(asset: Asset) -> Path:
    return asset.folder / asset.files[0].name if len(asset.files) == 1 else asset.folder


def _looks_right(path: Path, file: File) -> bool:
    return path.is_file() and (file.size is None or path.stat().st_size == file.size)
