"""Runs on several ranks of a real MPI."""

from __future__ import annotations

import os
import shutil
import sys
from importlib.metadata import PackageNotFoundError, files
from importlib.util import find_spec
from pathlib import Path

from runs import command


def environment() -> dict[str, str]:
    """Return the environment in which mpi4py finds the MPI that pip has installed, if it has."""
    found = dict(os.environ)
    for path in _of_mpich():
        if path.name.startswith("libmpi.so."):
            found.setdefault("MPI4PY_LIBMPI", str(path.resolve()))
    return found


def mpiexec() -> str | None:
    """Return the launcher of the MPI that mpi4py finds, if there is one."""
    of_mpich = [str(path.resolve()) for path in _of_mpich() if path.name == "mpiexec"]
    return next(iter(of_mpich), None) or shutil.which("mpiexec")


def missing() -> str:
    """Return what keeps ranks from running here; an empty text if nothing does."""
    if sys.platform != "linux":
        return "it is tried on Linux only"
    if find_spec("mpi4py") is None:
        return "mpi4py is not installed"
    return "" if mpiexec() else "there is no mpiexec (pip install mpich brings one)"


def on_ranks(count: int, *words: str) -> list[str]:
    """Return the command line of a command on so many ranks."""
    return [str(mpiexec()), "-n", str(count), *command(*words)]


def rank_of(folder: Path, wanted: int) -> int:
    """Return the process of a rank that works on a run."""
    for entry in Path("/proc").iterdir():
        try:
            environ = (entry / "environ").read_bytes().split(b"\0")
            words = (entry / "cmdline").read_bytes()
        except OSError:
            continue
        names = {b"PMI_RANK=%d" % wanted, b"SLURM_PROCID=%d" % wanted}
        launches = b"mpiexec" in words or b"srun\0" in words
        if names & set(environ) and str(folder).encode() in words and not launches:
            return int(entry.name)
    raise AssertionError(f"there is no rank {wanted}")


def _of_mpich() -> list[Path]:
    try:
        return [Path(str(file.locate())) for file in files("mpich") or ()]
    except PackageNotFoundError:
        return []
