"""The HDF5 layout of the Heidelberg sets (Cramer et al. 2020, doi:10.1109/TNNLS.2020.3044364).

spikes/times   one vector of floats per example: seconds (float16 in the public files)
spikes/units   one vector of integers per example: channels
labels         one integer per example
extra/speaker  one integer per example   (may be missing)
extra/keys     names of the classes      (may be missing)

The public sets have 700 channels, and 20 or 35 classes; other numbers are taken from the files.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial

import h5py
import numpy as np

from snnrun.datasets.declaration import DataFile, DataSet, Part, Request
from snnrun.datasets.files import Located, find_file, located
from snnrun.datasets.grid import LEAST_USED
from snnrun.datasets.hdf5 import opened
from snnrun.datasets.packing import Events
from snnrun.errors import DataError

SITE = "https://zenkelab.org/datasets"
ROWS = 128  # examples read at a time: a few MB
MS_PER_S = 1000.0
N_CHANNELS = 700  # of the inner ear that the public sets were made with
# float16 has 65,536 values: a table of their steps is several times faster than arithmetic
with np.errstate(invalid="ignore"):  # some of them are no numbers
    HALVES_MS = np.arange(1 << 16, dtype=np.uint16).view(np.float16).astype(np.float64) * MS_PER_S


def published(name: str, split: str, md5: str) -> DataFile:
    """Return a file of the site of the public sets."""
    return DataFile(name=name, split=split, url=f"{SITE}/{name}.zip", md5=md5, unpack=True)


def heidelberg_set(name: str, title: str, files: tuple[DataFile, ...]) -> DataSet:
    """Return the data set that has one file of this layout for each of its parts."""
    return DataSet(name=name, title=title, read=partial(read_files, files), files=files)


def read_files(files: Sequence[DataFile], request: Request) -> dict[str, Part]:
    """Return the parts of a set.

    The numbers of classes and channels are those of all its files, whichever of them are read.
    """
    folder, wanted = request.folder, [f for f in files if f.split in request.parts]
    headers = {f.split: read_header(located(folder, f)) for f in wanted}
    there = [f for f in files if find_file(folder, f)]
    known = list(headers.values())
    if not any(header.class_names for header in known):  # the labels of all files are counted
        known += [read_header(located(folder, f)) for f in there if f not in wanted]
    class_names = class_names_of(known)

    @cache
    def channels_of_all_files() -> int:
        return number_of_channels(max(highest_channel(located(folder, f)) for f in there))

    return {
        name: Part(
            events=partial(event_blocks, header.file),
            labels=header.labels,
            n_channels=N_CHANNELS,
            n_classes=len(class_names),
            speakers=header.speakers,
            class_names=class_names,
            source=str(header.file),
            at_most_events=header.at_most_events,
            count_channels=channels_of_all_files,
        )
        for name, header in headers.items()
    }


@dataclass(frozen=True, kw_only=True)
class Header:
    """All of a file but its events."""

    file: Located
    labels: np.ndarray  # int32 [n]
    speakers: np.ndarray | None  # int32 [n]
    class_names: tuple[str, ...]  # empty where the file has none
    at_most_events: int  # the file has no room for more


def read_header(file: Located) -> Header:
    """Return labels, speakers and class names of a file; DataError if they do not fit together."""
    with opened(file) as content:
        times, units = (_vectors(content, file, name) for name in ("spikes/times", "spikes/units"))
        labels = _integers(content, file, "labels", len(times))
        speakers = None
        if "extra/speaker" in content:
            speakers = _integers(content, file, "extra/speaker", len(times))
        class_names: tuple[str, ...] = ()
        if "extra/keys" in content:
            class_names = tuple(_text(key) for key in content["extra/keys"][:])
        bytes_per_event = sum(h5py.check_vlen_dtype(d.dtype).itemsize for d in (times, units))
    if len(labels) == 0:
        raise DataError(f"{file} holds no examples")
    return Header(
        file=file,
        labels=labels,
        speakers=speakers,
        class_names=class_names,
        at_most_events=file.path.stat().st_size // bytes_per_event,
    )


def class_names_of(headers: Sequence[Header]) -> tuple[str, ...]:
    """Return the names of the classes of a set: its files' own, or the numbers of its labels.

    Raises DataError where the files name different classes, and for labels without a name.
    """
    naming = [header for header in headers if header.class_names]
    highest = max(int(header.labels.max()) for header in headers)
    names = naming[0].class_names if naming else tuple(map(str, range(highest + 1)))
    for header in naming[1:]:
        if header.class_names != names:
            raise DataError(
                f"{header.file}: extra/keys names {_shortened(header.class_names)}, but that of "
                f"{naming[0].file} {_shortened(names)}; files of one set must have the same"
            )
    for header in headers:
        lowest, highest = header.labels.min(), header.labels.max()
        if lowest < 0 or highest >= len(names):
            known = f"extra/keys names {len(names)} classes, so they " if naming else ""
            raise DataError(
                f"{header.file}: labels run from {lowest} to {highest}, but {known}must be 0 to "
                f"{len(names) - 1}"
            )
    return names


def _shortened(names: Sequence[str]) -> str:
    shown = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
    return f"{len(names)} classes ({shown})"


def number_of_channels(highest: int) -> int:
    """Return how many channels a set has whose highest one is ``highest``."""
    used = highest + 1
    return N_CHANNELS if LEAST_USED * N_CHANNELS <= used <= N_CHANNELS else used


def highest_channel(file: Located) -> int:
    """Return the highest channel that has an event; reads all channels of a file."""
    return max((int(units.max()) for _, _, units in _blocks(file) if len(units)), default=0)


def event_blocks(file: Located) -> Iterator[Events]:
    """Yield the events of a file, some examples at a time."""
    for counts, times, units in _blocks(file):
        if times.dtype == np.float16:
            halves = times.view(np.uint16)
            yield Events(counts=counts, times_ms=HALVES_MS, which=halves, channels=units)
        else:
            times_ms = times.astype(np.float64) * MS_PER_S
            yield Events(counts=counts, times_ms=times_ms, channels=units)


def _blocks(file: Located) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Yield (counts, times in s, channels) of some examples at a time, one after the other."""
    with opened(file) as content:
        times, units = (_vectors(content, file, name) for name in ("spikes/times", "spikes/units"))
        for first in range(0, len(times), ROWS):
            rows_times, rows_units = times[first : first + ROWS], units[first : first + ROWS]
            counts = np.fromiter(map(len, rows_times), np.int64, len(rows_times))
            other = np.fromiter(map(len, rows_units), np.int64, len(rows_units))
            if (counts != other).any():
                row = int(np.flatnonzero(counts != other)[0])
                raise DataError(
                    f"{file}: example {first + row} has {counts[row]} times but {other[row]} "
                    f"channels"
                )
            yield counts, np.concatenate(rows_times), np.concatenate(rows_units)


def _vectors(file: h5py.File, path: Located, name: str) -> h5py.Dataset:
    """Return one of the two data sets of events, after checking its shape and number type."""
    data = _member(file, path, name)
    kind = h5py.check_vlen_dtype(data.dtype)
    wanted, allowed = ("floats", "f") if name.endswith("times") else ("integers", "iu")
    if kind is None or kind.kind not in allowed or data.ndim != 1:
        raise DataError(
            f"{path}: {name} must hold one vector of {wanted} per example, got "
            f"{kind or data.dtype} of shape {data.shape}"
        )
    labels = _member(file, path, "labels")
    if labels.shape != data.shape:
        raise DataError(f"{path}: labels has shape {labels.shape}, but {name} {data.shape}")
    return data


def _integers(file: h5py.File, path: Located, name: str, n: int) -> np.ndarray:
    data = _member(file, path, name)
    if data.shape != (n,) or data.dtype.kind not in "iu":
        raise DataError(
            f"{path}: {name} must hold {n} integers, got {data.dtype} of shape {data.shape}"
        )
    return data[:].astype(np.int32)


def _member(file: h5py.File, path: Located, name: str) -> h5py.Dataset:
    data = file.get(name)
    if not isinstance(data, h5py.Dataset):
        raise DataError(
            f"{path} has no {name}: the layout of the Heidelberg sets has spikes/times, "
            "spikes/units and labels"
        )
    return data


def _text(key: bytes | str) -> str:
    return key.decode() if isinstance(key, bytes) else str(key)
