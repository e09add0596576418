"""Arrays that grow while data are put on the grid: in memory, or in files on a disk.

What lies on a disk is mapped, so that the system reads what is used and forgets it again where
memory is short. Whoever can open the files can map them too, as other processes of a run do. They
go when nothing uses them any more; those of a process that was killed go with the next one that
writes to the folder from the same machine. A lock of each file tells whether it is in use.
"""

from __future__ import annotations

import mmap
import os
import secrets
import socket
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from math import prod
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from snnrun.errors import DataError

try:
    import fcntl
except ImportError:  # not on Windows, where nothing is locked and stale files stay
    fcntl = None  # type: ignore[assignment]

KEY = "DATA_ON_DISK"
GROWTH = 1 << 19  # numbers that are reserved at a time, at least


class InMemory:
    """An array that grows by resizing; memory reserved but never written is not in use.

    Args:
        dtype: Of its numbers.
        room: Numbers to reserve.
        row: Shape of what is added, beside the number of rows; () for a vector.
    """

    def __init__(self, dtype: Any, room: int, row: tuple[int, ...] = ()) -> None:
        self._array = np.empty(room, dtype)
        self._used, self._row = 0, row

    def append(self, values: np.ndarray) -> None:
        """Add numbers at the end."""
        need = self._used + values.size
        if need > len(self._array):
            grown = max(need, self._used + self._used // 8 + GROWTH)
            self._array.resize(grown, refcheck=False)
        self._array[self._used : need] = values.ravel()
        self._used = need

    def finished(self) -> np.ndarray:
        """Return what was added, which nobody writes to any more."""
        self._array.resize(self._used, refcheck=False)
        self._array.flags.writeable = False
        return self._array.reshape(-1, *self._row)


class OnDisk:
    """An array that grows in a file.

    Args:
        dtype: Of its numbers.
        folder: Where the file is to lie; it is made if need be.
        row: Shape of what is added, beside the number of rows; () for a vector.

    Raises:
        DataError: Nothing can be written there, also when more is added.
    """

    def __init__(self, dtype: Any, folder: Path, row: tuple[int, ...] = ()) -> None:
        self._dtype, self._row = np.dtype(dtype), row
        with _told(folder):
            folder.mkdir(parents=True, exist_ok=True)
            _remove_stale(folder)
            self.path = (folder / f"{_prefix()}{secrets.token_hex(8)}").absolute()
            self._file = self.path.open("xb")
        self._gone = weakref.finalize(self, _remove, self.path)
        _lock(self._file)

    def append(self, values: np.ndarray) -> None:
        """Add numbers at the end."""
        with _told(self.path.parent):
            self._file.write(
                np.ascontiguousarray(values, self._dtype).reshape(-1).view(np.uint8).data
            )

    def finished(self) -> np.ndarray:
        """Return what was added, which can only be read."""
        with _told(self.path.parent):
            self._file.flush()
            found = mapped(self.path, self._dtype, self._row)
            self._file.close()
        if self._gone.detach():
            weakref.finalize(found, _remove, self.path)
        return found


def growing(
    dtype: Any, room: int, folder: Path | None, row: tuple[int, ...] = ()
) -> InMemory | OnDisk:
    """Return an array that grows in a file of ``folder``, or in memory, with ``room``."""
    return InMemory(dtype, room, row) if folder is None else OnDisk(dtype, folder, row)


def mapped(path: Path, dtype: Any, row: tuple[int, ...] = ()) -> np.ndarray:
    """Return the numbers of a file, rows of a shape, for reading only."""
    rows = path.stat().st_size // (np.dtype(dtype).itemsize * prod(row))
    if not rows:  # there is nothing to map
        return np.zeros((0, *row), dtype)
    with path.open("rb") as file:
        _lock(file)  # as long as there is the map, which keeps the file open
        return np.memmap(file, dtype, "r", shape=(rows, *row))


def file_of(thing: Any) -> Path | None:
    """Return the file whose whole content ``thing`` is, if it is an array that is mapped."""
    if not isinstance(thing, np.memmap) or thing.filename is None:
        return None
    path = Path(str(thing.filename))
    return path if thing.nbytes == path.stat().st_size else None


def read_ahead(array: np.ndarray, first: np.ndarray, last: np.ndarray) -> None:
    """Have the system read rows of an array from its disk, if it is on one, and return at once.

    From then on nothing else is read ahead: rows are read in any order, and what lies around them
    would only take the place of others in memory.

    Args:
        array: The array.
        first: Numbers of the first rows of ranges.
        last: Numbers of the rows behind their ends.
    """
    file = array.base
    if not isinstance(file, mmap.mmap) or not hasattr(mmap, "MADV_WILLNEED"):
        return
    file.madvise(mmap.MADV_RANDOM)
    row, page = array.strides[0], mmap.PAGESIZE
    starts = row * first // page * page
    for start, length in zip(starts.tolist(), (row * last - starts).tolist(), strict=True):
        if length:
            file.madvise(mmap.MADV_WILLNEED, start, length)


def _prefix() -> str:
    return f"snnrun-data-{socket.gethostname()}-"


def _lock(file: BinaryIO) -> None:
    if fcntl is not None:
        with suppress(OSError):  # a disk without locks
            fcntl.flock(file, fcntl.LOCK_SH)


def _remove_stale(folder: Path) -> None:
    for path in folder.glob(f"{_prefix()}*") if fcntl is not None else ():
        with suppress(OSError), path.open("rb") as file:  # in use, or somebody else's
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(file.fileno()).st_size:  # or it has just been made
                path.unlink()


def _remove(path: Path) -> None:
    with suppress(OSError):
        path.unlink()


@contextmanager
def _told(folder: Path) -> Iterator[None]:
    """Say what to do where a file cannot be written or mapped."""
    try:
        yield
    except OSError as error:
        raise DataError(
            f"{KEY}={folder}: the spikes of the data cannot be kept there: "
            f"{error.strerror or error}. They need room on a disk, as large as they are in memory; "
            f"name another folder, or use {KEY}=null to keep them in memory"
        ) from error
