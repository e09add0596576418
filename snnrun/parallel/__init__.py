"""One run on several processes, the ranks of MPI: each takes a part of every mini-batch.

Rank 0 carries out the command as if it were alone: it has the terminal and the run folder. Where it
opens a program, the other ranks build it too, and do their parts of what it is asked for.
"""

from __future__ import annotations

import os

SWITCH = "SNNRUN_MPI"  # environment variable; 0: do not look for other ranks
# what launchers tell each process: its rank, how many there are, and who says so
TOLD = (
    ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "mpiexec"),
    ("PMI_RANK", "PMI_SIZE", "mpiexec"),
    ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "srun"),
)


def launched() -> tuple[int, int, str] | None:
    """Return rank, ranks and launcher if several processes were launched together, else None."""
    if os.environ.get(SWITCH) == "0":
        return None
    for rank, ranks, launcher in TOLD:
        found, count = os.environ.get(rank, ""), os.environ.get(ranks, "")
        if found.isdecimal() and count.isdecimal() and int(count) > 1:
            return int(found), int(count), launcher
    return None
