"""Where files lie, and how packed ones are opened."""

from __future__ import annotations

import gzip
import hashlib
import os
import shutil
import zlib
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO
from zipfile import BadZipFile, ZipFile

from snnrun.datasets.declaration import DataFile, DataSet
from snnrun.errors import DataError
from snnrun.files import atomic_path, cache_root, usable


@dataclass(frozen=True, kw_only=True)
class Located:
    """A file that can be opened, and where it comes from.

    path    what to open: the file itself, or an unpacked copy of it
    source  the user's file, which is what messages name
    """

    path: Path
    source: Path

    def __str__(self) -> str:
        return str(self.source)


ANOTHER_FOLDER = "Name another folder with dataset.path=FOLDER or the variable SNNRUN_DATA"


def data_folder(dataset: DataSet, path: str | None) -> Path:
    """Return where the files of a data set are expected.

    ``path`` (dataset.path) if given, else $SNNRUN_DATA/NAME, else NAME in the data folder of the
    cache. NAME is that of the data set, or of the one whose files it shares.
    """
    name = dataset.folder or dataset.name
    if path is not None:
        return Path(os.path.expanduser(path))
    if os.environ.get("SNNRUN_DATA", "").strip():
        return Path(os.path.expanduser(os.environ["SNNRUN_DATA"])) / name
    return cache_root() / "data" / name


def needed(dataset: DataSet, parts: Collection[str]) -> tuple[DataFile, ...]:
    """Return the files of ``parts``."""
    return tuple(file for file in dataset.files if file.split in parts)


def find_file(folder: Path, file: DataFile) -> Path | None:
    """Return the path of a file in ``folder``, plain or packed; None where it is not there.

    Raises:
        DataError: The folder may not be looked into.
    """
    try:
        return next((folder / c for c in file.candidates if (folder / c).is_file()), None)
    except OSError as error:
        raise DataError(
            f"{folder}: may not be looked into ({error.strerror}). {ANOTHER_FOLDER}"
        ) from error


def located(folder: Path, file: DataFile) -> Located:
    """Return a file that the reader can open; a packed one is unpacked to the cache if need be."""
    source = find_file(folder, file)
    if source is None:
        raise DataError(f"there is no {file.name} (nor .gz, nor .zip of it) in {folder}")
    packed = file.unpack and source.name != file.name
    return Located(path=unpacked(source, file.name) if packed else source, source=source)


def readable(folder: Path, file: DataFile) -> Path:
    """Return the path of what ``located`` finds."""
    return located(folder, file).path


def is_litter(name: str | PurePosixPath) -> bool:
    """Return whether a name is one that macOS adds: ._NAME, .DS_Store, or below __MACOSX."""
    parts = PurePosixPath(name).parts
    return any(part.startswith("._") or part in ("__MACOSX", ".DS_Store") for part in parts)


def unpacked(path: Path, member: str) -> Path:
    """Return an unpacked copy of a packed file, in the cache."""
    return cached(path, member, lambda target: unpack(path, member, target))


def cached(path: Path, member: str, make: Callable[[Path], None]) -> Path:
    """Return what ``make`` wrote of the file ``path``, in the cache; ``member`` names its form.

    It belongs to the path, size and time of the file, so that it is made once, and made anew when
    the file changes. ``make`` gets the path to write to, where it must appear whole or not at all.
    """
    folder, about = _cache_of(path), path.stat()
    target = folder / f"{about.st_size}-{about.st_mtime_ns}-{member}"
    if not target.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        make(target)
        for other in folder.glob("[0-9]*"):
            if other != target:
                other.unlink(missing_ok=True)
    return target


def forget(path: Path) -> None:
    """Remove from the cache what was made of the file ``path``."""
    shutil.rmtree(_cache_of(path), ignore_errors=True)


def _cache_of(path: Path) -> Path:
    place = hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:16]
    return usable(cache_root() / "unpacked", "XDG_CACHE_HOME") / place


def unpack(path: Path, member: str, target: Path) -> None:
    """Write the content of a packed file to ``target``, which appears whole or not at all."""
    with (
        atomic_path(target) as partial,
        partial.open("wb") as out,
        open_packed(path, member) as packed,
    ):
        shutil.copyfileobj(packed, out, 1 << 20)


@contextmanager
def open_packed(path: Path, member: str) -> Iterator[IO[bytes]]:
    """Open a plain, .gz or .zip file for reading what it holds; damage raises DataError.

    ``member`` is the name of the file within a .zip, in whatever folder of it.
    """
    try:
        if path.suffix == ".gz":
            with gzip.open(path, "rb") as stream:
                yield stream  # type: ignore[misc]  # GzipFile reads bytes
        elif path.suffix == ".zip":
            with ZipFile(path) as archive:
                names = (name for name in archive.namelist() if not is_litter(name))
                found = [name for name in names if PurePosixPath(name).name == member]
                if len(found) != 1:
                    raise DataError(f"{path} holds {len(found)} files called {member}, not one")
                with archive.open(found[0]) as stream:
                    yield stream
        else:
            with path.open("rb") as stream:
                yield stream
    except (gzip.BadGzipFile, BadZipFile, EOFError, zlib.error) as error:
        raise DataError(f"{path} is damaged or incomplete: {error}") from error
