"""One run of a multirun in a task of Slurm: `python -m snnrun.commands.slurm_task NAME.json`."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

from snnrun import slurm
from snnrun.commands.train import application
from snnrun.console import USER_ERROR, make_usable
from snnrun.errors import BuildError, DataError, ResourceError, SnnrunError
from snnrun.record.owner import HEARTBEAT_S, SILENCE_S, read_owner, running
from snnrun.record.paths import RunPaths
from snnrun.slurm.submit import read_batch

OF_THE_NODE = (BuildError, DataError, ResourceError)  # may not come on another one
OTHER_ERROR = 1


def main(file: str) -> int:
    """Make the run that is this task's; return the exit code, by which the script goes on."""
    make_usable()
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    batch = read_batch(Path(file))
    place = int(os.environ["SLURM_ARRAY_TASK_ID"]) * batch.runs_per_job
    place += int(os.environ["SLURM_PROCID"])
    if place >= len(batch.runs):  # the last task of an array may have fewer
        return 0
    done = application().run_of_sweep(
        [*batch.words, *batch.runs[place], f"hydra.sweep.dir={batch.sweep}"],
        folders=[Path(folder) for folder in batch.folders],
        config_name=batch.config_name,
        number=batch.first + place,
        before=wait_for_the_dead,
    )
    try:
        _ = done.return_value  # raises what the run did
    except SnnrunError as error:
        return OTHER_ERROR if isinstance(error, OF_THE_NODE) else USER_ERROR
    return 0


def wait_for_the_dead(folder: Path, sleep: Callable[[float], None] = time.sleep) -> None:
    """Wait for a process of the same job, which was put back into the queue, to be known as dead.

    On the node that it was on the system knows; on others it takes a while.
    """
    paths = RunPaths(folder)
    last = time.monotonic() + SILENCE_S + HEARTBEAT_S
    while time.monotonic() < last and running(paths):
        owner = read_owner(paths)
        if owner is None or owner.job != slurm.job():
            return
        sleep(1.0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
