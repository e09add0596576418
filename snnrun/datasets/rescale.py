"""RESCALE_T, dataset.start and RESCALE_X: a data set read with other times, and other channels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import ceil
from typing import Any

import numpy as np

from snnrun.datasets.block import take
from snnrun.datasets.spikes import SpikeData, Splits, check_limits
from snnrun.errors import DataError

EXAMPLES_AT_A_TIME = 512
CHANNEL_TOLERANCE = 1e-6  # 700 x 0.1 channels are 70, though the product is 70.00000000000001


class Rescaled:
    """A configuration for reading data, whose step is DT_MS / RESCALE_T long.

    Times that are binned by such steps are those of the data times RESCALE_T, rounded once. Inputs
    that are made by a latency code take RESCALE_T of their part of the trial. dataset.start, which
    counts after RESCALE_T, is given in times of the data.
    """

    def __init__(self, config: Any) -> None:
        self._config = config
        self.dataset = Shifted(config.dataset, config.RESCALE_T)
        self.step_used = False

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._config, name)
        if name != "DT_MS":
            return value
        self.step_used = True
        return value / self._config.RESCALE_T


class Shifted:
    """The options of a data set, which notes whether dataset.start was asked for."""

    def __init__(self, options: Any, factor: float) -> None:
        self._options = options
        self._factor = factor
        self.start_used = False

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._options, name)
        if name != "start":
            return value
        self.start_used = True
        return value if isinstance(value, str) else value / self._factor


def read_rescaled(read: Callable[[Any], Splits], config: Any, name: str) -> Splits:
    """Return what ``read`` makes of the data, with times after RESCALE_T and dataset.start.

    Raises DataError if the reader never asks for what it takes, so that nothing is changed.
    """
    start = config.dataset.start
    if config.RESCALE_T == 1.0 and start == 0:
        return read(config)
    rescaled = Rescaled(config)
    splits = read(rescaled)
    if config.RESCALE_T != 1.0 and not rescaled.step_used:
        raise DataError(
            f"RESCALE_T={config.RESCALE_T:g}: dataset {name} bins its times without config.DT_MS, "
            "so they cannot be rescaled; leave it out"
        )
    if start != 0 and not rescaled.dataset.start_used:
        raise DataError(
            f"dataset.start={start}: dataset {name} does not read it; call pack() with "
            "start=config.dataset.start there, or leave it out"
        )
    return splits


def with_channels_rescaled(config: Any, splits: Splits) -> Splits:
    """Return the splits with channel floor(c RESCALE_X) for channel c."""
    if config.RESCALE_X == 1.0:
        return splits
    done: dict[int, SpikeData] = {}
    parts: dict[str, Any] = {}
    for split in splits.all():
        key = id(split.data)
        if key not in done:
            done[key] = _rescaled(split.data, config.RESCALE_X, config.dataset.merge)
        parts[split.name] = replace(split, data=done[key])
    before, after = splits.train.data.n_channels, parts["train"].data.n_channels
    description = f"{splits.description}; RESCALE_X: {before} channels to {after}"
    return replace(splits, **parts, description=description)


def _rescaled(data: SpikeData, factor: float, merge: bool) -> SpikeData:
    n_channels = max(1, ceil(data.n_channels * factor - CHANNEL_TOLERANCE))
    check_limits(data.n_steps, n_channels, data.n_classes)
    exact = np.floor(np.arange(data.n_channels) * factor + CHANNEL_TOLERANCE).astype(np.int32)
    table = np.minimum(exact, n_channels - 1)
    pieces = []
    for first in range(0, len(data), EXAMPLES_AT_A_TIME):
        examples = np.arange(first, min(first + EXAMPLES_AT_A_TIME, len(data)))
        block = take(data, examples)
        moved = replace(block, channels=table[block.channels], n_channels=n_channels, ordered=False)
        pieces.append(moved.packed(data.labels[examples], data.n_classes, merge))
    counts = np.concatenate([np.diff(piece.offsets) for piece in pieces])
    gone = data.n_events - int(counts.sum())

    def joined(name: str) -> np.ndarray:
        return np.concatenate([getattr(piece, name) for piece in pieces])

    return replace(
        data,
        n_channels=n_channels,
        image=None,
        offsets=np.concatenate([[0], np.cumsum(counts)]),
        step_pointers=joined("step_pointers"),
        channel_by_step=joined("channel_by_step"),
        channel_pointers=joined("channel_pointers"),
        step_by_channel=joined("step_by_channel"),
        dropped=data.dropped + gone,
        merged=data.merged + gone,
    )
