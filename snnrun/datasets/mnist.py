"""MNIST (LeCun et al. 1998, doi:10.1109/5.726791), and any set in four idx files as it has them.

One input per pixel, row by row. A pixel of grey value g > 1 fires once, at

    t = (255 - g) / 255 (T - 4 d) + 2 d        T: dataset.input_ms or TRIAL_MS

the brighter the sooner; darker pixels stay silent, as in genn_eventprop. Number and size of the
images, and the number of classes, are those of the files. The train files are split into training
and validation, the t10k files are the test set.
Source: https://storage.googleapis.com/cvdf-datasets/mnist/
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from snnrun.datasets.declaration import Contents, DataFile, DataSet
from snnrun.datasets.encodings import input_ms, latency_ms
from snnrun.datasets.files import data_folder, find_file, needed, readable
from snnrun.datasets.idx import read_idx
from snnrun.datasets.packing import Events, pack, steps_of
from snnrun.datasets.spikes import Image, SpikeData, Splits
from snnrun.datasets.splits import from_files
from snnrun.errors import DataError

SITE = "https://storage.googleapis.com/cvdf-datasets/mnist"
DARKEST = 1  # grey values up to this one stay silent
IMAGES_AT_A_TIME = 2048


def _file(name: str, split: str, md5: str) -> DataFile:
    return DataFile(name=name, split=split, url=f"{SITE}/{name}.gz", md5=md5)


IMAGE_FILES = {
    "train": _file("train-images-idx3-ubyte", "train", "f68b3c2dcbeaaa9fbdd348bbdeb94873"),
    "test": _file("t10k-images-idx3-ubyte", "test", "9fb629c4189551a2d022fa330f9573f3"),
}
LABEL_FILES = {
    "train": _file("train-labels-idx1-ubyte", "train", "d53e105ee54ea40749a09fcbcd1e9432"),
    "test": _file("t10k-labels-idx1-ubyte", "test", "ec29112dd5afa0611ce80d1b7f02629c"),
}


@dataclass(frozen=True, kw_only=True)
class Coded:
    """Images as events: what ``pack`` wants to know of them."""

    blocks: Iterator[Events]
    n_channels: int
    at_most_events: int
    image: Image | None = None


def read(config: Any) -> Splits:
    """Read the splits that N_TRAIN, N_VALIDATE and N_TEST ask for."""

    def latency_code(images: np.ndarray) -> Coded:
        return Coded(
            blocks=encode(images, input_ms(config), config.DT_MS),
            n_channels=images[0].size,
            at_most_events=int(np.count_nonzero(images > DARKEST)),
            image=(images.shape[1], images.shape[2], 1),
        )

    return read_set(MNIST, config, latency_code)


def read_set(dataset: DataSet, config: Any, code: Callable[[np.ndarray], Coded]) -> Splits:
    """Read the splits of a set of images in MNIST's four files, with ``code`` making them events.

    ``code`` is called with the images [n, rows, columns] of a file, uint8.
    """
    folder = data_folder(dataset, config)
    wanted = {file.split for file in needed(dataset, config)}
    raw = {split: read_pair(folder, split) for split in IMAGE_FILES if split in wanted}
    n_classes = _count_classes(folder, [labels for _, labels in raw.values()])
    images = {split: pair[0] for split, pair in raw.items()}
    if "test" in images and images["test"].shape[1:] != images["train"].shape[1:]:
        raise DataError(
            f"{folder}: training images are {_size(images['train'])}, test images "
            f"{_size(images['test'])}"
        )

    def pack_file(split: str) -> SpikeData:
        coded = code(images[split])
        return pack(
            coded.blocks,
            labels=raw[split][1],
            n_steps=config.steps,
            n_channels=coded.n_channels,
            n_classes=n_classes,
            merge=config.dataset.merge,
            class_names=tuple(str(number) for number in range(n_classes)),
            source=str(folder / IMAGE_FILES[split].name),
            at_most_events=coded.at_most_events,
            image=coded.image,
        )

    sizes = {s: (folder / IMAGE_FILES[s].name, len(images[s])) for s in images}
    return from_files(config, dataset.name, sizes, pack_file)


def read_pair(folder: Path, split: str) -> tuple[np.ndarray, np.ndarray]:
    """Return (images [n, rows, columns], uint8; labels [n], int32) of a split."""
    image_path = readable(folder, IMAGE_FILES[split])
    label_path = readable(folder, LABEL_FILES[split])
    images, labels = read_idx(image_path, 3, "images"), read_idx(label_path, 1, "labels")
    if len(images) != len(labels):
        raise DataError(
            f"{folder}: {image_path.name} holds {len(images)} images, "
            f"but {label_path.name} {len(labels)} labels"
        )
    if images.size == 0:
        raise DataError(f"{image_path} holds no pixels: its size is {images.shape}")
    return images, labels


def encode(images: np.ndarray, duration_ms: float, dt_ms: float) -> Iterator[Events]:
    """Yield the events of the images [n, rows, columns], some images at a time."""
    grey = np.arange(256)
    step_of_grey = steps_of(latency_ms((255 - grey) / 255, duration_ms, dt_ms), dt_ms)
    pixels = images.reshape(len(images), -1)
    for first in range(0, len(pixels), IMAGES_AT_A_TIME):
        block = pixels[first : first + IMAGES_AT_A_TIME]
        bright = block > DARKEST
        yield Events(
            counts=bright.sum(axis=1),
            channels=np.nonzero(bright)[1],
            steps=step_of_grey[block[bright]],
        )


def describe(folder: Path) -> tuple[Contents, ...]:
    """Read and check the four files of ``folder`` from end to end."""

    def bright(images: np.ndarray) -> tuple[np.ndarray, int]:
        return (images > DARKEST).reshape(len(images), -1).sum(axis=1), images[0].size

    return describe_set(folder, bright)


def describe_set(
    folder: Path, count: Callable[[np.ndarray], tuple[np.ndarray, int]]
) -> tuple[Contents, ...]:
    """Read and check MNIST's four files from end to end.

    count   images [n, rows, columns] -> (events of each image, number of channels)
    """
    contents = []
    for split in IMAGE_FILES:
        images, labels = read_pair(folder, split)
        events, n_channels = count(images)
        contents.append(
            Contents(
                part=f"{IMAGE_FILES[split].name.partition('-')[0]} ({_size(images)} pixels)",
                examples=len(images),
                classes=len(np.unique(labels)),
                channels=n_channels,
                events=int(events.sum()),
                least_events=int(events.min()),
                most_events=int(events.max()),
            )
        )
    return tuple(contents)


def _count_classes(folder: Path, read: Sequence[np.ndarray]) -> int:
    """Return the number of classes: one more than the highest label of all label files."""
    files = (file for file in LABEL_FILES.values() if find_file(folder, file))
    known = (
        read
        if len(read) == len(LABEL_FILES)
        else [read_idx(readable(folder, file), 1, "labels") for file in files]
    )
    return 1 + max(int(labels.max()) for labels in known)


def _size(images: np.ndarray) -> str:
    return f"{images.shape[1]} x {images.shape[2]}"


MNIST = DataSet(
    name="mnist",
    title="MNIST digits, or a set in its format (LeCun et al. 1998, doi:10.1109/5.726791)",
    read=read,
    files=(*IMAGE_FILES.values(), *LABEL_FILES.values()),
    describe=describe,
)
