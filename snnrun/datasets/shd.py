"""Spiking Heidelberg Digits (Cramer et al. 2020, doi:10.1109/TNNLS.2020.3044364).

20 spoken digits (0-9 English, 10-19 German) on 700 channels; 8,156 training examples of ten
speakers and 2,264 test examples, two speakers of which are in the test file only. Any folder with
files of the same names and layout works as well. Source: https://zenkelab.org/datasets/
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from snnrun.datasets.declaration import Contents, DataFile, DataSet
from snnrun.datasets.files import data_folder, find_file, located, needed
from snnrun.datasets.heidelberg import (
    LEAST_USED,
    N_CHANNELS,
    Header,
    class_names_of,
    describe_file,
    event_blocks,
    highest_channel,
    number_of_channels,
    read_header,
)
from snnrun.datasets.packing import ChannelError, pack
from snnrun.datasets.spikes import SpikeData, Splits
from snnrun.datasets.validation import from_own_files

SITE = "https://zenkelab.org/datasets"
TRAIN = DataFile(
    name="shd_train.h5",
    split="train",
    url=f"{SITE}/shd_train.h5.zip",
    md5="f3252aeb598ac776c1b526422d90eecb",
    unpack=True,
)
TEST = DataFile(
    name="shd_test.h5",
    split="test",
    url=f"{SITE}/shd_test.h5.zip",
    md5="1503a5064faa34311c398fb0a1ed0a6f",
    unpack=True,
)


def read(config: Any) -> Splits:
    """Read the splits that N_TRAIN, N_VALIDATE and N_TEST ask for."""
    return read_set(SHD, config)


def read_set(dataset: DataSet, config: Any) -> Splits:
    """Read the splits of a set that consists of one file of SHD's layout for each of its splits.

    The numbers of classes and channels are those of all its files, whichever of them are read.
    """
    folder = data_folder(dataset, config)
    headers = {f.split: read_header(located(folder, f)) for f in needed(dataset, config)}
    class_names = _class_names(dataset, folder, headers)

    @cache
    def channels_of_all_files() -> int:
        files = [located(folder, f) for f in dataset.files if find_file(folder, f)]
        return number_of_channels(max(map(highest_channel, files)))

    def pack_with(split: str, n_channels: int) -> SpikeData:
        header = headers[split]
        return pack(
            event_blocks(header.file, config.DT_MS, config.dataset.start),
            labels=header.labels,
            n_steps=config.steps,
            dt_ms=config.DT_MS,
            start=config.dataset.start,
            n_channels=n_channels,
            n_classes=len(class_names),
            merge=config.dataset.merge,
            speakers=header.speakers,
            class_names=class_names,
            source=str(header.file),
            at_most_events=header.at_most_events,
        )

    def pack_file(split: str) -> SpikeData:
        """Pack a file as one of 700 channels, and look into all files where it is none."""
        try:
            data = pack_with(split, N_CHANNELS)
        except ChannelError:
            return pack_with(split, channels_of_all_files())
        if _uses_most_channels(data):
            return data
        return _with_channels(data, channels_of_all_files())

    sizes = {split: (header.file.source, len(header.labels)) for split, header in headers.items()}
    return from_own_files(config, dataset.name, sizes, pack_file)


def _class_names(dataset: DataSet, folder: Path, headers: dict[str, Header]) -> tuple[str, ...]:
    """Return the names of the classes; without any, the labels of all files are counted."""
    known = list(headers.values())
    if not any(header.class_names for header in known):
        others = [f for f in dataset.files if f.split not in headers and find_file(folder, f)]
        known += [read_header(located(folder, file)) for file in others]
    return class_names_of(known)


def _uses_most_channels(data: SpikeData) -> bool:
    """Return whether any example has events beyond the channels that a smaller set would have."""
    pointers = data.channel_pointers
    return bool((pointers[:, -1] != pointers[:, int(LEAST_USED * N_CHANNELS) - 1]).any())


def _with_channels(data: SpikeData, n_channels: int) -> SpikeData:
    """Return the data with as many channels; those that are left out have no events."""
    if n_channels >= data.n_channels:
        return data
    pointers = np.ascontiguousarray(data.channel_pointers[:, : n_channels + 1])
    pointers.flags.writeable = False
    return replace(data, n_channels=n_channels, channel_pointers=pointers)


def describe(folder: Path) -> tuple[Contents, ...]:
    """Read and check both files of ``folder`` from end to end."""
    return describe_set(SHD, folder)


def describe_set(dataset: DataSet, folder: Path) -> tuple[Contents, ...]:
    """Read and check all files of a set of SHD's layout in ``folder`` from end to end."""
    files = {file.name: located(folder, file) for file in dataset.files}
    headers = {name: read_header(file) for name, file in files.items()}
    class_names_of(list(headers.values()))
    found = [replace(describe_file(f, headers[name]), part=name) for name, f in files.items()]
    n_channels = number_of_channels(max(part.channels for part in found) - 1)
    return tuple(replace(part, channels=n_channels) for part in found)


SHD = DataSet(
    name="shd",
    title="Spiking Heidelberg Digits (Cramer et al. 2020, doi:10.1109/TNNLS.2020.3044364)",
    read=read,
    files=(TRAIN, TEST),
    describe=describe,
)
