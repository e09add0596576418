"""Sequential MNIST: the pixels of a digit one after the other, as crossings of grey thresholds.

Pixels come row by row, each for p ms (dataset.pixel_ms). Of 2 h + 1 inputs, h = dataset.thresholds,

    j          fires when grey rises through threshold j:  g[i] < theta[j] <= g[i + 1]
    h + j      fires when it falls through it:             g[i] >= theta[j] > g[i + 1]
    2 h        fires while a pixel is as bright as can be:  g[i] = 255

at i p, the time of pixel i, and in all r = dataset.repeats times, p / r apart. Thresholds are
theta[j] = floor(254 j / (h - 1)). No grey value is below theta[0] = 0: inputs 0 and h never fire.

The defaults h = 49, p = 2 ms, r = 2 give the events of tonic 1.7's SMNIST, which the reference
reads: 99 inputs, a spike in both of a pixel's two steps of 1 ms; only the inputs' order differs.
The code is that of Bellec et al. 2018 (arXiv:1803.09574), whose 79 inputs are those of h = 39; they
add one for the end of the image. 28 x 28 pixels of 2 ms are 1568 ms: TRIAL_MS=1500, as in the
reference, cuts off the last 34 pixels, which lie in the margin of MNIST's digits.

The files are MNIST's, and lie in its folder.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from snnrun.datasets.declaration import DataSet, Part, Request
from snnrun.datasets.mnist import MNIST, read_images
from snnrun.datasets.packing import Events

BRIGHTEST, HIGHEST = 255, 254  # the grey value of a touch, and the highest threshold
IMAGES_AT_A_TIME = 64  # some 400,000 events


def read(request: Request) -> dict[str, Part]:
    """Return the parts, with spikes where grey crosses a threshold."""
    thresholds, repeats = request.options.thresholds, request.options.repeats

    def crossing_code(images: np.ndarray) -> dict[str, Any]:
        counts = count_crossings(images, thresholds)
        return {
            "events": partial(encode, images, thresholds, request.options.pixel_ms, repeats),
            "n_channels": 2 * thresholds + 1,
            "at_most_events": int(counts.sum()) * repeats,
        }

    return read_images(request, crossing_code)


def levels(thresholds: int) -> np.ndarray:
    """Return how many thresholds each grey value has reached, int16 [256]."""
    theta = HIGHEST * np.arange(thresholds) // (thresholds - 1)
    return np.searchsorted(theta, np.arange(256), side="right").astype(np.int16)


def count_crossings(images: np.ndarray, thresholds: int) -> np.ndarray:
    """Return how many crossings and touches each of the images [n, rows, columns] has."""
    level_of_grey, pixels = levels(thresholds), images.reshape(len(images), -1)
    counts = np.zeros(len(images), np.int64)
    for first in range(0, len(pixels), IMAGES_AT_A_TIME):
        block = pixels[first : first + IMAGES_AT_A_TIME]
        touches = (block == BRIGHTEST).sum(axis=1)
        changes = np.abs(np.diff(level_of_grey[block], axis=1))
        counts[first : first + len(block)] = changes.sum(axis=1) + touches
    return counts


def encode(images: np.ndarray, thresholds: int, pixel_ms: float, repeats: int) -> Iterator[Events]:
    """Yield the events of the images [n, rows, columns], some images at a time."""
    level_of_grey, pixels = levels(thresholds), images.reshape(len(images), -1)
    start_ms = pixel_ms * np.arange(pixels.shape[1])[:, None]
    times_ms = (start_ms + pixel_ms / repeats * np.arange(repeats)).ravel()
    for first in range(0, len(pixels), IMAGES_AT_A_TIME):
        counts, pixel, channels = _crossings(
            pixels[first : first + IMAGES_AT_A_TIME], level_of_grey, thresholds
        )
        yield Events(
            counts=counts * repeats,
            channels=np.repeat(channels, repeats),
            times_ms=times_ms,
            which=(pixel[:, None] * repeats + np.arange(repeats)).ravel(),
        )


def _crossings(
    block: np.ndarray, level_of_grey: np.ndarray, thresholds: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return (events of each image, pixel and channel of each event) of some images [k, pixels].

    From one pixel to the next the level moves over a run of thresholds; each run is written as its
    first channel and its length, next to it the touch of the pixel, and then spread out.
    """
    level = level_of_grey[block]
    change = np.diff(level, axis=1, append=level[:, -1:])  # none after the last pixel
    lowest = np.minimum(level, level + change) + np.where(change < 0, thresholds, 0)
    touch = np.full_like(lowest, 2 * thresholds)
    lengths = np.stack([np.abs(change), block == BRIGHTEST], axis=-1).astype(np.int64)
    runs = np.flatnonzero(lengths)
    length = lengths.ravel()[runs]
    place = np.arange(length.sum()) - np.repeat(np.cumsum(length) - length, length)
    channels = np.repeat(np.stack([lowest, touch], axis=-1).ravel()[runs], length) + place
    pixel = np.repeat(runs // 2 % block.shape[1], length)
    return lengths.sum(axis=(1, 2)), pixel, channels


SMNIST = DataSet(
    name="smnist",
    title="Sequential MNIST as crossings of grey thresholds (Bellec et al. 2018, arXiv:1803.09574)",
    read=read,
    files=MNIST.files,
    folder=MNIST.name,
    made_for_trial=True,
)
