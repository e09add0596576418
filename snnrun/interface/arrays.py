"""Spikes that are given as arrays, as a split that the program of a trained run can read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from snnrun.config import Config
from snnrun.datasets import Events, SpikeData, Split, Splits, pack
from snnrun.datasets.spikes import Courses
from snnrun.errors import DataError

Pair = tuple[np.ndarray, np.ndarray]


def splits_of(
    config: Config,
    given: np.ndarray | Sequence[Pair],
    labels: np.ndarray | None,
    courses: np.ndarray | None,
    n_channels: int,
    n_classes: int,
    shape: tuple[int, ...] = (),
) -> Splits:
    """Return the examples as train and test split; without ``labels``, all of class 0.

    Args:
        config: Of the run; its DT_MS and TRIAL_MS are the grid.
        given: Counts [examples, steps, channels], whole numbers or bool, or for each example a pair
            of times (ms) and channels.
        labels: Integers [examples].
        courses: Target courses, numbers [examples, steps, outputs], of a network that learns some.
        n_channels: Input channels of the network.
        n_classes: Its classes or outputs.
        shape: (rows, columns, channels of a pixel) where the channels are those of an image.

    Raises:
        DataError: What is given does not fit the network, or has no such form.
    """
    if isinstance(given, np.ndarray) and given.ndim == 3:
        events = _of_counts(given, config.steps, n_channels)
    else:
        events = _of_pairs(given)
    known = np.zeros(len(events.counts), int) if labels is None else np.asarray(labels)
    if known.shape != events.counts.shape:
        raise DataError(f"labels: shape {known.shape} for {len(events.counts)} examples")
    data = _packed(config, events, known, n_channels, n_classes)
    if courses is not None:
        values = np.ascontiguousarray(courses, np.float32)
        wanted = (len(data), config.steps, n_classes)
        if values.shape != wanted or not np.isfinite(values).all():
            raise DataError(
                f"courses: shape {values.shape}; must be finite numbers of shape {wanted}: "
                "examples, steps of a trial, outputs"
            )
        data = replace(data, courses=Courses(values=values, rows=np.arange(len(data))))
    if len(shape) == 3:
        data = replace(data, image=shape)
    everything = np.arange(len(data))
    return Splits(
        train=Split(name="train", data=data, examples=everything),
        test=Split(name="test", data=data, examples=everything),
    )


def _packed(
    config: Config, events: Events, labels: np.ndarray, n_channels: int, n_classes: int
) -> SpikeData:
    return pack(
        events,
        labels=labels,
        n_steps=config.steps,
        dt_ms=config.DT_MS,
        n_channels=n_channels,
        n_classes=n_classes,
        merge=config.dataset.merge,
        source="data",
    )


def _of_counts(counts: np.ndarray, steps: int, channels: int) -> Events:
    if counts.shape[1:] != (steps, channels):
        raise DataError(
            f"data: shape {counts.shape}; this network takes [examples, {steps} steps, "
            f"{channels} channels]"
        )
    whole = counts.astype(np.int64)
    if (whole != counts).any() or (whole < 0).any():
        raise DataError("data: an array [examples, steps, channels] counts spikes: 0, 1, 2, ...")
    example, step, channel = np.nonzero(whole)
    times = whole[example, step, channel]
    return Events(
        counts=np.bincount(np.repeat(example, times), minlength=len(counts)),
        steps=np.repeat(step, times),
        channels=np.repeat(channel, times),
    )


def _of_pairs(given: Any) -> Events:
    try:
        pairs = [(np.asarray(times, float), np.asarray(ids)) for times, ids in given]
    except (TypeError, ValueError) as error:
        raise DataError(
            "data: must be 'train', 'validation' or 'test', an array [examples, steps, channels] "
            f"of spike counts, or a pair (times in ms, channels) for each example: {error}"
        ) from error
    for number, (times, ids) in enumerate(pairs):
        if times.ndim != 1 or times.shape != ids.shape:
            raise DataError(
                f"data: example {number} has times of shape {times.shape} and channels of shape "
                f"{ids.shape}; both must be [spikes]"
            )
    channels = [ids if ids.size else ids.astype(int) for _, ids in pairs]
    return Events(
        counts=np.array([len(ids) for ids in channels], int),
        times_ms=np.concatenate([np.empty(0), *(times for times, _ in pairs)]),
        channels=np.concatenate([np.empty(0, int), *channels]),
    )
