"""What a data set is to the rest of the package: a frozen constant that says how to read it.

A data set of your own lives in any module that Python finds, and is named by its dotted path:

    # mylab/data.py
    import numpy as np
    from snnrun.datasets import DataSet, Events, Part

    def read(request):
        return {name: part_of(name, request.options) for name in request.parts}

    def part_of(name, options):
        times_ms, channels, counts, labels = ...           # yours, of "train" or "test"
        events = Events(times_ms=times_ms, channels=channels, counts=counts)
        return Part(events=events, labels=labels, n_channels=100, n_classes=4)

    my_set = DataSet(name="my_set", title="what it is", read=read)

with a file that says its defaults, and may have options of its own for ``request.options``:

    # @package _global_
    # my_conf/dataset/my_set.yaml
    dataset: {name: mylab.data.my_set}
    TRIAL_MS: 500.0

and then `snnrun train --config-dir my_conf dataset=my_set`; docs/data.md has one to paste.
With ``files`` as well, `snnrun data info | verify | fetch` work for them.

A built-in one called NAME is the constant NAME of the module snnrun.datasets.name, with
conf/dataset/name.yaml.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from snnrun.datasets.packing import Events
from snnrun.datasets.spikes import Image
from snnrun.errors import ConfigError, DataError, did_you_mean
from snnrun.load import load_object
from snnrun.schema import DATASETS

PARTS = ("train", "validation", "test")


@dataclass(frozen=True, kw_only=True)
class Request:
    """What a run asks of a data set.

    parts     those that it needs: "train", and "validation" and "test" where they are used
    folder    where the files of the data set are
    options   values of the group ``dataset`` by attribute, with those of the data set's own
    sizes     part -> number of examples asked for, None for all; a generated set makes as many
    seeds     part -> seed of what is drawn for it
    trial_ms  length of a trial
    steps     steps of a trial
    """

    parts: tuple[str, ...]
    folder: Path
    options: Any
    sizes: Mapping[str, int | None]
    seeds: Mapping[str, int]
    trial_ms: float
    steps: int


@dataclass(frozen=True, kw_only=True)
class Part:
    """All examples of a part of a data set.

    events       one Events, or a function that gives them some examples at a time, which is called
                 when they are needed
    labels       integers [n]: the class of each example
    n_channels   input channels
    n_classes    classes; labels are 0 .. n_classes - 1
    speakers     integers [n], where the set knows them
    class_names  one for each class
    image        (rows, columns, channels of a pixel) where the channels are pixels, row by row
    source       what messages call it; by default its name
    at_most_events  no more than these, where that is known
    count_channels  n_channels is that of the public set; where the events use more, or none of its
                 last quarter, this function counts those of the set
    targets      (times in ms, outputs) of the spikes that n_classes outputs should emit in a trial;
                 then there is one example
    courses      numbers [n, steps, n_classes]: the potentials that n_classes outputs should have at
                 the end of every step of a trial; labels are then 0
    about        further words on it for the description of a run's data
    """

    events: Events | Callable[[], Iterable[Events]]
    labels: np.ndarray
    n_channels: int
    n_classes: int
    speakers: np.ndarray | None = None
    class_names: tuple[str, ...] = ()
    image: Image | None = None
    source: str | Path = ""
    at_most_events: int = 0
    count_channels: Callable[[], int] | None = None
    targets: tuple[np.ndarray, np.ndarray] | None = None
    courses: np.ndarray | None = None
    about: str = ""

    def blocks(self) -> Iterable[Events]:
        """Return the events, some examples at a time."""
        return [self.events] if isinstance(self.events, Events) else self.events()


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
class DataSet:
    """A data set: how it is called, read, and where its files come from.

    name      folder and heading under which it is known
    title     one line: what it is, and its citation
    read      Request -> its parts by name; opens files, but leaves events to be read later
    files     files that it is read from; none for a generated set
    folder    folder of its files in the data folder, for sets that share files; by default its name
    generated  its parts have as many examples as are asked for; what has fewer is shown repeatedly
    made_for_trial  its times are made for the trial, so that they fit; files may hold any
    pixels    its channels are the pixels of images, so that weights are shown as images too
    advice    what to do where its events lie outside the trial
    """

    name: str
    title: str
    read: Callable[[Request], Mapping[str, Part]]
    files: tuple[DataFile, ...] = ()
    folder: str | None = None
    generated: bool = False
    made_for_trial: bool = False
    pixels: bool = False
    advice: str = ""

    @property
    def public(self) -> bool:
        """Whether all files have a published address."""
        return bool(self.files) and all(file.url for file in self.files)

    @property
    def own_validation(self) -> bool:
        """Whether one of the files is a validation set."""
        return any(file.split == "validation" for file in self.files)


def find(name: str) -> DataSet:
    """Return the data set called ``name``: built in, or the dotted path of a user's DataSet."""
    if name not in DATASETS and "." not in name:
        raise ConfigError(
            f"dataset.name={name}: there is no such data set. Built in are "
            f"{', '.join(DATASETS)}; one of your own is named by its dotted path, such as "
            f"mylab.data.{name}." + did_you_mean(name, DATASETS)
        )
    path = f"snnrun.datasets.{name}.{name.upper()}" if name in DATASETS else name
    found = load_object(path, "dataset.name")
    if not isinstance(found, DataSet):
        raise ConfigError(
            f"dataset.name={name}: this is a {type(found).__name__}, but must be a "
            "snnrun.datasets.DataSet, for example DataSet(name=..., title=..., read=...)"
        )
    return found
