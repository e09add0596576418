"""Data of rank 0 on all ranks: each node holds one copy, which its ranks read."""

from __future__ import annotations

import pickle
from itertools import accumulate
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from mpi4py import MPI

ALIGNED = 64  # bytes


def on_node(comm: MPI.Intracomm) -> MPI.Intracomm:
    """Return the ranks that share the memory of this one."""
    from mpi4py import MPI

    return MPI.Intracomm(comm.Split_type(MPI.COMM_TYPE_SHARED, comm.rank))


class Copies:
    """Objects with arrays that rank 0 hands to all; all ranks make the same calls.

    Args:
        comm: All ranks.
    """

    def __init__(self, comm: MPI.Intracomm) -> None:
        from mpi4py import MPI

        self._mpi = MPI
        self._comm = comm
        self._node = on_node(comm)
        self._leaders = comm.Split(0 if self._node.rank == 0 else MPI.UNDEFINED, comm.rank)
        self._held: dict[int, tuple[Any, MPI.Win]] = {}

    def hand_out(self, number: int, thing: Any = None) -> None:
        """Have ``thing``, which rank 0 gives, known by a number.

        Its arrays are memory that the ranks of a node share, and must not be written to.
        """
        buffers: list[pickle.PickleBuffer] = []
        head = b""
        if self._comm.rank == 0:
            head = pickle.dumps(thing, protocol=5, buffer_callback=buffers.append)
        given = [buffer.raw() for buffer in buffers]
        head, sizes = self._comm.bcast((head, [view.nbytes for view in given]))
        starts = list(accumulate((-(-size // ALIGNED) * ALIGNED for size in sizes), initial=0))
        leads = self._node.rank == 0
        alone = self._comm.rank == 0 and self._node.size == 1  # then it needs no copy
        window = self._mpi.Win.Allocate_shared(
            starts[-1] if leads and not alone else 0, 1, comm=self._node
        )
        shared: Any = window.Shared_query(0)[0]
        memory = np.frombuffer(shared, np.uint8)
        views = [memory[at : at + n] for at, n in zip(starts, sizes, strict=False)]
        if alone:
            views = [np.frombuffer(view, np.uint8) for view in given]
        elif given:
            for view, source in zip(views, given, strict=True):
                view[:] = np.frombuffer(source, np.uint8)
        for view in views if leads else ():
            self._leaders.Bcast(view)
        self._node.Barrier()
        if self._comm.rank != 0:
            thing = pickle.loads(head, buffers=views)
        self._held[number] = thing, window

    def __getitem__(self, number: int) -> Any:
        return self._held[number][0]

    def forget(self, number: int) -> None:
        """Free what has this number."""
        _, window = self._held.pop(number)
        window.Free()

    def close(self) -> None:
        """Free everything."""
        for number in list(self._held):
            self.forget(number)
