"""The events of the examples on the device: uploaded once, chosen by their index."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from snnrun.datasets.spikes import SpikeData

HEADROOM = 1.25  # of tables that must grow, so that they seldom do


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
