"""Pieces of ``run.h5`` that its writer and its reader share: opening it, and its provenance."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType

import h5py
import numpy as np

from snnrun.errors import RecordError
from snnrun.record.columns import TEST, describe
from snnrun.record.paths import RunPaths, is_of_sweep, told_of_sweep
from snnrun.record.provenance import CONFIG
from snnrun.record.table import read_columns
from snnrun.tasks import CLASSIFICATION, TASKS, Task

FORMAT = 1

Held = Mapping[Path, bytes]  # files of a run that was not kept on disk
NOT_HELD: Held = MappingProxyType({})

_LONGEST_ATTRIBUTE = 32_000  # HDF5 refuses attributes of 64 KiB; a longer text becomes a data set


@contextmanager
def open_recorded(path: Path, held: Held = NOT_HELD) -> Iterator[h5py.File]:
    """Open a file of a run folder for reading. What is wrong with it becomes a RecordError.

    No lock is taken: a file never changes once it has its name, and some disks have no locks.
    """
    source = io.BytesIO(held[path]) if path in held else path
    try:
        with h5py.File(source, "r", locking=False) as file:
            yield file
    except FileNotFoundError:
        raise RecordError(f"{path}: there is no such file") from None
    except PermissionError:
        raise RecordError(f"{path}: you may not read this file. Change its permissions") from None
    except (OSError, KeyError, RuntimeError) as error:
        raise RecordError(
            f"{path}: damaged or not written by snnrun ({error}). If it was copied, copy it again; "
            "else check the disk"
        ) from error


@contextmanager
def open_run(paths: RunPaths, held: Held = NOT_HELD) -> Iterator[h5py.File]:
    """Open ``run.h5`` for reading, or raise a RecordError that says what the folder is instead."""
    if not held:
        _refuse_no_run(paths)
    with open_recorded(paths.run, held) as file:
        version = int(file.attrs["format"])
        if version > FORMAT:
            raise RecordError(
                f"{paths.run}: written by a newer snnrun (format {version}; this one reads up to "
                f"{FORMAT}). Upgrade snnrun: pip install --upgrade snnrun"
            )
        yield file


def _refuse_no_run(paths: RunPaths) -> None:
    if not paths.root.is_dir():
        raise RecordError(f"{paths.root}: there is no such folder. `snnrun runs` lists the runs")
    if not paths.run.exists():
        if is_of_sweep(paths.root):
            raise RecordError(told_of_sweep(paths.root))
        raise RecordError(
            f"{paths.root}: holds no {paths.run.name}: not a run folder, or the run ended before "
            "it wrote anything. `snnrun runs` lists the runs"
        )


def write_provenance(group: h5py.Group, entries: Mapping[str, str | int]) -> None:
    """Write provenance as attributes, the configuration (a long text) as a data set."""
    for key, value in entries.items():
        if key == CONFIG or (isinstance(value, str) and len(value.encode()) > _LONGEST_ATTRIBUTE):
            group[key] = value
        else:
            group.attrs[key] = value


def read_provenance(group: h5py.Group) -> dict[str, str | int]:
    """Return what ``write_provenance`` has written."""
    entries: dict[str, str | int] = {
        key: value if isinstance(value, str) else int(value) for key, value in group.attrs.items()
    }
    texts = {k: v for k, v in group.items() if isinstance(v, h5py.Dataset) and v.shape == ()}
    return entries | {key: data.asstr()[()] for key, data in texts.items()}


def sessions(file: h5py.File) -> list[dict[str, str | int]]:
    """Return the provenance of every process that has worked on the run, oldest first."""
    earlier = file.get("sessions", {})
    return [read_provenance(earlier[key]) for key in sorted(earlier, key=int)] + [
        read_provenance(file)
    ]


def task_of(file: h5py.File) -> Task:
    """Return the task of a run. One of an older version does not name it, but has its figures."""
    name = file.attrs.get("task")
    if name is None:
        columns = file["trials"].keys()
        own = (task for task in TASKS.values() if task.figures and task.figures.keys() <= columns)
        return next(own, CLASSIFICATION)
    if name not in TASKS:
        raise RecordError(f"{file.filename}: task {name!r} is unknown to this snnrun; upgrade it")
    return TASKS[name]


def read_figures(group: h5py.Group) -> dict[str, np.ndarray]:
    """Return the columns of a group of ``run.h5``, by the names that they have today."""
    today = task_of(group.file).older_names
    return {today.get(name, name): values for name, values in read_columns(group).items()}


def write_test(group: h5py.Group, figures: Mapping[str, float]) -> None:
    """Write the figures of the test, each with its unit and meaning."""
    for name, value in figures.items():
        data = group.create_dataset(name, data=np.float64(value))
        if column := describe(TEST, name):
            data.attrs["unit"] = column.unit
            data.attrs["meaning"] = column.meaning
