"""How the jobs of a sweep stand, as lines: who runs where and how long, who ended and why.

They are read once, or again until all jobs have ended.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

from snnrun.numbers import duration, table
from snnrun.shell import command
from snnrun.sweeps.course import Course, make_screen, result_of
from snnrun.sweeps.settings import differing
from snnrun.sweeps.sweep import DONE, FAILED, RUNNING, WAITING, Job, Sweep, read_sweep
from snnrun.sweeps.table import counted, name_of
from snnrun.terminal.choice import can_move

INTERVAL_S = 2.0  # between two readings
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
        lines.append(f"and {more} more; all: {command('sweep', 'status', sweep.folder, '--json')}")
    return lines


def count_line(sweep: Sweep) -> str:
    """Return how many jobs are in which state."""
    total = len(sweep.jobs)
    return f"{total} job{'s' if total != 1 else ''}: {counted(sweep.counts)}; in {sweep.folder}"


def watch(folder: Path, stream: TextIO) -> None:
    """Show how the jobs of a sweep stand until none runs or waits, or Ctrl-C ends it.

    On a terminal that is one picture that is kept up to date; elsewhere, a line for each job that
    ends.
    """
    try:
        if can_move(stream):
            _picture(folder, stream)
        else:
            _lines(folder, stream)
    except KeyboardInterrupt:
        return
    print("\n".join(status_lines(read_sweep(folder))), file=stream)


def _row(job: Job, keys: Sequence[str]) -> tuple[str, ...]:
    epochs = f"{job.epochs}/{job.n_epochs}" if job.n_epochs else ""
    left = duration(job.seconds_left) if job.state == RUNNING else ""
    told = result_of(job) if job.state in (*FAILED, DONE) else ""
    where = f"{job.host} (job {job.slurm_job})" if job.slurm_job else job.host
    return (name_of(job, keys), job.state, epochs, where, left, told)


def _picture(folder: Path, stream: TextIO) -> None:
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    console = Console(file=stream, highlight=False, markup=False, emoji=False)
    with Live(console=console, auto_refresh=False, transient=True) as live:
        while not _over(sweep := read_sweep(folder)):
            text = Text("\n".join(status_lines(sweep)), no_wrap=True, overflow="ellipsis")
            live.update(text, refresh=True)
            time.sleep(INTERVAL_S)


def _lines(folder: Path, stream: TextIO) -> None:
    course = Course(folder, make_screen(stream))
    try:
        while not _over(read_sweep(folder)):
            time.sleep(INTERVAL_S)
    finally:
        course.close()


def _over(sweep: Sweep) -> bool:
    """Return whether nothing runs and nothing waits."""
    return not sweep.of_state(RUNNING, WAITING)
