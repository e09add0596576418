"""Files and folders: written whole or not at all, by one process at a time, kept in the cache.

A file appears under its name complete: it is written to a hidden temporary name in the same folder,
flushed, synced and renamed. A process that is killed leaves the old file, or the new one, and at
most a stale temporary file that the next start removes.
"""

from __future__ import annotations

import atexit
import errno
import os
import re
import secrets
import shutil
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from snnrun.errors import RecordError

try:
    import fcntl
except ImportError:  # not on Windows
    fcntl = None  # type: ignore[assignment]

_TEMPORARY = re.compile(r"\..+\.[0-9a-f]{8}\.tmp")

_FULL = (errno.ENOSPC, errno.EDQUOT)
_FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)
_FOLDER_SYNC_UNSUPPORTED = (errno.EINVAL, errno.EBADF, errno.ENOTSUP, errno.EACCES)

_made: dict[str, Path] = {}  # folder that cannot be used -> the one that is used in its stead
_lock = threading.Lock()


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Give a temporary path beside ``path``, which becomes ``path`` when the block succeeds.

    After an error what was written is removed, and what was at ``path`` before is still there.
    """
    temporary = temporary_beside(path)
    try:
        yield temporary
        with temporary.open("rb+") as written:
            os.fsync(written.fileno())
        os.replace(temporary, path)
        sync_folder(path.parent)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise


@contextmanager
def atomic_file(path: str | Path) -> Iterator[BinaryIO]:
    """Give a binary file to write to, as ``atomic_path``, for a file of a run folder.

    A full disk, a read-only folder and their like become a RecordError that says what to do.
    """
    path, temporary = Path(path), None
    try:
        with atomic_path(path) as temporary, open(temporary, "xb") as file:
            yield file
    except OSError as error:
        if error.filename not in (None, str(temporary), temporary):
            raise
        raise write_error(path, error) from error


def copy_file(source: Path, target: Path) -> None:
    """Copy a file to a run folder, whole or not at all."""
    make_folders(target.parent)
    with source.open("rb") as content, atomic_file(target) as out:
        shutil.copyfileobj(content, out)


def temporary_beside(path: Path) -> Path:
    """Return a hidden name in the same folder, for what is not yet, or no longer, whole."""
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")


def is_temporary(name: str) -> bool:
    """Return whether a name is one of ``temporary_beside``."""
    return bool(_TEMPORARY.fullmatch(name))


def size_of(folder: Path) -> int:
    """Return the bytes of all files in a folder, without those that links in it lead to."""
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):  # gone meanwhile
                total += os.lstat(os.path.join(place, name)).st_size
    return total


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
    elif error.errno == errno.ENOTDIR:
        file = next((place for place in path.parents if place.is_file()), path.parent)
        what = f"{file} is a file, no folder. Choose another folder"
    elif error.errno == errno.ENOENT:
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


@contextmanager
def one_at_a_time(place: Path) -> Iterator[None]:
    """Let one process at a time into the block, of all that name the same place.

    That is a folder that exists, to which nothing is written, or else a file, which is made if need
    be: NFS has locks of files only. A process that dies holds no lock. Where there are none (some
    network disks, systems without ``fcntl``) all are let in at once: what the block writes must
    appear whole or not at all in any case.
    """
    if fcntl is None:
        yield
        return
    how = os.O_RDONLY if place.is_dir() else os.O_RDWR | os.O_CREAT
    descriptor = os.open(place, how, 0o666)
    try:
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def home() -> Path | None:
    """Return the home folder; None where there is none: HOME is empty, the user unknown."""
    if not os.environ.get("HOME", "unset").strip():
        return None
    text = os.path.expanduser("~")
    return Path(text) if os.path.isabs(text) else None


def cache_root() -> Path:
    """Return the folder of what can be made again: $XDG_CACHE_HOME/snnrun, or ~/.cache/snnrun.

    Without a home it is a folder that does not exist and cannot be made; see `usable`.
    """
    base = os.environ.get("XDG_CACHE_HOME", "")
    if os.path.isabs(base):
        return Path(base) / "snnrun"
    return (home() or Path(os.devnull)) / ".cache" / "snnrun"


def usable(folder: Path, name: str) -> Path:
    """Return ``folder``, made if need be, or one that lasts as long as this process.

    Args:
        folder: A folder that nobody has asked for by name.
        name: The environment variable that would name another one, for what is said, once.
    """
    problem = why_not(folder)
    if not problem:
        return folder
    with _lock:
        if str(folder) not in _made:
            made = Path(tempfile.mkdtemp(prefix="snnrun-cache-"))
            atexit.register(shutil.rmtree, made, ignore_errors=True)
            _made[str(folder)] = made
            print(
                f"snnrun: {folder}: {problem}. What would be kept there is kept in {made} until "
                f"this process ends; {name}=FOLDER names a folder for good",
                file=sys.stderr,
                flush=True,
            )
        return _made[str(folder)]


def why_not(folder: Path, make: bool = True) -> str:
    """Return why nothing can be written to ``folder``; "" if it can.

    With ``make`` it is made if need be; without, it is enough that it could be made.
    """
    try:
        if make:
            folder.mkdir(parents=True, exist_ok=True)
        else:
            folder = next(path for path in (folder, *folder.absolute().parents) if path.exists())
        with tempfile.TemporaryFile(dir=folder):
            return ""
    except OSError as error:
        return error.strerror or str(error)
