"""Ranks that share mini-batches, each in a thread of this process instead of a process of MPI."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from threading import Barrier
from typing import TypeVar

import numpy as np

from snnrun.backends.base import Backend, Exchange

R = TypeVar("R")
PATIENCE_S = 60.0


class Threads(Exchange):
    """What one rank exchanges with the others.

    Args:
        rank: Of this one.
        all_ranks: All of them, itself too, once they are made.
        barrier: Of all ranks.
    """

    def __init__(self, rank: int, all_ranks: list[Threads], barrier: Barrier) -> None:
        self.rank, self.ranks = rank, barrier.parties
        self._all, self._barrier = all_ranks, barrier
        self._sums: SimpleQueue[np.ndarray] = SimpleQueue()
        self._totals: SimpleQueue[np.ndarray] = SimpleQueue()
        self._wanted: list[np.ndarray] = []
        self.counted = np.zeros(0, np.int64)

    def counts(self, numbers: np.ndarray) -> None:
        self.counted = numbers.copy()
        self._barrier.wait(PATIENCE_S)
        numbers[:] = np.sum([rank.counted for rank in self._all], axis=0)
        self._barrier.wait(PATIENCE_S)

    def before(self, numbers: np.ndarray) -> None:
        numbers[:] = self._sums.get(timeout=PATIENCE_S)

    def after(self, numbers: np.ndarray, total: np.ndarray) -> None:
        if self.rank + 1 < self.ranks:
            self._all[self.rank + 1]._sums.put(numbers.copy())
            self._wanted.append(total)
        else:
            for rank in self._all[:-1]:
                rank._totals.put(total.copy())

    def finish(self) -> None:
        for total in self._wanted:
            total[:] = self._totals.get(timeout=PATIENCE_S)
        self._wanted.clear()


def on_ranks(backends: Sequence[Backend], work: Callable[[Backend], R]) -> list[R]:
    """Let backends share the mini-batches of ``work``, and return what it returns of each."""
    barrier, ranks = Barrier(len(backends)), list[Threads]()
    ranks += [Threads(rank, ranks, barrier) for rank in range(len(backends))]
    for backend, rank in zip(backends, ranks, strict=True):
        backend.exchange = rank
    with ThreadPoolExecutor(len(backends)) as threads:
        return [done.result() for done in [threads.submit(work, each) for each in backends]]
