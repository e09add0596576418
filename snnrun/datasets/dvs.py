"""DVS128 gestures (Amir et al. 2017, CVPR): eleven hand and arm gestures before an event camera.

Squares of f x f pixels (dataset.downsample, by default 4 as in the reference) are one input for
each polarity: channel (floor(y / f) 128 / f + floor(x / f)) 2 + polarity, so 32 x 32 x 2 = 2048
inputs. Times are the milliseconds of the files; the reference takes them for a thousand times as
many. Users 1 to 23 are in the training archive (1,077 recordings), 24 to 29 in the test archive
(264). Each recording holds one gesture, as tonic cuts them. ``speakers`` are the users.

Source: https://zenodo.org/records/8060604, a copy of tonic's archives; the MD5 sums are tonic's.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from snnrun.datasets.declaration import Contents, DataFile, DataSet
from snnrun.datasets.files import data_folder, needed, readable
from snnrun.datasets.gestures import N_CLASSES, SIDE, converted, recordings
from snnrun.datasets.packing import Events, pack
from snnrun.datasets.spikes import SpikeData, Splits
from snnrun.datasets.splits import from_files
from snnrun.errors import ConfigError

SITE = "https://zenodo.org/records/8060604/files"
CLASS_NAMES = (
    "hand clapping", "right hand wave", "left hand wave", "right arm clockwise",
    "right arm counter-clockwise", "left arm clockwise", "left arm counter-clockwise", "arm roll",
    "air drums", "air guitar", "other",
)  # fmt: skip


def _file(name: str, split: str, md5: str) -> DataFile:
    return DataFile(name=name, split=split, url=f"{SITE}/{name}.gz", md5=md5)


def read(config: Any) -> Splits:
    """Read the splits that N_TRAIN, N_VALIDATE and N_TEST ask for."""
    factor = config.dataset.downsample
    if SIDE % factor:
        raise ConfigError(
            f"dataset.downsample={factor}: must divide the camera's {SIDE} pixels; use 1, 2, 4, 8, "
            "16, 32, 64 or 128"
        )
    folder = data_folder(DVS, config)
    sources = {file.split: (readable(folder, file), file.name) for file in needed(DVS, config)}
    paths = {split: converted(*source) for split, source in sources.items()}

    def pack_file(split: str) -> SpikeData:
        with h5py.File(paths[split], "r") as file:
            users = file["users"][:]
            return pack(
                event_blocks(file, factor),
                labels=file["labels"][:],
                n_steps=config.steps,
                n_channels=2 * (SIDE // factor) ** 2,
                n_classes=N_CLASSES,
                dt_ms=config.DT_MS,
                merge=config.dataset.merge,
                speakers=None if (users < 0).any() else users,
                class_names=CLASS_NAMES,
                source=str(sources[split][0]),
                at_most_events=len(file["pixels"]),
            )

    sizes = {split: (sources[split][0], _count(path)) for split, path in paths.items()}
    return from_files(config, DVS.name, sizes, pack_file)


def event_blocks(file: h5py.File, factor: int) -> Iterator[Events]:
    """Yield the events of each recording of a converted archive, on the coarser grid of pixels."""
    place = np.arange(2 * SIDE * SIDE)
    y, x, polarity = place // (2 * SIDE), place // 2 % SIDE, place % 2
    channel_of_pixel = ((y // factor * (SIDE // factor) + x // factor) * 2 + polarity).astype(
        np.uint16
    )
    start = 0
    for count in file["counts"][:]:
        rows = slice(start, start + count)
        yield Events(
            counts=np.array([count]),
            times_ms=file["times_ms"][rows],
            channels=channel_of_pixel[file["pixels"][rows]],
        )
        start += count


def _count(path: Path) -> int:
    with h5py.File(path, "r") as file:
        return len(file["labels"])


def describe(folder: Path) -> tuple[Contents, ...]:
    """Read and check both archives of ``folder`` from end to end; events are the camera's."""
    return tuple(_describe(readable(folder, file), file.name) for file in DVS.files)


def _describe(path: Path, member: str) -> Contents:
    counts, labels, users, last = [], set(), set(), 0.0
    for recording in recordings(path, member):
        counts.append(len(recording.pixels))
        labels.add(recording.label)
        users.add(recording.user)
        last = max(last, float(recording.times_ms.max(initial=0.0)))
    return Contents(
        part=member,
        examples=len(counts),
        classes=len(labels),
        channels=2 * SIDE * SIDE,
        events=sum(counts),
        least_events=min(counts),
        most_events=max(counts),
        last_ms=last,
        speakers=tuple(sorted(users - {-1})),
    )


DVS = DataSet(
    name="dvs",
    title="DVS128 gestures (Amir et al. 2017, CVPR, pages 7243-7252)",
    read=read,
    files=(
        _file("ibmGestureTrain.tar", "train", "3a8f0d4120a166bac7591f77409cb105"),
        _file("ibmGestureTest.tar", "test", "56070e45dadaa85fff82e0fbfbc06de5"),
    ),
    describe=describe,
)
