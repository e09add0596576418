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
    """

    examples: np.ndarray
    place: slice
    batch: int
    scale: float
    last: bool

    @property
    def count(self) -> int:
        """Number of examples without padding."""
        return int(self.place.stop - self.place.start)


def units(examples: np.ndarray, batch: int, size: int) -> Iterator[Unit]:
    """Yield the units of ``size`` examples of mini-batches of ``batch``."""
    for number, start in enumerate(range(0, len(examples), batch)):
        end = min(start + batch, len(examples))
        for at in range(start, end, size):
            until = min(at + size, end)
            padded = np.full(size, -1, np.int64)
            padded[: until - at] = examples[at:until]
            yield Unit(
                examples=padded,
                place=slice(at, until),
                batch=number,
                scale=1.0 / (end - start),
                last=until == end,
            )
