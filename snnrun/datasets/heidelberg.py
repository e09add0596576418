"""The HDF5 layout of the Heidelberg sets (Cramer et al. 2020, doi:10.1109/TNNLS.2020.3044364).

spikes/times   one vector of floats per example: seconds (float16 in the public files)
spikes/units   one vector of integers per example: channels
labels         one integer per example
extra/speaker  one integer per example   (may be missing)
extra/keys     names of the classes      (may be missing)
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from snnrun.datasets.declaration import Contents
from snnrun.datasets.packing import Events, steps_of
from snnrun.errors import DataError

ROWS = 128  # examples read at a time: a few MB
MS_PER_S = 1000.0


@dataclass(frozen=True, kw_only=True)
class Header:
    """All of a file but its events."""

    labels: np.ndarray  # int32 [n]
    speakers: np.ndarray | None  # int32 [n]
    class_names: tuple[str, ...]
    at_most_events: int  # the file has no room for more


def read_header(path: Path, n_classes: int) -> Header:
    """Return labels, speakers and class names of a file; DataError if they do not fit together."""
    with _opened(path) as file:
        times, units = (_vectors(file, path, name) for name in ("spikes/times", "spikes/units"))
        labels = _integers(file, path, "labels", len(times))
        speakers = None
        if "extra/speaker" in file:
            speakers = _integers(file, path, "extra/speaker", len(times))
        class_names = tuple(str(number) for number in range(n_classes))
        if "extra/keys" in file:
            class_names = tuple(_text(key) for key in file["extra/keys"][:])
        bytes_per_event = sum(h5py.check_vlen_dtype(d.dtype).itemsize for d in (times, units))
    if len(labels) == 0:
        raise DataError(f"{path} holds no examples")
    if labels.min() < 0 or labels.max() >= n_classes:
        raise DataError(
            f"{path}: labels run from {labels.min()} to {labels.max()}, "
            f"but must be 0 to {n_classes - 1}"
        )
    if len(class_names) != n_classes:
        raise DataError(f"{path}: extra/keys has {len(class_names)} names, expected {n_classes}")
    return Header(
        labels=labels,
        speakers=speakers,
        class_names=class_names,
        at_most_events=path.stat().st_size // bytes_per_event,
    )


def event_blocks(path: Path, dt_ms: float) -> Iterator[Events]:
    """Yield the events of a file on the time grid, some examples at a time."""
    # float16 has 65,536 values: a table of their steps is several times faster than arithmetic
    with np.errstate(invalid="ignore"):  # some of them are no numbers
        halves = np.arange(1 << 16, dtype=np.uint16).view(np.float16).astype(np.float64)
        step_of_half = steps_of(halves * MS_PER_S, dt_ms)
    for counts, times, units in _blocks(path):
        if times.dtype == np.float16:
            steps = step_of_half.take(times.view(np.uint16))
        else:
            steps = steps_of(times.astype(np.float64) * MS_PER_S, dt_ms)
        yield Events(counts=counts, steps=steps, channels=units)


def describe_file(path: Path, n_channels: int, n_classes: int) -> Contents:
    """Read a file from end to end and return what it holds; DataError where anything is wrong."""
    header = read_header(path, n_classes)
    counts, last_s = [np.zeros(0, np.int64)], 0.0
    for block_counts, times, units in _blocks(path):
        counts.append(block_counts)
        if len(times) == 0:
            continue
        if np.isnan(times).any():
            raise DataError(f"{path}: spikes/times holds times that are not numbers")
        if units.min() < 0 or units.max() >= n_channels:
            raise DataError(
                f"{path}: spikes/units runs from {units.min()} to {units.max()}, "
                f"but must be 0 to {n_channels - 1}"
            )
        last_s = max(last_s, float(times.max()))
    per_example = np.concatenate(counts)
    speakers = () if header.speakers is None else tuple(np.unique(header.speakers).tolist())
    return Contents(
        part=path.name,
        examples=len(per_example),
        classes=len(np.unique(header.labels)),
        channels=n_channels,
        events=int(per_example.sum()),
        least_events=int(per_example.min()),
        most_events=int(per_example.max()),
        last_ms=last_s * MS_PER_S,
        speakers=speakers,
    )


def _blocks(path: Path) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Yield (counts, times in s, channels) of some examples at a time, one after the other."""
    with _opened(path) as file:
        times, units = (_vectors(file, path, name) for name in ("spikes/times", "spikes/units"))
        for first in range(0, len(times), ROWS):
            rows_times, rows_units = times[first : first + ROWS], units[first : first + ROWS]
            counts = np.fromiter(map(len, rows_times), np.int64, len(rows_times))
            other = np.fromiter(map(len, rows_units), np.int64, len(rows_units))
            if (counts != other).any():
                row = int(np.flatnonzero(counts != other)[0])
                raise DataError(
                    f"{path}: example {first + row} has {counts[row]} times but {other[row]} "
                    f"channels"
                )
            yield counts, np.concatenate(rows_times), np.concatenate(rows_units)


@contextmanager
def _opened(path: Path) -> Iterator[h5py.File]:
    try:
        with h5py.File(path, "r") as file:
            yield file
    except (OSError, RuntimeError) as error:
        raise DataError(f"{path} is not a whole HDF5 file: {error}") from error


def _vectors(file: h5py.File, path: Path, name: str) -> h5py.Dataset:
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


def _integers(file: h5py.File, path: Path, name: str, n: int) -> np.ndarray:
    data = _member(file, path, name)
    if data.shape != (n,) or data.dtype.kind not in "iu":
        raise DataError(
            f"{path}: {name} must hold {n} integers, got {data.dtype} of shape {data.shape}"
        )
    return data[:].astype(np.int32)


def _member(file: h5py.File, path: Path, name: str) -> h5py.Dataset:
    data = file.get(name)
    if not isinstance(data, h5py.Dataset):
        raise DataError(
            f"{path} has no {name}: the layout of the Heidelberg sets has spikes/times, "
            "spikes/units and labels"
        )
    return data


def _text(key: bytes | str) -> str:
    return key.decode() if isinstance(key, bytes) else str(key)
