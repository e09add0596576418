"""Mini-batches cut into units: the examples that a GeNN model runs at once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, kw_only=True)
class Unit:
    """Examples that run at once.

    Args:
        examples: Their indices [size of the model]; -1 pads the last unit of a mini-batch.
        place: Where they stand among the examples of the call.
        batch: Number of the mini-batch in the call.
        scale: 1 / examples of the mini-batch.
        last: Whether the mini-batch ends with this unit.
        alone: Whether it is the whole mini-batch.
    """

    examples: np.ndarray
    place: slice
    batch: int
    scale: float
    last: bool
    alone: bool

    @property
    def count(self) -> int:
        """Number of examples without padding."""
        return int(self.place.stop - self.place.start)


def mini_batches(examples: np.ndarray, batch: int, size: int) -> Iterator[list[Unit]]:
    """Yield mini-batches of ``batch`` examples, each as its units of ``size`` examples."""
    for number, start in enumerate(range(0, len(examples), batch)):
        end = min(start + batch, len(examples))
        found = []
        for at in range(start, end, size):
            until = min(at + size, end)
            padded = np.full(size, -1, np.int64)
            padded[: until - at] = examples[at:until]
            found.append(
                Unit(
                    examples=padded,
                    place=slice(at, until),
                    batch=number,
                    scale=1.0 / (end - start),
                    last=until == end,
                    alone=end - start <= size,
                )
            )
        yield found


def units(examples: np.ndarray, size: int) -> list[Unit]:
    """Return the units of ``size`` examples of one mini-batch of all examples."""
    return next(mini_batches(examples, max(1, len(examples)), size), [])
