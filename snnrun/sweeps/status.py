"""How the jobs of a sweep stand, as lines: who runs where and how long, who ended and why."""

from __future__ import annotations

from collections.abc import Sequence

from snnrun.numbers import duration, table
from snnrun.sweeps.course import result_of
from snnrun.sweeps.settings import differing
from snnrun.sweeps.sweep import DONE, FAILED, RUNNING, WAITING, Job, Sweep
from snnrun.sweeps.table import counted, name_of

_MOST = 40  # lines of jobs
_FIRST = (RUNNING, "killed", "stopped", *FAILED)


def status_lines(sweep: Sweep) -> list[str]:
    """Return how many jobs are in which state, and a line for each that is not done or waiting."""
    shown = [job for state in _FIRST for job in sweep.of_state(state)]
    lines, more = [count_line(sweep)], len(shown) - _MOST
    if shown:
        keys = differing(sweep.jobs)
        heading = ("", "state", "epochs", "host", "left", "")
        rows = [heading, *(_row(job, keys) for job in shown[:_MOST])]
        lines += table(rows, left=(0, 1, 3, 5), gap="  ")
    if more > 0:
        lines.append(f"and {more} more: `snnrun sweep table --json` has all")
    return lines


def count_line(sweep: Sweep) -> str:
    """Return how many jobs are in which state."""
    total = len(sweep.jobs)
    return f"{total} job{'s' if total != 1 else ''}: {counted(sweep.counts)}; in {sweep.folder}"


def over(sweep: Sweep) -> bool:
    """Return whether nothing runs and nothing waits."""
    return not sweep.of_state(RUNNING, WAITING)


def _row(job: Job, keys: Sequence[str]) -> tuple[str, ...]:
    epochs = f"{job.epochs}/{job.n_epochs}" if job.n_epochs else ""
    left = duration(job.seconds_left) if job.state == RUNNING else ""
    told = result_of(job) if job.state in (*FAILED, DONE) else ""
    where = f"{job.host} (job {job.slurm_job})" if job.slurm_job else job.host
    return (name_of(job, keys), job.state, epochs, where, left, told)
