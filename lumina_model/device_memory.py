"""How much memory is free, and how much a piece of work takes at most: of a GPU, or of this process."""

import contextlib
import re
from pathlib import Path
from typing import Protocol

import torch

#: Where Linux tells of a process and of the machine. It counts a peak anew when it finds a 5 in `clear_refs`
#: (proc(5)).
STATUS, CLEAR_REFS, MEMINFO = "proc/self/status", "proc/self/clear_refs", "proc/meminfo"
#: The control groups of version 2, which hold containers and services in memory; limits lie in any of those
#: above a process's own, whose line in `GROUP` begins with `0::` (cgroups(7)).
GROUPS, GROUP, LIMIT, USE = "sys/fs/cgroup", "proc/self/cgroup", "memory.max", "memory.current"
#: A peak that was counted anew lies this near to what is held, in bytes.
NEAR = 32 * 2**20


class Memory(Protocol):
    """A reading of free memory, and what is taken beyond that moment."""

    @property
    def free(self) -> int | None:
        """Bytes that were free when this was made; None if unknown."""

    def reset(self) -> None:
        """Count the peak from now."""

    def peak(self) -> int | None:
        """Return the bytes held at most since the reset, beyond what was held when this was made."""


class CudaMemory:
    """Of a GPU, as torch's allocator counts it; what that keeps in reserve is free."""

    def __init__(self, device: str) -> None:
        self._device = torch.device(device)
        torch.cuda.synchronize(self._device)
        self._held = torch.cuda.memory_allocated(self._device)
        reserve = torch.cuda.memory_reserved(self._device) - self._held
        self.free: int | None = torch.cuda.mem_get_info(self._device)[0] + reserve

    def reset(self) -> None:
        """Count the peak from now."""
        torch.cuda.reset_peak_memory_stats(self._device)

    def peak(self) -> int | None:
        """Return the bytes allocated at most since the reset, beyond the first reading."""
        return torch.cuda.max_memory_allocated(self._device) - self._held


class ProcessMemory:
    """Of this process, and what the machine or the container has left; unknown where Linux does not tell."""

    def __init__(self, root: Path = Path("/")) -> None:
        """Read it as it is now; ``root`` is the folder of the system's own files."""
        self._root = root
        self.reset()
        held, peak = _line(root / STATUS, "VmRSS"), _line(root / STATUS, "VmHWM")
        self._held = held if held is not None and peak is not None and peak - held < NEAR else None
        self.free: int | None = None if self._held is None else _available(root)

    def reset(self) -> None:
        """Count the peak from now, where the kernel lets a process do so."""
        with contextlib.suppress(OSError):
            (self._root / CLEAR_REFS).write_text("5")

    def peak(self) -> int | None:
        """Return the resident bytes at most since the reset, beyond the first reading."""
        peak = _line(self._root / STATUS, "VmHWM")
        return None if peak is None or self._held is None else max(0, peak - self._held)


class UntoldMemory:
    """Of a device that tells nothing."""

    free: int | None = None

    def reset(self) -> None:
        """Do nothing."""

    def peak(self) -> int | None:
        """Return None."""
        return None


def memory_of(device: str) -> Memory:
    """Read the memory of a device as it is now: ``cuda``, ``cuda:1``, ``cpu`` or another."""
    kind = torch.device(device).type
    return CudaMemory(device) if kind == "cuda" else ProcessMemory() if kind == "cpu" else UntoldMemory()


def _available(root: Path) -> int | None:
    """Bytes that can be taken without swapping: of the machine, or of a group that has less left."""
    left = [_left_in_group(folder) for folder in _groups(root)]
    known = [found for found in (_line(root / MEMINFO, "MemAvailable"), *left) if found is not None]
    return max(0, min(known)) if known else None


def _groups(root: Path) -> list[Path]:
    """Folders of the process's control group and of all above it."""
    try:
        found = re.search(r"^0::/?(.*)$", (root / GROUP).read_text(), re.MULTILINE)
    except OSError:
        found = None
    own = Path(found[1] if found else "")
    return [root / GROUPS / group for group in (own, *own.parents)]


def _left_in_group(folder: Path) -> int | None:
    try:
        return int((folder / LIMIT).read_text()) - int((folder / USE).read_text())
    except (OSError, ValueError):  # no limit, or one that is not told here, as by version 1
        return None


def _line(file: Path, name: str) -> int | None:
    """Bytes of a line ``name: 123 kB``; None where there is no such file or line."""
    try:
        found = re.search(rf"^{name}:\s*(\d+) kB$", file.read_text(), re.MULTILINE)
    except OSError:
        return None
    return int(found[1]) * 1024 if found else None
