"""One file over HTTP: resumed where it broke off, checked before it gets its name.

Bytes go to ``NAME.part``. Only when all of them are there and as pinned is the part synced and renamed, so a
file that has its name is right after any kill. A part that is whole and wrong is deleted.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Final

import httpx
import tenacity

from lumina_eval.assets.pins import Pin
from lumina_eval.errors import UserError
from lumina_eval.files import said_clearly, sync_folder

#: Tries for one file; each goes on where the one before broke off.
ATTEMPTS: Final = 5
#: Seconds before the second try; doubled each time, at most ``LONGEST_WAIT``.
FIRST_WAIT = 1.0
LONGEST_WAIT: Final = 30.0

Advance = Callable[[int], None]
"""Called with the number of bytes of this file that are there now."""


class DownloadError(UserError):
    """A file that could not be had; others may."""


class _AgainError(Exception):
    """Another try may help."""


def make_client() -> httpx.Client:
    """Return a client for downloads; proxies come from the environment."""
    return httpx.Client(
        follow_redirects=True,
        timeout=httpx.Timeout(30.0, connect=15.0),
        headers={"Accept-Encoding": "identity", "User-Agent": "lumina-eval"},
    )


def download(url: str, target: Path, pin: Pin, client: httpx.Client, advance: Advance) -> None:
    """Bring ``url`` to ``target``, going on with what an earlier call left.

    Raises DownloadError if the server has no such file, cannot be reached in several tries, or sends
    something that is not as pinned; UserError if the disk is full or the folder cannot be written.
    """
    part = target.with_name(f"{target.name}.part")
    with said_clearly(part):
        part.parent.mkdir(parents=True, exist_ok=True)
    for attempt in tenacity.Retrying(
        retry=tenacity.retry_if_exception_type((httpx.TransportError, _AgainError)),
        stop=tenacity.stop_after_attempt(ATTEMPTS),
        wait=tenacity.wait_exponential(multiplier=FIRST_WAIT, max=LONGEST_WAIT),
        retry_error_callback=lambda state: _give_up(state, url, part),
    ):
        with attempt:
            begun = _size(part) > 0
            _receive(url, part, pin, client, advance)
            _finish(url, part, target, pin, begun)


def _receive(url: str, part: Path, pin: Pin, client: httpx.Client, advance: Advance) -> None:
    """Append to the part what it lacks; start again where the server cannot go on."""
    have = _size(part)
    if pin.size is not None and have == pin.size:
        return
    if pin.size is not None and have > pin.size:
        part.unlink()
        have = 0
    headers = {"Range": f"bytes={have}-"} if have else {}
    with client.stream("GET", url, headers=headers) as response:
        resumed = _checked_status(response, url, part, have)
        _check_room(part, pin, have if resumed else 0)
        advance(have if resumed else 0)
        with said_clearly(part), part.open("ab" if resumed else "wb") as stream:
            size = stream.tell()
            for piece in response.iter_bytes():
                size += stream.write(piece)
                advance(size)
                if pin.size is not None and size > pin.size:
                    break  # not our file; what follows would only fill the disk
            stream.flush()
            os.fsync(stream.fileno())
    if pin.size is not None and size < pin.size:
        raise _AgainError(f"the server ended after {size} of {pin.size} bytes")


def _checked_status(response: httpx.Response, url: str, part: Path, have: int) -> bool:
    """Tell whether the answer goes on where the part ends; raise for one without the file."""
    status = response.status_code
    if status == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
        part.unlink(missing_ok=True)
        raise _AgainError("the part that was there does not fit the file")
    if status in (httpx.codes.TOO_MANY_REQUESTS, httpx.codes.REQUEST_TIMEOUT) or status >= 500:
        raise _AgainError(f"HTTP {status}")
    if status not in (httpx.codes.OK, httpx.codes.PARTIAL_CONTENT):
        raise DownloadError(
            f"expected a file at {url}, found HTTP {status} {response.reason_phrase}; "
            "fix: get it from elsewhere and put it into its folder; its pin still holds"
        )
    if status == httpx.codes.OK:
        return False
    start = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
    if start is None or int(start[1]) != have:
        part.unlink(missing_ok=True)
        raise _AgainError("the server sent another range than was asked for")
    return True


def _finish(url: str, part: Path, target: Path, pin: Pin, begun: bool) -> None:
    """Give the part its name if it is right, else delete it; one that was ``begun`` before is tried anew."""
    problem = pin.problem(part)
    if problem is not None:
        part.unlink()
        if begun:
            raise _AgainError(f"{problem}, after going on with a part")
        raise DownloadError(
            f"{problem}, at {url}; what came is deleted; fix: run the same command again, and if it is the "
            "same then, the file was changed at its source"
        )
    with said_clearly(target):
        os.replace(part, target)
    sync_folder(target.parent)


def _check_room(part: Path, pin: Pin, have: int) -> None:
    if pin.size is None:
        return
    with contextlib.suppress(OSError):
        free, needed = shutil.disk_usage(part.parent).free, pin.size - have
        if free < needed:
            raise UserError(
                f"no space left on the disk of {part}: {needed} more bytes are needed, {free} are free; "
                "fix: free some space, or name another folder in LUMINA_EVAL_DATA, and run the same "
                "command again, it goes on from here"
            )


def _give_up(state: tenacity.RetryCallState, url: str, part: Path) -> None:
    error = state.outcome.exception() if state.outcome else None
    kept = f"{_size(part)} bytes are kept in {part}" if _size(part) else "nothing came"
    raise DownloadError(
        f"cannot get {url}: {error or 'no answer'}, after {state.attempt_number} tries; {kept}; "
        "fix: run the same command again, it goes on from there"
    ) from error


def _size(part: Path) -> int:
    return part.stat().st_size if part.is_file() else 0
