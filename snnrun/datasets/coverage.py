"""Where the events of a source lie in time: what it takes to tell whether they fit a trial."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(kw_only=True)
class Coverage:
    """Times of the events of a source before any was dropped, in steps of a trial.

    source  names the data in messages
    steps   of a trial
    first   float64 [n]  step of the first event of each example, NaN where it has none
    last    float64 [n]  step of the last one
    events  events of all examples
    before  events before the trial begins
    after   events after its end
    """

    source: str
    steps: int
    first: np.ndarray
    last: np.ndarray
    events: int = 0
    before: int = 0
    after: int = 0

    @property
    def outside(self) -> float:
        """Share of the events that lie outside the trial."""
        return (self.before + self.after) / self.events if self.events else 0.0

    @property
    def empty(self) -> np.ndarray:
        """Which examples have no event, bool [n]."""
        return np.isnan(self.first)

    def add_inside(self, done: int, keys: np.ndarray, ends: np.ndarray) -> None:
        """Add examples whose events all lie in the trial; keys, from step * 65536, rise."""
        self.events += len(keys)
        filled = np.flatnonzero(np.diff(ends))
        self.first[done + filled] = keys[ends[filled]] >> 16
        self.last[done + filled] = keys[ends[filled + 1] - 1] >> 16

    def add_outside(
        self, done: int, times: np.ndarray, ends: np.ndarray, before: int, after: int
    ) -> None:
        """Add examples of which so many events lie outside; ``times`` in steps, in any order."""
        self.events += len(times)
        self.before += before
        self.after += after
        filled = np.flatnonzero(np.diff(ends))
        if len(filled):
            self.first[done + filled] = np.minimum.reduceat(times, ends[filled])
            self.last[done + filled] = np.maximum.reduceat(times, ends[filled])
