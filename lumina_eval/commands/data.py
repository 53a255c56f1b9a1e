"""``data``: what must come from elsewhere, listed, fetched and checked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer
from rich.filesize import decimal

from lumina_eval.assets.catalogue import (
    Asset,
    absent,
    all_assets,
    chosen_assets,
    data_folder,
    files_of,
    read_lock,
)
from lumina_eval.assets.fetching import GOOD, FileState, check, fetch
from lumina_eval.assets.pins import LOCK
from lumina_eval.commands import options as o
from lumina_eval.console import Output, output
from lumina_eval.errors import ExitCode, UserError

Offline = Annotated[
    bool, typer.Option("--offline", help="Use no network; as HF_HUB_OFFLINE=1 in the environment.")
]
Names = Annotated[
    list[str] | None,
    typer.Argument(help="Names of assets, or of benchmarks for all of theirs.", show_default=False),
]

app = typer.Typer(
    no_args_is_help=True, help="Prompts, weights, statistics from elsewhere: list, fetch, verify."
)


@app.command("list")
def list_(names: Names = None, as_json: o.AsJson = False) -> None:
    """List what can be fetched, under which licence, how it is pinned, and whether it is there."""
    with output(as_json) as streams:
        for asset in chosen_assets(names) if names else all_assets().values():
            state = _state(asset)
            streams.emit(
                {
                    "schema": 1,
                    "name": asset.name,
                    "benchmark": asset.benchmark,
                    "what": asset.what,
                    "licence": asset.licence,
                    "note": asset.note,
                    "source": asset.hub.repository if asset.hub else asset.url,
                    "revision": asset.revision,
                    "bytes": asset.size,
                    "pinned_by": asset.pinned_by,
                    "files": [file.name for file in asset.files],
                    "state": state,
                    "folder": str(asset.folder),
                }
            )
            size = "size unknown" if asset.size is None else decimal(asset.size)
            streams.result(
                f"{asset.name:22} {size:>12}  {state:11}  {asset.licence}; pinned by {asset.pinned_by}"
            )
            streams.result(f"{'':22} {asset.what}")
        streams.result(f"folder  {data_folder()}  (another: LUMINA_EVAL_DATA)")


@app.command("fetch")
def fetch_(names: Names = None, offline: Offline = False, as_json: o.AsJson = False) -> None:
    """Bring assets here, check them, and go on with what an earlier fetch left.

    What is right already is left alone. Exit code 4 if a file could not be had.
    """
    with output(as_json) as streams:
        if not names:
            raise UserError(
                f"expected what to fetch, found nothing; fix: name one or more of {', '.join(all_assets())}, "
                "or a benchmark"
            )
        states: list[FileState] = []
        for asset in chosen_assets(names):
            found = fetch(asset, streams.people, offline)
            states += found
            _tell(asset, found, streams)
    raise typer.Exit(_code(states))


@app.command("verify")
def verify_(names: Names = None, as_json: o.AsJson = False) -> None:
    """Hash what was fetched and compare it with the pins; no network is used.

    Without names: everything of which something is there. Exit code 4 if a file is missing or wrong.
    """
    with output(as_json) as streams:
        if names:
            assets = chosen_assets(names)
        else:
            assets = [one for one in all_assets().values() if one.folder.is_dir()]
        states: list[FileState] = []
        for asset in assets:
            found = list(check(asset))
            states += found
            _tell(asset, found, streams)
        if not assets:
            streams.result(f"nothing was fetched into {data_folder()}")
    raise typer.Exit(_code(states))


def _state(asset: Asset) -> str:
    """Say in a word whether an asset is here, whatever its records look like."""
    try:
        read_lock(asset)
        return "not fetched" if absent(asset) else "fetched"
    except UserError:
        return "damaged"


def _tell(asset: Asset, states: Sequence[FileState], streams: Output) -> None:
    """Say how it stands: the good files in a line, each other by name."""
    for one in states:
        streams.emit(
            {
                "schema": 1,
                "asset": one.asset,
                "file": one.file,
                "state": one.state,
                "why": one.why or None,
                "trusted_on_first_use": one.trusted,
                "path": str(asset.folder / one.file),
            }
        )
    good = [one for one in states if one.state in GOOD]
    for state in dict.fromkeys(one.state for one in good):
        count = sum(one.state == state for one in good)
        streams.result(f"{state:13} {asset.name}: {count} of {len(states)} files, in {asset.folder}")
    for one in states:
        if one.state not in GOOD:
            streams.result(f"{one.state:13} {asset.name}/{one.file}{f': {one.why}' if one.why else ''}")
    fresh = [one for one in good if one.trusted and one.state == "fetched"]
    if fresh:
        streams.warn(
            f"{asset.name}: no pin is known for {len(fresh)} of its files ({fresh[0].file} …); what came is "
            f"trusted from now on, and written to {asset.folder / 'lock.json'}"
        )
    elif any(one.file == LOCK for one in states):
        return  # what is wrong with it says how it is mended
    elif len(files_of(asset)) > len(good):
        streams.say(f"fix: lumina-eval data fetch {asset.name}")


def _code(states: Sequence[FileState]) -> ExitCode:
    return ExitCode.OK if all(one.state in GOOD for one in states) else ExitCode.INCOMPLETE
