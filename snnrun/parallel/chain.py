"""Sums over ranks by MPI that have the order, and so the bits, of the sum of one process."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np

from snnrun.backends.base import Exchange

if TYPE_CHECKING:
    from mpi4py import MPI


SPINS = 100  # looks before the core is given to others


class Chain(Exchange):
    """Sums that go from rank to rank in small parts, whose totals the last rank sends to all.

    While one part is under way the ranks before work on the next ones, so that the time does not
    grow with the ranks but by the way of one part.
    """

    def __init__(self, comm: MPI.Intracomm) -> None:
        self._comm = comm
        self.rank, self.ranks = comm.rank, comm.size
        self._pending: list[MPI.Request] = []

    def counts(self, numbers: np.ndarray) -> None:
        """See :class:`Exchange`."""
        total = np.empty_like(numbers)
        _wait(self._comm.Iallreduce(numbers, total))
        numbers[:] = total

    def before(self, numbers: np.ndarray) -> None:
        """See :class:`Exchange`."""
        _wait(self._comm.Irecv(numbers, self.rank - 1))

    def after(self, numbers: np.ndarray, total: np.ndarray) -> None:
        """See :class:`Exchange`."""
        last = self.ranks - 1
        if self.rank < last:
            self._pending.append(self._comm.Isend(numbers, self.rank + 1))
        self._pending.append(self._comm.Ibcast(total, last))

    def finish(self) -> None:
        """See :class:`Exchange`."""
        for request in self._pending:
            _wait(request)
        self._pending.clear()


def _wait(request: MPI.Request) -> None:
    """Wait, and let other processes have the core meanwhile: MPI would keep it from them.

    Where a node has more ranks than cores, it may be them for whom this one waits.
    """
    for _ in range(SPINS):
        if request.Test():
            return
    while not request.Test():
        os.sched_yield()
