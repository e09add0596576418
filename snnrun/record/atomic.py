"""Files that appear whole or not at all, whatever happens to the process or the disk meanwhile.

Every file of a run folder is written to a hidden temporary name in the same folder, flushed,
synced and renamed. A process that is killed leaves the old file, or the new one, and at most a
stale temporary file that the next start removes.
"""

from __future__ import annotations

import errno
import io
import os
import re
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import h5py

from snnrun.errors import SnnrunError

Result = TypeVar("Result")

_TEMPORARY = re.compile(r"\..+\.[0-9a-f]{8}\.tmp")

_FULL = (errno.ENOSPC, errno.EDQUOT)
_FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)
_GONE = (errno.ENOENT, errno.ENOTDIR)
_FOLDER_SYNC_UNSUPPORTED = (errno.EINVAL, errno.EBADF, errno.ENOTSUP, errno.EACCES)


class RecordError(SnnrunError):
    """A file of a run folder that cannot be written or read, or lacks what was asked for."""


@contextmanager
def atomic_file(path: str | Path, *, buffering: int = -1) -> Iterator[BinaryIO]:
    """Give a binary file to write to; it becomes ``path`` when the block ends without an error.

    After an error the temporary file is removed and what was at ``path`` before is still there. A
    full disk, a read-only folder and their like become a RecordError that says what to do.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        with open(temporary, "x+b", buffering=buffering) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        sync_folder(path.parent)
    except BaseException as error:
        with suppress(OSError):
            temporary.unlink()
        if isinstance(error, OSError) and error.filename in (None, str(temporary), temporary):
            raise write_error(path, error) from error
        raise


@contextmanager
def atomic_hdf5(path: str | Path) -> Iterator[h5py.File]:
    """Give an empty HDF5 file to fill; it becomes ``path`` when the block ends without an error."""
    with atomic_file(path, buffering=0) as raw:
        device = _Device(raw)
        try:
            with h5py.File(device, "w") as file:
                yield file
        except Exception:
            if device.error is not None:
                raise device.error from None
            raise
        if device.error is not None:
            raise device.error


class _Device(io.RawIOBase):
    """The file that HDF5 writes to. Remembers the first failure instead of letting HDF5 see it.

    HDF5 cannot close a file whose last writes fail, and may then take the process down with it. So
    it is told that all went well, and the error is raised once the file is closed.
    """

    def __init__(self, raw: BinaryIO) -> None:
        self.raw = raw
        self.error: OSError | None = None

    def _guard(self, action: Callable[..., Result], *arguments: Any, instead: Result) -> Result:
        try:
            return action(*arguments)
        except OSError as error:
            self.error = self.error or error
            return instead

    def readinto(self, buffer: Any) -> int | None:
        return self._guard(self._read, buffer, instead=0)

    def _read(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        data = self.raw.read(len(view))
        view[: len(data)] = data
        return len(data)

    def write(self, data: Any) -> int:
        view = memoryview(data).cast("B")
        done = 0
        while done < len(view) and self.error is None:  # the system may take less than it is given
            done += self._guard(self.raw.write, view[done:], instead=0) or 0
        return len(view)

    def seek(self, position: int, whence: int = os.SEEK_SET) -> int:
        return self.raw.seek(position, whence)

    def tell(self) -> int:
        return self.raw.tell()

    def truncate(self, size: int | None = None) -> int:
        return self._guard(self.raw.truncate, size, instead=size or 0)

    def flush(self) -> None:
        """Nothing is held back here; the data are synced once, before the rename."""

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True


def write_error(path: Path, error: OSError) -> RecordError:
    """Return the error to raise when ``path`` could not be written, with what to do about it."""
    if error.errno in _FULL:
        what = (
            "the disk is full, or your quota on it is used up. Free some space and resume the run, "
            "or start one on another disk with hydra.run.dir=FOLDER"
        )
    elif error.errno in _FORBIDDEN:
        what = (
            f"the folder {path.parent} cannot be written to ({error.strerror}). Change its "
            "permissions, or choose another folder with hydra.run.dir=FOLDER"
        )
    elif error.errno == errno.EFBIG:
        what = "the file would grow larger than this process may write. Raise the limit (ulimit -f)"
    elif error.errno in _GONE:
        what = f"there is no folder {path.parent}. Was it moved or deleted while the run went on?"
    elif error.errno == errno.EISDIR:
        what = "a folder has this name. Move it away"
    else:
        what = f"{error.strerror or error}. Check the disk that holds this folder"
    return RecordError(f"cannot write {path}: {what}")


def make_folders(*folders: Path) -> None:
    """Create folders, outermost first; the one that holds them all must exist."""
    for folder in folders:
        try:
            folder.mkdir(exist_ok=True)
        except OSError as error:
            raise write_error(folder, error) from error


def sync_folder(folder: Path) -> None:
    """Make renames and removals in ``folder`` outlast a loss of power, where that is possible."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _FOLDER_SYNC_UNSUPPORTED:
            raise
    finally:
        os.close(descriptor)


def remove_stale(folder: Path) -> list[Path]:
    """Remove and return the temporary files that dead processes left in ``folder``."""
    if not folder.is_dir():
        return []
    stale = [path for path in sorted(folder.iterdir()) if _TEMPORARY.fullmatch(path.name)]
    for path in stale:
        with suppress(OSError):
            path.unlink()
    return stale
