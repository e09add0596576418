"""What a data set is to the rest of the package: a frozen constant that says how to read it.

A data set of your own lives in any module that Python finds, and is named by its dotted path:

    # mylab/data.py
    import numpy as np
    from snnrun.datasets import DataSet, Events, from_files, pack_for

    def read(config):
        def spikes(part):
            times_ms, channels, counts, labels = ...       # yours, of the part "train" or "test"
            events = Events(times_ms=times_ms, channels=channels, counts=counts)
            return pack_for(config, events, labels=labels, n_channels=100, n_classes=4)

        sizes = {"train": ("train", 800), "test": ("test", 200)}
        return from_files(config, "my_set", sizes, spikes)

    my_set = DataSet(name="my_set", title="what it is", read=read)

with a file that says its defaults, and may have options of its own for ``config.dataset``:

    # @package _global_
    # my_conf/dataset/my_set.yaml
    dataset: {name: mylab.data.my_set}
    TRIAL_MS: 500.0

and then `snnrun train --config-dir my_conf dataset=my_set`; README.md has one that can be pasted.
``from_files`` takes the examples that N_TRAIN, N_VALIDATE, N_TEST, EVALUATION and REDUCED_CLASSES
ask for; read() may also return Splits of its own making. ``snnrun.datasets.files`` knows the place
of files. With ``files`` and ``describe`` as well, `snnrun data info | verify | fetch` work for it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from snnrun.datasets.spikes import SpikeData, Splits
from snnrun.errors import ConfigError, DataError, did_you_mean
from snnrun.load import load_object

PARTS = ("train", "validation", "test")
BUILT_IN = {
    "dvs": "snnrun.datasets.dvs.DVS",
    "mnist": "snnrun.datasets.mnist.MNIST",
    "pattern": "snnrun.datasets.pattern.PATTERN",
    "shd": "snnrun.datasets.shd.SHD",
    "smnist": "snnrun.datasets.smnist.SMNIST",
    "ssc": "snnrun.datasets.ssc.SSC",
    "yinyang": "snnrun.datasets.yinyang.YINYANG",
}


@dataclass(frozen=True, kw_only=True)
class DataFile:
    """One file of a data set.

    name    as the reader knows it (shd_train.h5); packed, as NAME.gz or NAME.zip, it is found too
    split   "train", "validation" or "test": what it holds. Test files are not needed where N_TEST
            is 0, validation files only with EVALUATION=validation_set
    url     address of the published file, None where there is none
    md5     MD5 of the published file, as it is downloaded
    unpack  the reader cannot read a packed file itself
    """

    name: str
    split: str
    url: str | None = None
    md5: str | None = None
    unpack: bool = False

    def __post_init__(self) -> None:
        if self.split not in PARTS:
            raise DataError(
                f"DataFile {self.name}: split must be train, validation or test, got {self.split!r}"
            )
        if (self.url is None) != (self.md5 is None):
            raise DataError(f"DataFile {self.name}: url and md5 go together")

    @property
    def published(self) -> str:
        """Name of the published file, which may be packed."""
        return self.url.rpartition("/")[2] if self.url else self.name

    @property
    def candidates(self) -> tuple[str, ...]:
        """Names under which it may lie in a folder, the preferred one first."""
        return tuple(dict.fromkeys([self.name, f"{self.name}.gz", f"{self.name}.zip"]))


@dataclass(frozen=True, kw_only=True)
class Contents:
    """What a part of a data set holds, for `snnrun data info`."""

    part: str  # file name, or name of the split
    examples: int
    classes: int
    channels: int
    events: int
    least_events: int  # of an example
    most_events: int
    last_ms: float | None = None  # time of the last event of all; None before encoding
    speakers: tuple[int, ...] = ()


@dataclass(frozen=True, kw_only=True)
class DataSet:
    """A data set: how it is called, read, and where its files come from.

    name      folder and heading under which it is known
    title     one line: what it is, and its citation
    read      config -> Splits
    files     files that it is read from; none for a generated set
    describe  folder -> what each file holds; reads and checks the files from end to end, and raises
              DataError for a wrong or damaged one
    folder    folder of its files in the data folder, for sets that share files; by default its name
    own_validation  it has a validation set of its own, which read() gives for
              EVALUATION=validation_set
    """

    name: str
    title: str
    read: Callable[[Any], Splits]
    files: tuple[DataFile, ...] = ()
    describe: Callable[[Path], tuple[Contents, ...]] | None = None
    folder: str | None = None
    own_validation: bool = False

    def __post_init__(self) -> None:
        if self.files and self.describe is None:
            raise DataError(f"DataSet {self.name}: one with files needs describe as well")

    @property
    def public(self) -> bool:
        """Whether all files have a published address."""
        return bool(self.files) and all(file.url for file in self.files)


def find(name: str) -> DataSet:
    """Return the data set called ``name``: built in, or the dotted path of a user's DataSet."""
    if name not in BUILT_IN and "." not in name:
        raise ConfigError(
            f"dataset.name={name}: there is no such data set. Built in are "
            f"{', '.join(BUILT_IN)}; one of "
            f"your own is named by its dotted path, such as mylab.data.{name}."
            + did_you_mean(name, BUILT_IN)
        )
    found = load_object(BUILT_IN.get(name, name), "dataset.name")
    if not isinstance(found, DataSet):
        raise ConfigError(
            f"dataset.name={name}: this is a {type(found).__name__}, but must be a "
            "snnrun.datasets.DataSet, for example DataSet(name=..., title=..., read=...)"
        )
    return found


def contents_of(part: str, data: SpikeData, examples: np.ndarray, dt_ms: float) -> Contents:
    """Return what the ``examples`` of ``data`` hold, on the grid."""
    counts = np.diff(data.offsets)[examples]
    occupied = (np.diff(data.step_pointers[examples].astype(np.int64), axis=1) > 0).any(axis=0)
    last = int(np.flatnonzero(occupied)[-1]) if occupied.any() else 0
    speakers = () if data.speakers is None else np.unique(data.speakers[examples]).tolist()
    return Contents(
        part=part,
        examples=len(examples),
        classes=len(np.unique(data.labels[examples])),
        channels=data.n_channels,
        events=int(counts.sum()),
        least_events=int(counts.min()) if len(counts) else 0,
        most_events=int(counts.max(initial=0)),
        last_ms=last * dt_ms,
        speakers=tuple(speakers),
    )
