"""Files that are whole or absent: atomic writes, durable appends, and lines that survive a kill."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from lumina_eval.errors import UserError


@contextlib.contextmanager
def said_clearly(path: Path) -> Iterator[None]:
    """Turn what a disk refuses (full, read-only, no permission) into a :class:`UserError`."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise UserError(
                f"no space left on the disk of {path}; all that was written before is kept; "
                "fix: free some space and run the same command again, it goes on from here"
            ) from error
        in_the_way = isinstance(error, FileExistsError | NotADirectoryError)
        fix = "a file has that name" if in_the_way else "or mend its permissions"
        raise UserError(
            f"cannot write {path}: {error.strerror or error}; fix: choose another folder, {fix}"
        ) from error


def make_folder(path: Path) -> Path:
    """Create ``path`` and its parents, and check that files can be written there."""
    with said_clearly(path):
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    return path


def write_atomic(path: Path, data: bytes) -> None:
    """Write ``data`` so that after any kill ``path`` holds either the old or the new content."""
    with said_clearly(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
        try:
            with os.fdopen(handle, "wb") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
                os.fchmod(stream.fileno(), 0o666 & ~_umask())
            os.replace(name, path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(name)
            raise
        sync_folder(path.parent)


def write_lines(path: Path, lines: Sequence[str]) -> None:
    """Write text lines atomically, each with its line end."""
    write_atomic(path, "".join(f"{line}\n" for line in lines).encode())


def append_lines(path: Path, lines: Sequence[str]) -> None:
    """Append text lines and wait until they are on the disk."""
    with said_clearly(path), path.open("ab") as stream:
        stream.write("".join(f"{line}\n" for line in lines).encode())
        stream.flush()
        os.fsync(stream.fileno())


def valid_lines(path: Path) -> list[tuple[str, Any]]:
    """Return the leading whole lines of a JSONL file, each with its value; a torn tail is left out."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}; fix: mend its permissions") from error
    found = []
    for line in data.split(b"\n")[:-1]:
        try:
            text = line.decode()
            found.append((text, json.loads(text)))
        except ValueError:
            break
    return found


@contextlib.contextmanager
def sole_writer(folder: Path) -> Iterator[None]:
    """Hold ``folder`` for this process; a second writer is told so instead of mixing its lines in."""
    try:
        import fcntl
    except ImportError:  # no advisory locks on this system
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UserError(
                f"another process is writing {folder}; fix: wait until it has ended, or take another --out"
            ) from error
        except OSError:  # a file system without locks
            pass
        yield
    finally:
        os.close(handle)


def _umask() -> int:
    """Return the process's umask; ``mkstemp`` ignores it and makes files that only their owner can read."""
    current = os.umask(0o022)
    os.umask(current)
    return current


def sync_folder(folder: Path) -> None:
    """Make a rename durable; not every file system lets a folder be synced."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
