"""The ranks of a run, seen from one of them."""

from __future__ import annotations

import hashlib
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import snnrun
from snnrun.console import USER_ERROR, show
from snnrun.errors import ConfigError, SnnrunError
from snnrun.machine import Node, memory_of_node
from snnrun.parallel import SWITCH
from snnrun.parallel.copies import on_node
from snnrun.parallel.links import First, Other
from snnrun.shell import command
from snnrun.version import __version__

if TYPE_CHECKING:
    from mpi4py import MPI

NO_MPI4PY = (
    "{launcher} has started {ranks} processes of snnrun, which share the work only with mpi4py: "
    "pip install 'snnrun[mpi]'. To run each by itself, set {switch}=0 in their environment, and "
    "give each a folder of its own"
)
OTHER_MPI = (
    "{launcher} has started {ranks} processes, but MPI of mpi4py sees {seen}: they are of "
    "different MPIs. Use the mpiexec of the MPI that mpi4py was built for (python -m mpi4py "
    "--mpi-lib-version says which); with Slurm, srun --mpi=list shows what it offers, as "
    "srun --mpi=pmi2. To run each process by itself, set {switch}=0 in their environment"
)
LATER_S = 2.0  # by then rank 1 has spoken, unless it is lost with rank 0
OWN_RUNS = (
    "\nRanks share each run, and must all ask for the same one. To have each do its own, set "
    "{switch}=0 in their environment, and give each a folder of its own"
)
WATCH = """
import select, sys
if not select.select([sys.stdin], [], [], 10.0)[0]:
    print(sys.argv[1], file=sys.stderr)
"""
WAITING = (
    "snnrun: rank {rank} waits for ranks that have not called snnrun yet: all of them must reach "
    "the script's first call. To have each do runs of its own, set {switch}=0 in their environment"
)
_world: list[World] = []  # of this process, if it is one of several


class World:
    """All ranks. Use ``begin``.

    Args:
        comm: MPI's communicator of them.
    """

    def __init__(self, comm: MPI.Intracomm) -> None:
        self.comm = comm
        self.rank, self.size = comm.rank, comm.size
        self.folder: Path | None = None  # of the run that is at work
        self.busy = False  # the others are in the middle of something that rank 0 has begun
        self.names = comm.allgather(_name(comm.rank))
        node = on_node(comm)
        _share_cores(node)
        _share_gpus(node)
        self._here = node.size if node.rank == 0 else 0  # ranks of a node, for the first of them
        self._one_node = node.size == comm.size
        node.Free()
        self._first = First(comm, self._one_node) if self.rank == 0 else None
        self._other = Other(comm) if self.rank else None

    def watch(self) -> None:
        """End with the other ranks, from now on."""
        # mpiexec ends what is on its own node, but waits for a node that no longer answers
        abort = None if self._one_node else self.comm.Abort
        if self._first:
            self._first.watch(self.names, self._farewell, abort)
        elif self._other:
            speaks_after_s = 0.0 if self.rank == 1 else LATER_S if self._here else None
            self._other.watch(self.names[0], speaks_after_s, abort)

    def differences(self, asked: Mapping[str, str]) -> list[str]:
        """Return in what the ranks differ that must be alike; all ranks are told.

        Args:
            asked: What they are to do, by names.
        """
        own = {
            "snnrun": f"{__version__}, files {_digest()}",
            "Python": sys.version.split()[0],
            **asked,
        }
        found = self.comm.allgather(own)
        return [
            f"{what}: {self.names[0]} has {found[0][what]}; {name} has {theirs[what]}"
            for name, theirs in zip(self.names, found, strict=True)
            for what in own
            if theirs[what] != found[0][what]
        ]

    def nodes(self) -> list[Node]:
        """Return the nodes with what they have now, first that of rank 0; for rank 0."""
        self.tell("memory")
        found = [self.memory(), *self.replies()]
        return [node for node in found if node.processes]

    def memory(self) -> Node:
        """Return the node of which this rank is the first one; of the others, one without ranks."""
        return Node(name=socket.gethostname(), processes=self._here, free=memory_of_node())

    def tell(self, *order: Any) -> None:
        """Have the other ranks do something; for rank 0."""
        assert self._first
        for link in self._first.orders:
            link.send(order)

    def replies(self) -> list[Any]:
        """Return what each of the other ranks answers; for rank 0."""
        assert self._first
        return [link.recv() for link in self._first.orders]

    def order(self) -> Any:
        """Return what this rank is to do next; for the others."""
        assert self._other
        return self._other.orders.recv()

    def reply(self, what: Any) -> None:
        """Answer rank 0."""
        assert self._other
        self._other.orders.send(what)

    def give_up(self, why: str) -> None:
        """End the run from another rank, with the reason."""
        assert self._other
        self._other.give_up(why)

    def dismiss(self) -> None:
        """Let the other ranks end."""
        if self._first:
            self._first.dismiss()

    def _farewell(self) -> str:
        if self.folder is None:
            return "All ranks end"
        return (
            "All ranks end; the run goes on from its last checkpoint, with any number of ranks: "
            f"{command('resume', self.folder)}"
        )


def join(launch: tuple[int, int, str], asked: Mapping[str, str], patient: bool = True) -> World:
    """Return the ranks that were launched with this one, which watch each other from now on.

    Args:
        launch: What ``launched`` says.
        asked: What they are to do, by names.
        patient: Say nothing where others do not come for a while.

    Raises:
        ConfigError: There is no mpi4py, or that of another MPI; or the ranks differ.
    """
    with nullcontext() if patient else _saying_so(launch[0]):
        ranks = begin(*launch[1:])
    if differences := ranks.differences(asked):
        _world.clear()
        told = "" if patient else OWN_RUNS.format(switch=SWITCH)
        raise ConfigError("the ranks must be alike:\n  " + "\n  ".join(differences) + told)
    ranks.watch()
    return ranks


def begin(ranks: int, launcher: str) -> World:
    """Return the ranks that were launched with this one, as MPI knows them.

    Raises:
        ConfigError: There is no mpi4py, or that of another MPI.
    """
    about = {"launcher": launcher, "ranks": ranks, "switch": SWITCH}
    os.environ["MPI4PY_RC_THREADS"] = "0"  # one thread of each process calls MPI
    try:
        from mpi4py import MPI
    except ImportError as error:
        raise ConfigError(NO_MPI4PY.format(**about)) from error
    except RuntimeError as error:  # it finds no library of MPI
        raise ConfigError(f"{NO_MPI4PY.format(**about)}. mpi4py says: {error}") from error
    if MPI.COMM_WORLD.size != ranks:
        raise ConfigError(OTHER_MPI.format(**about, seen=MPI.COMM_WORLD.size))
    os.environ[SWITCH] = "0"  # for processes that this one starts
    _world.append(World(MPI.COMM_WORLD))
    return _world[0]


@contextmanager
def _saying_so(rank: int) -> Iterator[None]:
    """Say that this rank waits for others if the block takes long: they may not be going to come.

    Another process says it, since MPI lets no other thread of this one work while it waits.
    """
    words = [sys.executable, "-S", "-c", WATCH, WAITING.format(rank=rank, switch=SWITCH)]
    with subprocess.Popen(words, stdin=subprocess.PIPE) as watching:
        try:
            yield
        finally:
            assert watching.stdin
            watching.stdin.close()


def world() -> World | None:
    """Return the ranks of which this process is one; None where it is alone."""
    return _world[0] if _world else None


def _name(rank: int) -> str:
    return f"rank {rank} (process {os.getpid()} on {socket.gethostname()})"


def _digest() -> str:
    """Return what tells the files of one version of the package from those of another."""
    found = hashlib.sha256()
    top = Path(snnrun.__file__).parent
    for path in sorted(path for end in ("*.py", "*.hpp", "*.tmpl") for path in top.rglob(end)):
        found.update(path.read_bytes())
    return found.hexdigest()[:12]


def _share_cores(node: MPI.Intracomm) -> None:
    """Give each rank of a node cores of its own, unless the launcher has done so."""
    if not hasattr(os, "sched_setaffinity"):
        return
    cores = sorted(os.sched_getaffinity(0))
    if any(others != cores for others in node.allgather(cores)):
        return
    count, ranks = len(cores), node.size
    first, end = count * node.rank // ranks, count * (node.rank + 1) // ranks
    os.sched_setaffinity(0, cores[first:end] or [cores[node.rank % count]])


def _share_gpus(node: MPI.Intracomm) -> None:
    """Let each rank of a node see one of its GPUs, in turn, unless the launcher has done so."""
    given = os.environ.get("CUDA_VISIBLE_DEVICES")
    if given is None:
        names = [path.name.removeprefix("nvidia") for path in Path("/dev").glob("nvidia[0-9]*")]
        gpus = sorted(names, key=int)
    else:
        gpus = given.split(",")
    alike = all(others == gpus for others in node.allgather(gpus))
    if gpus and alike:
        os.environ["CUDA_VISIBLE_DEVICES"] = gpus[node.rank % len(gpus)]


def carry_out(
    launch: tuple[int, int, str],
    words: Sequence[str],
    lead: Callable[[Sequence[str]], int],
    follow: Callable[[World], int],
) -> int:
    """Carry out a command line by all ranks, and return the exit code of this one.

    Args:
        launch: What ``launched`` says.
        words: The command line.
        lead: What rank 0 does.
        follow: What the others do.
    """
    try:
        ranks = join(launch, {"command line": command(*words)})
    except SnnrunError as error:
        if launch[0] == 0:  # for all
            show(error)
        return USER_ERROR
    if ranks.rank:
        return follow(ranks)
    try:
        code = lead(words)
    finally:
        ranks.dismiss()
    if ranks.busy:  # they would not come to the end of MPI, for which all wait
        sys.stdout.flush()
        os._exit(code)
    return code
