"""Data of rank 0 on all ranks: each node holds one copy, which its ranks read.

Arrays that are files on a disk are mapped by all ranks that can open them. A node where they cannot
be opened gets files of its own.
"""

from __future__ import annotations

import io
import pickle
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from snnrun.datasets.store import OnDisk, file_of, mapped

if TYPE_CHECKING:
    from mpi4py import MPI

ALIGNED = 64  # bytes
PIECE = 16 << 20  # of a file that is sent, in bytes


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
        head, files = b"", dict[str, int]()
        if self._comm.rank == 0:
            head, files = _pickled(thing, buffers)
        given = [buffer.raw() for buffer in buffers]
        head, files, sizes = self._comm.bcast((head, files, [view.nbytes for view in given]))
        places = self._placed(files)
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
            thing = _Unpickler(
                head, views, {name: path for name, (path, _) in places.items()}
            ).load()
        self._held[number] = (thing, places), window

    def _placed(self, files: dict[str, int]) -> dict[str, tuple[Path, Any]]:
        """Return where this node has files of rank 0, by their names there, and what keeps them.

        Args:
            files: Their names and sizes.
        """
        found: dict[str, tuple[Path, Any]] = {}
        for name, size in files.items():
            path, kept = Path(name), None
            writes = self._node.rank == 0 and not _is_there(path, size)
            writer = OnDisk(np.uint8, path.parent) if writes else None
            if self._comm.allreduce(writes, self._mpi.LOR) and self._node.rank == 0:
                self._send(path, size, writer)
            if writer is not None:
                path, kept = writer.path, writer.finished()
            found[name] = self._node.bcast(path), kept
        return found

    def _send(self, path: Path, size: int, writer: OnDisk | None) -> None:
        """Send a file of rank 0 to the nodes, of which those with a writer keep it."""
        own = mapped(path, np.uint8) if self._comm.rank == 0 else None
        for first in range(0, size, PIECE):
            last = min(first + PIECE, size)
            piece = np.empty(last - first, np.uint8) if own is None else own[first:last]
            self._leaders.Bcast(piece)
            if writer is not None:
                writer.append(piece)

    def __getitem__(self, number: int) -> Any:
        return self._held[number][0][0]

    def forget(self, number: int) -> None:
        """Free what has this number."""
        _, window = self._held.pop(number)
        window.Free()

    def close(self) -> None:
        """Free everything."""
        for number in list(self._held):
            self.forget(number)


def _is_there(path: Path, size: int) -> bool:
    """Return whether the file of rank 0 is seen here; no other one has its name."""
    try:
        return path.stat().st_size == size
    except OSError:
        return False


def _pickled(thing: Any, buffers: list[pickle.PickleBuffer]) -> tuple[bytes, dict[str, int]]:
    """Return ``thing`` without its arrays, and the sizes of the files that are some of them.

    The others are added to ``buffers``.
    """
    out = io.BytesIO()
    pickler = _Pickler(out, protocol=5, buffer_callback=buffers.append)
    pickler.files = {}
    pickler.dump(thing)
    return out.getvalue(), pickler.files


class _Pickler(pickle.Pickler):
    """Names the files that arrays are, instead of holding their content."""

    files: dict[str, int]

    def persistent_id(self, thing: Any) -> tuple[str, str, tuple[int, ...]] | None:
        """Return name, type and shape of a row of an array that is a file, None of all else."""
        path = file_of(thing)
        if path is None:
            return None
        self.files[str(path)] = thing.nbytes
        return str(path), thing.dtype.str, thing.shape[1:]


class _Unpickler(pickle.Unpickler):
    """Maps the files that ``_Pickler`` has named.

    Args:
        head: What it has made.
        buffers: The other arrays.
        paths: Where the files are here.
    """

    def __init__(self, head: bytes, buffers: list[np.ndarray], paths: dict[str, Path]) -> None:
        super().__init__(io.BytesIO(head), buffers=buffers)
        self._paths = paths

    def persistent_load(self, named: tuple[str, str, tuple[int, ...]]) -> np.ndarray:
        """Return the array that a file is."""
        name, dtype, row = named
        return mapped(self._paths[name], dtype, row)
