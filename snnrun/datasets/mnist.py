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
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from snnrun.datasets.declaration import DataFile, DataSet, Part, Request
from snnrun.datasets.files import find_file, readable
from snnrun.datasets.idx import read_idx
from snnrun.datasets.packing import Events
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


def read(request: Request) -> dict[str, Part]:
    """Return the parts, with one spike for each bright pixel."""

    def latency_code(images: np.ndarray) -> dict[str, Any]:
        return {
            "events": partial(encode, images),
            "n_channels": images[0].size,
            "at_most_events": int(np.count_nonzero(images > DARKEST)),
            "image": (images.shape[1], images.shape[2], 1),
        }

    return read_images(request, latency_code)


def read_images(request: Request, code: Callable[[np.ndarray], dict[str, Any]]) -> dict[str, Part]:
    """Return the parts of a set of images in MNIST's four files, with ``code`` making them events.

    ``code`` gets the images [n, rows, columns] of a part, uint8, and gives fields of the Part.
    """
    folder = request.folder
    raw = {split: read_pair(folder, split) for split in IMAGE_FILES if split in request.parts}
    sizes = {split: _size(images) for split, (images, _) in raw.items()}
    if len(set(sizes.values())) > 1:
        raise DataError(
            f"{folder}: training images are {sizes['train']}, test images {sizes['test']}"
        )
    n_classes = _count_classes(folder, [labels for _, labels in raw.values()])
    return {
        split: Part(
            labels=labels,
            n_classes=n_classes,
            class_names=tuple(map(str, range(n_classes))),
            source=folder / IMAGE_FILES[split].name,
            **code(images),
        )
        for split, (images, labels) in raw.items()
    }


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


def encode(images: np.ndarray) -> Iterator[Events]:
    """Yield the events of the images [n, rows, columns], some images at a time."""
    value_of_grey = (255 - np.arange(256)) / 255
    pixels = images.reshape(len(images), -1)
    for first in range(0, len(pixels), IMAGES_AT_A_TIME):
        block = pixels[first : first + IMAGES_AT_A_TIME]
        bright = block > DARKEST
        yield Events(
            counts=bright.sum(axis=1),
            channels=np.nonzero(bright)[1],
            values=value_of_grey,
            which=block[bright],
        )


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
    made_for_trial=True,
    pixels=True,
)
