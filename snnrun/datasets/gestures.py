"""The archives of the DVS128 gestures, as tonic has them: one tar of NumPy files for each split.

ibmGestureTrain/user01_fluorescent_led/3.npy    a recording: user 1, class 3
    numbers [events, 4]: x, y (0 .. 127 in the public set), polarity (1: brighter), time in ms

Other cameras and numbers of classes are taken from what the archives hold. An archive is read from
its first to its last byte, one recording in memory at a time; nothing is unpacked to files. Since
that takes a minute for the public archives, ``converted`` keeps what it reads in a compact HDF5
file in the cache.
"""

from __future__ import annotations

import io
import re
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

import h5py
import numpy as np

from snnrun.datasets.files import cached, is_litter, open_packed
from snnrun.errors import DataError
from snnrun.files import atomic_path

LARGEST = (1 << 15) - 1  # of x and y
MOST_CLASSES = 1000
CHUNK = 1 << 16  # events, or bytes
END = 1024  # zero bytes at the end of a tar archive
USER = re.compile(r"user(\d+)")
NUMBER = re.compile(r"\d+")
LAYOUT = "the layout is ibmGesture.../USER/CLASS.npy with a number as CLASS, from 0"


@dataclass(frozen=True, kw_only=True)
class Recording:
    """One gesture.

    pixels     uint32 [events]   y 2^17 + x 2 + polarity
    times_ms   float64 [events]
    label      class, from 0
    user       number of the person, -1 where the folder has none
    """

    pixels: np.ndarray
    times_ms: np.ndarray
    label: int
    user: int


def recordings(path: Path, member: str) -> Iterator[Recording]:
    """Yield the recordings of an archive, in its order; DataError where anything is wrong."""
    found = False
    try:
        with open_packed(path, member) as packed:
            stream = _Ending(packed)
            # mypy asks for a whole file, but this mode only reads
            with tarfile.open(fileobj=stream, mode="r|") as archive:  # type: ignore[call-overload]
                for entry in archive:
                    name = PurePosixPath(entry.name)
                    if entry.isfile() and name.suffix == ".npy" and not is_litter(name):
                        found = True
                        yield _recording(f"{path}: {name}", name, archive.extractfile(entry))
            whole = stream.ends_as_archives_do()
    except tarfile.TarError as error:
        raise DataError(f"{path} is not a whole tar archive: {error}") from error
    if not whole:  # tarfile takes one that breaks off between two files for complete
        raise DataError(f"{path} is not a whole tar archive: it breaks off before its end")
    if not found:
        raise DataError(f"{path} holds no recordings; {LAYOUT}")


class _Ending:
    """A stream that remembers the last bytes that were read."""

    def __init__(self, stream: IO[bytes]) -> None:
        self.stream, self.tail = stream, b""

    def read(self, size: int) -> bytes:
        content = self.stream.read(size)
        self.tail = (self.tail + content[-END:])[-END:]
        return content

    def ends_as_archives_do(self) -> bool:
        """Read on to the end, which makes gzip compare its checksum; tell whether it is zeros."""
        while self.read(CHUNK):
            pass
        return self.tail == bytes(END)


def _recording(where: str, name: PurePosixPath, stream: IO[bytes] | None) -> Recording:
    if not NUMBER.fullmatch(name.stem) or int(name.stem) >= MOST_CLASSES:
        raise DataError(f"{where} has no class in its name; {LAYOUT}")
    content = b"" if stream is None else stream.read()
    try:
        events = np.load(io.BytesIO(content), allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise DataError(f"{where} is not a whole NumPy file: {error}") from error
    if events.dtype.kind not in "iuf" or events.ndim != 2 or events.shape[1] != 4:
        raise DataError(
            f"{where} must hold the four columns x, y, polarity, time in ms, got {events.dtype} of "
            f"shape {events.shape}"
        )
    for column, values, most in zip("xyp", events.T, (LARGEST, LARGEST, 1), strict=False):
        if not ((values >= 0) & (values <= most)).all():
            raise DataError(
                f"{where}: {column} runs from {values.min()} to {values.max()}, but must be 0 to "
                f"{most}"
            )
        if values.dtype.kind == "f" and (values != np.floor(values)).any():
            odd = values[values != np.floor(values)][0]
            raise DataError(
                f"{where}: {column} must be a whole number, the place of a pixel, got {odd:g}"
            )
    x, y, polarity = events[:, :3].astype(np.int64).T
    user = USER.match(name.parent.name)
    return Recording(
        pixels=(y << 17 | x << 1 | polarity).astype(np.uint32),
        times_ms=events[:, 3].astype(np.float64),
        label=int(name.stem),
        user=int(user[1]) if user else -1,
    )


def places(pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return x, y and polarity of pixels as a Recording has them, int64 [events]."""
    wide = pixels.astype(np.int64)
    return wide >> 1 & 0xFFFF, wide >> 17, wide & 1


def converted(path: Path, member: str) -> Path:
    """Return the HDF5 file that holds the recordings of an archive; it is made once, in the cache.

    pixels, times_ms of all recordings one after the other, and counts, labels, users of each;
    attributes width and height: pixels up to the last one that has an event.
    """
    return cached(path, f"{member}.events.h5", lambda target: _convert(path, member, target))


def _convert(path: Path, member: str, target: Path) -> None:
    about: dict[str, list[int]] = {"counts": [], "labels": [], "users": []}
    options = {"maxshape": (None,), "chunks": (CHUNK,), "compression": "lzf", "shuffle": True}
    with atomic_path(target) as partial, h5py.File(partial, "w", locking=False) as file:
        pixels = file.create_dataset("pixels", (0,), np.uint32, **options)
        times = file.create_dataset("times_ms", (0,), np.float64, **options)
        width = height = 0
        for recording in recordings(path, member):
            start, count = len(pixels), len(recording.pixels)
            for data, values in ((pixels, recording.pixels), (times, recording.times_ms)):
                data.resize((start + count,))
                data[start:] = values
            x, y, _ = places(recording.pixels)
            width, height = max(width, 1 + x.max(initial=-1)), max(height, 1 + y.max(initial=-1))
            about["counts"].append(count)
            about["labels"].append(recording.label)
            about["users"].append(recording.user)
        for name, numbers in about.items():
            file[name] = np.array(numbers, np.int64)
        file.attrs["width"], file.attrs["height"] = width, height
