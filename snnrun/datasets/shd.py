"""Spiking Heidelberg Digits (Cramer et al. 2020, doi:10.1109/TNNLS.2020.3044364).

20 spoken digits (0-9 English, 10-19 German) on 700 channels; 8,156 training examples of ten
speakers and 2,264 test examples, two speakers of which are in the test file only. Any folder with
files of the same names and layout works as well. Source: https://zenkelab.org/datasets/
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from snnrun.datasets.declaration import Contents, DataFile, DataSet
from snnrun.datasets.files import data_folder, needed, readable
from snnrun.datasets.heidelberg import describe_file, event_blocks, read_header
from snnrun.datasets.packing import pack
from snnrun.datasets.spikes import SpikeData, Splits
from snnrun.datasets.validation import from_own_files

N_CHANNELS, N_CLASSES = 700, 20
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
    return read_set(SHD, N_CLASSES, config)


def read_set(dataset: DataSet, n_classes: int, config: Any) -> Splits:
    """Read the splits of a set that consists of one file of SHD's layout for each of its splits."""
    folder = data_folder(dataset, config)
    paths = {file.split: readable(folder, file) for file in needed(dataset, config)}
    headers = {split: read_header(path, n_classes) for split, path in paths.items()}

    def pack_file(split: str) -> SpikeData:
        header = headers[split]
        return pack(
            event_blocks(paths[split], config.DT_MS),
            labels=header.labels,
            n_steps=config.steps,
            n_channels=N_CHANNELS,
            n_classes=n_classes,
            merge=config.dataset.merge,
            speakers=header.speakers,
            class_names=header.class_names,
            source=str(paths[split]),
            at_most_events=header.at_most_events,
        )

    sizes = {split: (paths[split], len(header.labels)) for split, header in headers.items()}
    return from_own_files(config, dataset.name, sizes, pack_file)


def describe(folder: Path) -> tuple[Contents, ...]:
    """Read and check both files of ``folder`` from end to end."""
    return describe_set(SHD, N_CLASSES, folder)


def describe_set(dataset: DataSet, n_classes: int, folder: Path) -> tuple[Contents, ...]:
    """Read and check all files of a set of SHD's layout in ``folder`` from end to end."""
    return tuple(
        replace(describe_file(readable(folder, file), N_CHANNELS, n_classes), part=file.name)
        for file in dataset.files
    )


SHD = DataSet(
    name="shd",
    title="Spiking Heidelberg Digits (Cramer et al. 2020, doi:10.1109/TNNLS.2020.3044364)",
    read=read,
    files=(TRAIN, TEST),
    describe=describe,
)
