"""One run of a multirun in a task of Slurm: `python -m snnrun.commands.slurm_task NAME.json`."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from snnrun.commands.train import application
from snnrun.console import USER_ERROR, make_usable
from snnrun.errors import BuildError, DataError, ResourceError, SnnrunError
from snnrun.record.owner import HEARTBEAT_S, SILENCE_S, running
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


def wait_for_the_dead(folder: Path) -> None:
    """Wait until a process that was at work in the folder is known as dead, as far as it may be.

    A job that was killed may go on at once, and on another node, where only its silence tells.
    """
    paths = RunPaths(folder)
    last = time.monotonic() + SILENCE_S + HEARTBEAT_S
    while time.monotonic() < last and running(paths):
        time.sleep(1.0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
