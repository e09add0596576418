"""One process at a time in a folder, where the system and the disk have locks."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

try:
    import fcntl
except ImportError:  # not on Windows
    fcntl = None  # type: ignore[assignment]


@contextmanager
def one_at_a_time(folder: Path) -> Iterator[None]:
    """Let one process at a time into the block, of all that name the same folder.

    The folder must exist; nothing is written to it, and a process that dies holds no lock. Where
    there are no locks (some network disks, systems without ``fcntl``) all are let in at once: what
    the block writes must appear whole or not at all in any case.
    """
    if fcntl is None:
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
