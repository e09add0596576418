"""Handing over the examples of a split, mini-batch by mini-batch, in the order of an epoch.

Where the network is shown the data as they are, that is all; of those that are on a disk it is
given no more at a time than are to be in memory together. Otherwise blocks of mini-batches are
prepared in background threads, some ahead of the one that is asked for and on into the next epoch,
so that no core waits and memory holds a few blocks, never a changed copy of the data. NumPy lets
other threads run while it works, so threads do as well as processes and need no copies.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from snnrun.datasets.recipe import Recipe, recipe_of
from snnrun.datasets.spikes import SpikeData, Split, Splits
from snnrun.machine import usable_cores

BLOCK_EVENTS = 1 << 21  # of a prepared block, on average: 8 MB
BLOCK_POINTERS = 1 << 21
MOST_WORKERS = 4

Place = tuple[int, int]  # epoch and block


@dataclass(frozen=True, kw_only=True)
class Served:
    """Mini-batches ``first`` .. ``last`` of an epoch.

    data      holds their events
    examples  int64: where in ``data``
    numbers   int64: the numbers by which records know them
    labels    int32
    key       what makes random numbers of the examples differ from those of other ``data``
    """

    first: int
    last: int
    data: SpikeData
    examples: np.ndarray
    numbers: np.ndarray
    labels: np.ndarray
    key: tuple[int, ...]


class Feed:
    """The examples of a split, epoch after epoch.

    recipe  what is shown in each epoch
    batch   examples in a mini-batch
    epochs  how many there are; nothing is prepared beyond the last
    """

    def __init__(self, recipe: Recipe, batch: int, epochs: int) -> None:
        self._recipe = recipe
        self._batch = batch
        self._epochs = epochs
        self._shown = lru_cache(maxsize=2)(recipe.shown)
        self.examples = len(self._shown(0))  # in an epoch
        self.trials = -(-self.examples // batch)  # the last mini-batch may be smaller
        self._trials_per_block = _trials_per_block(recipe, batch)
        self._ahead = _Ahead(self._prepare, self._next) if recipe.changing else None

    def __enter__(self) -> Feed:
        return self

    def __exit__(self, *error: object) -> None:
        if self._ahead:
            self._ahead.close()

    @property
    def data(self) -> SpikeData | None:
        """The data, where they are shown as they are; None where they are prepared."""
        return None if self._recipe.changing else self._recipe.split.data

    def numbers(self, epoch: int) -> np.ndarray:
        """Return the examples of an epoch, int64, in its order."""
        return self._shown(epoch).numbers

    def serve(self, epoch: int, first: int, last: int) -> Served:
        """Return mini-batches ``first`` .. ``last``, or as many as are prepared, or read, together.

        Raises what went wrong in preparing them.
        """
        shown, data = self._shown(epoch), self._recipe.split.data
        if self._ahead is None:
            if data.on_disk:
                last = min(last, first + self._trials_per_block)
            here = self._range(first, last)
            numbers = shown.numbers[here]
            return Served(
                first=first,
                last=last,
                data=data,
                examples=numbers,
                numbers=numbers,
                labels=shown.labels[here],
                key=(),
            )
        block = first // self._trials_per_block
        start = block * self._trials_per_block
        last = min(last, start + self._trials_per_block)
        here, all_of_it = self._range(first, last), self._range(start, last)
        return Served(
            first=first,
            last=last,
            data=self._ahead.get((epoch, block)),
            examples=np.arange(here.start - all_of_it.start, here.stop - all_of_it.start),
            numbers=shown.numbers[here],
            labels=shown.labels[here],
            key=(block,),
        )

    def _range(self, first: int, last: int) -> slice:
        return slice(first * self._batch, min(last * self._batch, self.examples))

    def _prepare(self, place: Place) -> SpikeData:
        epoch, block = place
        shown, start = self._shown(epoch), block * self._trials_per_block
        here = self._range(start, start + self._trials_per_block)
        return self._recipe.prepared(epoch, shown.numbers[here], shown.labels[here])

    def _next(self, place: Place) -> Place | None:
        """Return the block that follows ``place``, in the next epoch where this one ends."""
        epoch, block = place
        if (block + 1) * self._trials_per_block < self.trials:
            return epoch, block + 1
        return (epoch + 1, 0) if epoch + 1 < self._epochs else None


class _Ahead:
    """Blocks that are prepared in background threads before they are asked for."""

    def __init__(
        self, prepare: Callable[[Place], SpikeData], following: Callable[[Place], Place | None]
    ) -> None:
        workers = min(MOST_WORKERS, max(1, usable_cores() // 2))
        self._prepare = prepare
        self._following = following
        self._depth = workers + 1
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="augmentation")
        self._blocks: dict[Place, Future[SpikeData]] = {}

    def get(self, place: Place) -> SpikeData:
        """Return a block, once it is prepared, and have those that follow it prepared."""
        wanted, at = [place], self._following(place)
        while at is not None and len(wanted) <= self._depth:
            wanted.append(at)
            at = self._following(at)
        for gone in [known for known in self._blocks if known not in wanted]:
            self._blocks.pop(gone).cancel()
        for each in wanted:
            if each not in self._blocks:
                self._blocks[each] = self._threads.submit(self._prepare, each)
        return self._blocks[place].result()

    def close(self) -> None:
        """Prepare no more."""
        self._blocks.clear()
        self._threads.shutdown(wait=False, cancel_futures=True)


def feed(config: Any, splits: Splits, split: Split, epochs: int) -> Feed:
    """Return the feed of ``split``, one of ``splits``; DataError where the data do not allow it."""
    return Feed(recipe_of(config, splits, split), config.N_BATCH, epochs)


def _trials_per_block(recipe: Recipe, batch: int) -> int:
    """Return how many mini-batches are prepared together; it must not depend on the machine."""
    data, copies = recipe.split.data, recipe.copies + 1
    events = data.n_events * copies / max(1, len(data))
    pointers = data.n_steps + data.n_channels * copies
    most = min(BLOCK_EVENTS / max(events, 1.0), BLOCK_POINTERS / pointers)
    return max(1, int(most) // batch)
