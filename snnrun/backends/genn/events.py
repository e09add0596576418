"""The events of the examples on the device: uploaded once, chosen by their index."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from snnrun.datasets.spikes import SpikeData

HEADROOM = 1.25  # of tables that must grow, so that they seldom do
LOW, MULTIPLIERS = 0xFFFFFFFF, (0xBF58476D1CE4E5B9, 0x94D049BB133111EB)


@dataclass(frozen=True, kw_only=True)
class Placed:
    """Where a data set lies in the tables: its first row of pointers, and its first event.

    The data set is not kept alive: with augmentation each one is used for a while only.
    """

    data: weakref.ref[SpikeData]
    row: int
    first: int


class EventTables:
    """Which data sets the tables hold. The pointers begin with an example without events.

    Args:
        channels: Input channels of the network; data sets that have others are left out.
        data: What there must be room for.
    """

    def __init__(self, channels: int, data: Sequence[SpikeData] = ()) -> None:
        self.channels = channels
        self.placed: list[Placed] = []
        self.rows, self.events = channels + 1, 0
        for one in data:
            if one.n_channels == channels and self.find(one) is None:
                self._place(one)
        self.row_capacity, self.event_capacity = self.rows, max(1, self.events)

    def find(self, data: SpikeData) -> Placed | None:
        """Return where ``data`` lies, or None."""
        return next((p for p in self.placed if p.data() is data), None)

    def add(self, data: SpikeData) -> tuple[Placed, bool]:
        """Place ``data``, in front of which others give way; return whether the tables must grow.

        Examples of other data sets stay only where there is room for all of them.
        """
        rows, events = self._size(data)
        if self.rows + rows > self.row_capacity or self.events + events > self.event_capacity:
            self.placed, self.rows, self.events = [], self.channels + 1, 0
        placed = self._place(data)
        grown = self.rows > self.row_capacity or self.events > self.event_capacity
        if self.rows > self.row_capacity:
            self.row_capacity = int(self.rows * HEADROOM)
        if self.events > self.event_capacity:
            self.event_capacity = int(self.events * HEADROOM)
        return placed, grown

    def _place(self, data: SpikeData) -> Placed:
        rows, events = self._size(data)
        placed = Placed(data=weakref.ref(data), row=self.rows, first=self.events)
        self.placed.append(placed)
        self.rows += rows
        self.events += events
        return placed

    @staticmethod
    def _size(data: SpikeData) -> tuple[int, int]:
        return data.channel_pointers.size, len(data.step_by_channel)

    def fill(self, starts: np.ndarray, steps: np.ndarray) -> None:
        """Write everything that is placed to the tables' memory."""
        starts[: self.channels + 1] = 0
        for placed in self.placed:
            data = placed.data()
            if data is not None:
                self.write(placed, data, starts, steps)

    def write(self, placed: Placed, data: SpikeData, starts: np.ndarray, steps: np.ndarray) -> None:
        """Write one data set to its place in the tables' memory."""
        rows, events = self._size(data)
        starts[placed.row : placed.row + rows] = data.channel_pointers.ravel()
        steps[placed.first : placed.first + events] = data.step_by_channel

    def beginnings(self, data: SpikeData, examples: np.ndarray) -> dict[str, np.ndarray]:
        """Return row and first event of examples of ``data``; -1 stands for one without events."""
        placed = self.find(data)
        if placed is None:
            raise KeyError("the data set is not in the tables")
        real = examples >= 0
        here = np.where(real, examples, 0)
        row = placed.row + here.astype(np.uint64) * np.uint64(self.channels + 1)
        first = placed.first + data.offsets[here]
        return {
            "row": np.where(real, row, 0).astype(np.uint64),
            "first": np.where(real, first, 0).astype(np.uint64),
        }


def dropout_limit(probability: float) -> int:
    """Return the hash below which an event is dropped."""
    return int(probability * 4294967295.0)


def dropout_keys(key: int, examples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the two 32-bit halves of each example's key, the native backend's mix of 64 bits."""
    return halves(_example_keys(key, examples))


def draw_keys(key: int, examples: np.ndarray, layer: int) -> dict[str, np.ndarray]:
    """Return the halves of each example's keys of the draws in a layer, as in the native backend:
    noise_low, noise_high, spike_dropout_low, spike_dropout_high.
    """
    found = {}
    for number, name in enumerate(("noise", "spike_dropout"), 1):
        with np.errstate(over="ignore"):
            keys = mix(_example_keys(key, examples) + np.uint64(2 * layer + number))
        found[f"{name}_low"], found[f"{name}_high"] = halves(keys)
    return found


def _example_keys(key: int, examples: np.ndarray) -> np.ndarray:
    return mix(np.uint64(key) ^ examples.astype(np.int64).view(np.uint64))


def mix(x: np.ndarray) -> np.ndarray:
    """Return the native backend's mix of 64 bits."""
    with np.errstate(over="ignore"):
        x = x + np.uint64(0x9E3779B97F4A7C15)
        x = (x ^ (x >> np.uint64(30))) * np.uint64(MULTIPLIERS[0])
        x = (x ^ (x >> np.uint64(27))) * np.uint64(MULTIPLIERS[1])
        return x ^ (x >> np.uint64(31))


def halves(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the lower and the higher 32 bits."""
    return (x & np.uint64(LOW)).astype(np.uint32), (x >> np.uint64(32)).astype(np.uint32)


def kept_events(
    data: SpikeData, example: int, dropout: float, key: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return steps and channels of an example's events that dropout leaves, by step."""
    start, end = int(data.offsets[example]), int(data.offsets[example + 1])
    counts = np.diff(data.step_pointers[example])
    steps = np.repeat(np.arange(data.n_steps, dtype=np.int32), counts)
    channels = data.channel_by_step[start:end].astype(np.int32)
    if dropout <= 0:
        return steps, channels
    low, high = dropout_keys(key, np.array([example]))
    with np.errstate(over="ignore"):
        h = (channels.astype(np.uint32) * np.uint32(65536) + steps.astype(np.uint32)) ^ low
        h = h * np.uint32(2246822507)
        h = (h ^ (h >> np.uint32(15)) ^ high) * np.uint32(3266489909)
        h = (h ^ (h >> np.uint32(13))) * np.uint32(668265263)
        keep = (h ^ (h >> np.uint32(16))) >= dropout_limit(dropout)
    return steps[keep], channels[keep]
