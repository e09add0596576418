"""Mini-batches cut into units: the examples that a GeNN model runs at once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from snnrun.backends.base import Exchange
from snnrun.backends.parts import part_of


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


def mini_batches(
    examples: np.ndarray, batch: int, size: int, exchange: Exchange | None = None
) -> Iterator[list[Unit]]:
    """Yield mini-batches of ``batch`` examples, each as its units of ``size`` examples.

    Of those that are shared by ``exchange`` it is the part of this process, which may be a unit
    without an example.
    """
    for number, start in enumerate(range(0, len(examples), batch)):
        end = min(start + batch, len(examples))
        first, behind = (start + at for at in part_of(end - start, exchange))
        found = []
        for at in range(first, max(behind, first + 1), size):
            until = min(at + size, behind)
            padded = np.full(size, -1, np.int64)
            padded[: until - at] = examples[at:until]
            found.append(
                Unit(
                    examples=padded,
                    place=slice(at, until),
                    batch=number,
                    scale=1.0 / (end - start),
                    last=until == behind,
                    alone=exchange is None and end - start <= size,
                )
            )
        yield found


def own_examples(examples: np.ndarray, batch: int, exchange: Exchange | None) -> np.ndarray:
    """Return those of the examples of mini-batches that this process runs."""
    if exchange is None:
        return examples
    cut = [examples[at : at + batch] for at in range(0, len(examples), batch)]
    return np.concatenate([one[slice(*part_of(len(one), exchange))] for one in cut])


def units(examples: np.ndarray, size: int) -> list[Unit]:
    """Return the units of ``size`` examples of one mini-batch of all examples."""
    return next(mini_batches(examples, max(1, len(examples)), size), [])
