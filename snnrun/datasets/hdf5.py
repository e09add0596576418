"""HDF5 files of data: opened for reading without locks, with a message that fits what is wrong."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py

from snnrun.datasets.files import Located
from snnrun.errors import DataError

# What HDF5 says of a file that a writer has open, or left without closing it
OPEN_ELSEWHERE = ("already open for write", "consistency flag", "SWMR")


@contextmanager
def opened(file: Path | Located) -> Iterator[h5py.File]:
    """Open a file for reading; messages name the user's file, which may be a packed one.

    No lock is taken: the file is only read, some disks have no locks, and another program may hold
    one. Raises DataError for a file that cannot be opened, or that is found damaged while open.
    """
    path = file.path if isinstance(file, Located) else file
    try:
        with h5py.File(path, "r", locking=False) as content:
            yield content
    except PermissionError as error:
        raise DataError(f"{file}: you may not read this file. Change its permissions") from error
    except FileNotFoundError as error:
        raise DataError(f"{file}: there is no such file") from error
    except (OSError, RuntimeError) as error:
        if any(text in str(error) for text in OPEN_ELSEWHERE):
            raise DataError(
                f"{file}: another program has this file open for writing, or ended without closing "
                "it. Close it there; if nothing has it open any more, the tool h5clear of HDF5 "
                f"makes it readable: h5clear -s {path}"
            ) from error
        raise DataError(f"{file} is not a whole HDF5 file: {error}") from error
