"""N-MNIST (Orchard et al. 2015, doi:10.3389/fnins.2015.00437): MNIST before an event camera.

The camera moves in three saccades of about 100 ms in front of each digit. Its 34 x 34 pixels, or
squares of f x f of them (dataset.downsample), are one input for each polarity: channel
(floor(y / f) ceil(34 / f) + floor(x / f)) 2 + polarity, so 2,312 inputs of single pixels.

Train.zip, Test.zip    the published archives: 60,000 and 10,000 recordings
    Train/5/00001.bin      a recording of class 5: 5 bytes for each event,
        x, y, polarity (1 bit; 1: brighter) and time in us (23 bits, the most significant first)
    an event with y = 240 is none, but says that it and all after it are 2^13 us later

Any recordings in this form, in archives of these names, are read alike.
Source: https://www.garrickorchard.com/datasets/n-mnist
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from zipfile import BadZipFile, ZipFile, ZipInfo

import numpy as np

from snnrun.datasets.declaration import DataFile, DataSet, Part, Request
from snnrun.datasets.files import is_litter, needed, readable
from snnrun.datasets.packing import Events
from snnrun.errors import DataError

SIDE = 34  # pixels along x and y
CLASSES = 10
BYTES = 5  # of an event
OVERFLOW, LATER_US = 240, 1 << 13
AT_A_TIME = 256  # recordings
LAYOUT = "the layout is Train/CLASS/NUMBER.bin with CLASS from 0 to 9"


@dataclass(frozen=True, kw_only=True)
class Archive:
    """A zip archive of recordings: their files, and the class of each."""

    path: Path
    files: tuple[ZipInfo, ...]
    labels: np.ndarray

    @classmethod
    def of(cls, path: Path) -> Archive:
        """Return what an archive lists; DataError where that is not of this layout."""
        try:
            with ZipFile(path) as archive:
                entries = archive.infolist()
        except BadZipFile as error:
            raise DataError(f"{path} is not a whole zip archive: {error}") from error
        files = [e for e in entries if e.filename.endswith(".bin") and not is_litter(e.filename)]
        if not files:
            raise DataError(f"{path} holds no recordings; {LAYOUT}")
        labels = []
        for entry in files:
            name = PurePosixPath(entry.filename).parent.name
            if not (name.isdecimal() and int(name) < CLASSES):
                raise DataError(f"{path}: {entry.filename} is in no folder of a class; {LAYOUT}")
            if entry.file_size % BYTES:
                raise DataError(
                    f"{path}: {entry.filename} has {entry.file_size} bytes, which are no whole "
                    f"events of {BYTES} bytes"
                )
            labels.append(int(name))
        return cls(path=path, files=tuple(files), labels=np.array(labels))

    def blocks(self, factor: int) -> Iterator[Events]:
        """Yield the events of some recordings at a time, on the coarser grid of pixels."""
        try:
            with ZipFile(self.path) as archive:
                for first in range(0, len(self.files), AT_A_TIME):
                    some = self.files[first : first + AT_A_TIME]
                    yield self._events([archive.read(e) for e in some], some, factor)
        except BadZipFile as error:  # a checksum too
            raise DataError(f"{self.path} is damaged: {error}") from error

    def _events(self, contents: list[bytes], files: tuple[ZipInfo, ...], factor: int) -> Events:
        columns = -(-SIDE // factor)
        found = []
        for content, file in zip(contents, files, strict=True):
            x, y, polarity, time_us = decoded(content)
            if len(x) and max(x.max(), y.max()) >= SIDE:
                raise DataError(
                    f"{self.path}: {file.filename} has an event at x={x.max()}, y={y.max()} at "
                    f"most; pixels are 0 to {SIDE - 1}"
                )
            found.append((time_us, (y // factor * columns + x // factor) * 2 + polarity))
        times, channels = zip(*found, strict=True)
        return Events(
            counts=np.array([len(each) for each in times]),
            times_ms=np.concatenate(times) / 1000.0,
            channels=np.concatenate(channels),
        )


def decoded(content: bytes) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return x, y, polarity and time (us) of the events of a recording, int64 [events]."""
    x, y, high, middle, low = np.frombuffer(content, np.uint8).reshape(-1, BYTES).T.astype(np.int64)
    overflow = y == OVERFLOW
    time_us = ((high & 127) << 16 | middle << 8 | low) + LATER_US * np.cumsum(overflow)
    events = ~overflow
    return x[events], y[events], high[events] >> 7, time_us[events]


def read(request: Request) -> dict[str, Part]:
    """Return the parts, their pixels joined to squares of dataset.downsample."""
    factor = request.options.downsample
    side = -(-SIDE // factor)
    parts = {}
    for file in needed(NMNIST, request.parts):
        archive = Archive.of(readable(request.folder, file))
        parts[file.split] = Part(
            events=partial(archive.blocks, factor),
            labels=archive.labels,
            n_channels=2 * side * side,
            n_classes=CLASSES,
            class_names=tuple(map(str, range(CLASSES))),
            source=archive.path,
            at_most_events=sum(entry.file_size // BYTES for entry in archive.files),
            image=(side, side, 2),
        )
    return parts


NMNIST = DataSet(
    name="nmnist",
    title="N-MNIST (Orchard et al. 2015, doi:10.3389/fnins.2015.00437)",
    read=read,
    files=(DataFile(name="Train.zip", split="train"), DataFile(name="Test.zip", split="test")),
)
