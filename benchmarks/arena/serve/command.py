"""``lumina-eval arena serve`` and ``votes``: open a place to vote, and take the votes out of it."""

from __future__ import annotations

import ipaddress
import socket
import sys
from pathlib import Path
from typing import Annotated, Final, Literal

import typer

from lumina_eval.console import output
from lumina_eval.errors import UserError

DEFAULT_PORT: Final = 8765
LOOPBACK_NAMES: Final = ["127.0.0.1", "localhost", "[::1]"]

Folder = Annotated[Path, typer.Argument(help="Folder that export --layout arena wrote.")]


def serve(
    folder: Folder,
    host: Annotated[str, typer.Option("--host", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="0 takes a free one.")] = DEFAULT_PORT,
    choose: Annotated[
        Literal["active", "random"], typer.Option("--choose", help="How the next pair is chosen.")
    ] = "active",
    goal: Annotated[int, typer.Option("--goal", min=1, help="Votes that fill a voter's bar.")] = 30,
    open_leaderboard: Annotated[
        bool, typer.Option("--open-leaderboard", help="Show it without its key, also to those who vote.")
    ] = False,
    manifest: Annotated[
        Path | None, typer.Option("--manifest", help="Else FOLDER.manifest.json.", show_default=False)
    ] = None,
) -> None:
    """Open a place to vote on exported match-ups; votes go to FOLDER/votes.sqlite."""
    import uvicorn

    from benchmarks.arena.layouts import read_match_ups
    from benchmarks.arena.manifest import manifest_path, read_manifest_of_export
    from benchmarks.arena.serve.app import application
    from benchmarks.arena.serve.arena import Arena
    from lumina_eval.files import sole_writer

    who = read_manifest_of_export(manifest or manifest_path(folder))
    read_match_ups(folder)  # says what is wrong with a folder before it is locked
    with sole_writer(folder), output(False) as streams:
        listener = listen(host, port)
        arena = Arena(folder, who, goal=goal, way=choose, open_leaderboard=open_leaderboard)
        address = f"http://{f'[{host}]' if ':' in host else host}:{listener.getsockname()[1]}"
        if not is_loopback(host):
            streams.warn(
                f"{host} is no loopback address: whoever reaches this machine can vote under any name, "
                "and nothing is encrypted"
            )
        streams.result(f"vote:        {address}/")
        key = "" if open_leaderboard else f"?key={arena.signer.owner_key()}"
        streams.result(f"leaderboard: {address}/leaderboard{key}")
        streams.result(f"votes:       {folder / 'votes.sqlite'} (then: lumina-eval arena votes {folder})")
        sys.stdout.flush()
        hosts = LOOPBACK_NAMES if is_loopback(host) else ["*"]
        config = uvicorn.Config(
            application(arena, hosts), log_level="warning", access_log=False, server_header=False
        )
        try:
            uvicorn.Server(config).run(sockets=[listener])
        finally:
            listener.close()
            arena.box.close()


def votes(
    folder: Folder,
    out: Annotated[
        Path | None, typer.Option("--out", help="JSON lines; FOLDER/votes.jsonl.", show_default=False)
    ] = None,
) -> None:
    """Write the votes of an arena as battles, one JSON object a line, for ``arena rate``."""
    from benchmarks.arena.serve.ballots import BallotBox
    from benchmarks.arena.vote_files import write_votes

    source, target = folder / "votes.sqlite", out or folder / "votes.jsonl"
    if not source.is_file():
        raise UserError(
            f"expected votes, found no {source.name}, in {folder}; fix: lumina-eval arena serve {folder}"
        )
    box = BallotBox(source)
    try:
        battles = box.battles()
    finally:
        box.close()
    write_votes(target, battles)
    with output(False) as streams:
        streams.result(f"{len(battles)} votes in {target}")
        streams.say(f"rate them: lumina-eval arena rate {target}")


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens; raise UserError if the port is in use or the address is not ours."""
    try:
        family, kind, number, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        found = socket.socket(family, kind, number)
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind(address)
        found.listen(128)
    except OSError as error:
        raise UserError(
            f"expected a free address, found {error.strerror or error}, at {host} port {port}; "
            "fix: --port 0 takes a port that is free"
        ) from error
    return found


def is_loopback(host: str) -> bool:
    """Tell whether only this machine can reach a host name or address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
