"""Where the events of a source lie in time: what it takes to tell whether they fit a trial."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, kw_only=True)
class Coverage:
    """Times of the events of a source before any was dropped, in steps of a trial.

    source  names the data in messages
    steps   of a trial
    events  events of all examples
    before  events before the trial begins
    after   events after its end
    first   float64 [n]  step of the first event of each example, NaN where it has none
    last    float64 [n]  step of the last one
    """

    source: str
    steps: int
    events: int
    before: int
    after: int
    first: np.ndarray
    last: np.ndarray

    @property
    def outside(self) -> float:
        """Share of the events that lie outside the trial."""
        return (self.before + self.after) / self.events if self.events else 0.0

    @property
    def empty(self) -> np.ndarray:
        """Which examples have no event, bool [n]."""
        return np.isnan(self.first)


class Tally:
    """A Coverage while it grows, example by example."""

    def __init__(self, n: int) -> None:
        self.events = self.before = self.after = 0
        self.first, self.last = np.full(n, np.nan), np.full(n, np.nan)

    def inside(self, done: int, keys: np.ndarray, ends: np.ndarray) -> None:
        """Add examples whose events all lie in the trial; keys, from step * 65536, rise."""
        self.events += len(keys)
        filled = np.flatnonzero(np.diff(ends))
        self.first[done + filled] = keys[ends[filled]] >> 16
        self.last[done + filled] = keys[ends[filled + 1] - 1] >> 16

    def outside(
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

    def finish(self, source: str, steps: int) -> Coverage:
        """Return the Coverage of all examples."""
        return Coverage(
            source=source,
            steps=steps,
            events=self.events,
            before=self.before,
            after=self.after,
            first=self.first,
            last=self.last,
        )
