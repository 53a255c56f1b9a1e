"""Statistics and features on disk, in the format that other tools write and read.

A statistics file is clean-fid's and pytorch-fid's: an ``.npz`` with ``mu`` and ``sigma``. Ours hold two
arrays more, which those tools pass over: ``n``, the number of images, and ``extractor``, the digest of what
computed the features, so that those of two extractors are refused (``adapter.py``).
"""

from __future__ import annotations

import io
import re
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.fidelity.metrics.moments import Moments
from lumina_eval.errors import UserError, nearest
from lumina_eval.files import write_atomic

#: How ``.npz`` and ``.npy`` files start. All else numpy takes for a pickle, and advises to load it unsafely.
_ARCHIVE: Final = b"PK"
_ARRAY: Final = b"\x93NUMPY"


@dataclass(frozen=True)
class Statistics:
    """What a statistics file says."""

    moments: Moments
    extractor: str | None
    """Digest; None in a file of another tool."""
    file: Path


def write_statistics(file: Path, moments: Moments, extractor: str | None) -> None:
    """Write statistics so that clean-fid and pytorch-fid read them too; ``extractor`` is None if untold."""
    arrays: dict[str, Any] = {"mu": moments.mean, "sigma": moments.covariance}
    if extractor is not None:
        arrays["extractor"] = np.array(extractor)
    if moments.n is not None:
        arrays["n"] = np.array(moments.n)
    held = io.BytesIO()
    np.savez(held, **arrays)
    write_atomic(file, held.getvalue())


def read_statistics(file: Path) -> Statistics:
    """Read a statistics file, ours or another tool's; nothing in it is executed.

    Raises UserError if it cannot be read, lacks ``mu`` or ``sigma``, or these are no mean and covariance.
    """
    arrays = _arrays(file, ("mu", "sigma", "n", "extractor"))
    for name in ("mu", "sigma"):
        if name not in arrays:
            raise UserError(
                f"expected statistics with mu and sigma, found {', '.join(array_names(file)) or 'nothing'}, "
                f"in {file}; fix: name a statistics file of clean-fid, or give features"
            )
    try:
        mean, covariance = (np.asarray(arrays[name], dtype=np.float64) for name in ("mu", "sigma"))
        moments = Moments(int(arrays["n"]) if "n" in arrays else None, mean, covariance)
    except UserError as error:
        raise UserError(f"{error} (in {file})") from error
    except (TypeError, ValueError) as error:
        raise UserError(
            f"expected numbers as mu and sigma, and one number as n, found {error}, in {file}; "
            "fix: compute the statistics again"
        ) from error
    if not _is_covariance(covariance):
        raise UserError(
            "expected a symmetric covariance without negative variances in any direction, found another "
            f"sigma, in {file}; fix: compute the statistics again"
        )
    extractor = str(arrays["extractor"]) if "extractor" in arrays else None
    return Statistics(moments, extractor, file)


def read_features(address: str) -> NDArray[np.floating[Any]]:
    """Read rows (N, d) from ``FILE.npz`` or ``FILE.npz:KEY``, in the float type of the file.

    Raises UserError if the file cannot be read, holds several arrays and no KEY is given, or the array is no
    table of finite numbers.
    """
    found = re.fullmatch(r"(?s)(.+\.npz)(?::(.+))?", address)
    if found is None:
        raise UserError(f"expected FILE.npz or FILE.npz:KEY, found {address!r}; fix: name an .npz file")
    file, key = Path(found[1]), found[2]
    names = array_names(file)
    if key is None and len(names) == 1:
        key = names[0]
    if key is None:
        raise UserError(
            f"expected one array, found {', '.join(names) or 'none'}, in {file}; fix: name one, {file}:KEY"
        )
    if key not in names:
        raise UserError(
            f"expected an array {key!r} in {file}, found none ({nearest(key, names)}); "
            f"fix: name one that is there, {file}:KEY"
        )
    rows = _arrays(file, (key,))[key]
    if rows.ndim != 2 or not np.issubdtype(rows.dtype, np.number) or np.iscomplexobj(rows):
        raise UserError(
            f"expected features of shape (images, width), found {rows.dtype} of {rows.shape}, in "
            f"{file}:{key}; fix: one row for each image"
        )
    if not rows.size:
        raise UserError(
            f"expected features of images, found none (shape {rows.shape}), in {file}:{key}; "
            "fix: name the array with a row for each image"
        )
    rows = rows if np.issubdtype(rows.dtype, np.floating) else rows.astype(np.float64)
    bad = np.flatnonzero(~np.isfinite(rows).all(axis=1))
    if len(bad):
        raise UserError(
            f"expected finite features, found NaN or infinity in {len(bad)} of {len(rows)} rows, the first "
            f"is row {bad[0]} of {file}:{key} (counted from 0); fix: compute them again, in float32"
        )
    return rows


def array_names(file: Path) -> list[str]:
    """Return the names of the arrays in an ``.npz`` file, in its order. Raises UserError if it is none."""
    with _opened(file) as archive:
        return list(archive.files)


def _arrays(file: Path, names: tuple[str, ...]) -> dict[str, NDArray[Any]]:
    """Read those of the arrays that are there."""
    with _opened(file) as archive:
        try:
            return {name: archive[name] for name in names if name in archive.files}
        except (ValueError, OSError, zipfile.BadZipFile) as error:
            raise _unreadable(file, error) from error


def _is_covariance(matrix: NDArray[np.float64]) -> bool:
    """Whether a matrix is symmetric and, but for rounding, positive semidefinite.

    Rounding is taken as up to 1e-6 of the largest entry and 1e-5 of the largest eigenvalue: files of other
    tools may have gone through float32.
    """
    if not np.allclose(matrix, matrix.T, rtol=0, atol=1e-6 * float(np.abs(matrix).max(initial=0.0))):
        return False
    spread = np.linalg.eigvalsh(matrix)
    return bool(spread[0] >= -1e-5 * max(float(spread[-1]), 0.0))


def _opened(file: Path) -> Any:
    try:
        with file.open("rb") as stream:
            start = stream.read(len(_ARRAY))
        if start and not start.startswith(_ARCHIVE) and start != _ARRAY:
            raise _unreadable(file, ValueError("a file of another kind"))
        # Without pickle: a statistics file from elsewhere must not run code.
        found = np.load(file, allow_pickle=False)
    except FileNotFoundError as error:
        raise UserError(
            f"expected an .npz file, found none at {file}; fix: name one that is there"
        ) from error
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise _unreadable(file, error) from error
    if not isinstance(found, np.lib.npyio.NpzFile):
        raise _unreadable(file, ValueError("a single array"))
    return found


def _unreadable(file: Path, error: Exception) -> UserError:
    return UserError(f"expected an .npz file of plain arrays, found {error}, in {file}; fix: write it again")
