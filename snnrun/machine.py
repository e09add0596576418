"""What there is for this process: memory and cores, of the system, its container, its job."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

try:
    import resource
except ImportError:  # not on Windows
    resource = None  # type: ignore[assignment]

NO_LIMIT = 1 << 60  # groups without a limit of their own have about 2**63


@dataclass(frozen=True, kw_only=True)
class Node:
    """A machine on which several processes of one run share the memory.

    Args:
        name: Of the machine.
        processes: How many they are.
        free: Bytes that they can still take together; None where the system does not say it.
    """

    name: str
    processes: int
    free: int | None


def available_memory(root: Path = Path("/")) -> int | None:
    """Return the bytes that this process can still take; None where the system does not say it.

    The least of what the system has free (caches included, which it gives back), what the control
    groups of a container or a job leave, and what `ulimit -v` and `ulimit -d` leave. ``root`` is
    for tests.
    """
    return _least([*_of_system(root), *_of_groups(root), *_of_limits(root)])


def memory_of_node(root: Path = Path("/")) -> int | None:
    """Return the bytes that processes like this one can still take together, as above."""
    return _least([*_of_system(root), *_of_groups(root)])


def _least(found: list[int]) -> int | None:
    return max(0, min(found)) if found else None


def resident_memory(root: Path = Path("/")) -> int:
    """Return the bytes that this process holds in memory now; 0 where the system does not say."""
    return _kilobytes(root / "proc/self/status", "VmRSS:")


def forget_peak_memory(root: Path = Path("/")) -> None:
    """Let ``peak_memory`` begin anew, where the system can (Linux)."""
    with suppress(OSError):
        (root / "proc/self/clear_refs").write_text("5")


def peak_memory(root: Path = Path("/")) -> int:
    """Return the most bytes that this process held in memory so far; 0 where that is not known."""
    known = _kilobytes(root / "proc/self/status", "VmHWM:")
    if known or resource is None:
        return known
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def usable_cores() -> int:
    """Return how many cores this process may use.

    In a job of Slurm it is what its task was given. Not every cluster binds tasks to their cores,
    so the system would say too many.
    """
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    else:
        cores = os.cpu_count() or 1
    for name in ("SLURM_CPUS_PER_TASK", "SLURM_CPUS_ON_NODE"):  # the first only if it was asked for
        given = os.environ.get(name, "")
        if given.isdecimal():
            return max(1, min(cores, int(given)))
    return cores


def _of_system(root: Path) -> Iterator[int]:
    free = _kilobytes(root / "proc/meminfo", "MemAvailable:")
    if free:
        yield free
        return
    names = getattr(os, "sysconf_names", {})
    for name in ("SC_AVPHYS_PAGES", "SC_PHYS_PAGES"):  # macOS knows only how much there is in all
        if name in names:
            yield os.sysconf(name) * os.sysconf("SC_PAGE_SIZE")
            return


def _of_groups(root: Path) -> Iterator[int]:
    """Give what is left of the limit of each control group that this process is in."""
    with suppress(OSError):
        for line in (root / "proc/self/cgroup").read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            if controllers == "":
                top, limit, used = root / "sys/fs/cgroup", "memory.max", "memory.current"
            elif "memory" in controllers.split(","):
                top = root / "sys/fs/cgroup/memory"
                limit, used = "memory.limit_in_bytes", "memory.usage_in_bytes"
            else:
                continue
            # in a container the path is that of the host, and its own group stands at the top
            for folder in dict.fromkeys([top / path.lstrip("/"), *_above(path, top), top]):
                most, now = _number(folder / limit), _number(folder / used)
                if most is not None and now is not None and most < NO_LIMIT:
                    yield most - now + _kilobytes(folder / "memory.stat", "inactive_file", 1)


def _above(path: str, top: Path) -> list[Path]:
    return [top / part for part in list(map(str, Path(path.lstrip("/")).parents))[:-1]]


def _of_limits(root: Path) -> Iterator[int]:
    if resource is None:
        return
    for limit, held in ((resource.RLIMIT_AS, "VmSize:"), (resource.RLIMIT_DATA, "VmData:")):
        most, _ = resource.getrlimit(limit)
        if most != resource.RLIM_INFINITY:
            yield most - _kilobytes(root / "proc/self/status", held)


def _kilobytes(file: Path, name: str, unit: int = 1024) -> int:
    """Return the number behind ``name`` in a file of the system, in bytes; 0 where it is not."""
    with suppress(OSError, ValueError, IndexError):
        for line in file.read_text().splitlines():
            if line.startswith(name):
                return int(line.removeprefix(name).split()[0]) * unit
    return 0


def _number(file: Path) -> int | None:
    try:
        return int(file.read_text())
    except (OSError, ValueError):  # "max"
        return None
