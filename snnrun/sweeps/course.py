"""The course of a sweep while it runs: a line for each job that has ended, and how far all are.

All of it is read from the run folders. So it is the same whoever runs the jobs: this process,
others that a launcher has started, or a cluster.
"""

from __future__ import annotations

import math
import os
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol, TextIO

from snnrun.errors import SnnrunError
from snnrun.numbers import duration
from snnrun.record.ending import PRUNED
from snnrun.record.paths import RunPaths
from snnrun.sweeps.settings import differing
from snnrun.sweeps.sweep import DONE, FAILED, OPEN, RUNNING, WAITING, Job, Sweep, read_sweep
from snnrun.sweeps.table import counted, in_short, name_of
from snnrun.terminal.choice import can_move

if TYPE_CHECKING:
    from rich.table import Table

LOOK_S = 0.5
_LONGEST_REASON = 100  # in the line of a job; the table has more of it
STYLES = {
    DONE: "green",
    PRUNED: "blue",
    "stopped": "yellow",
    "killed": "red",
    **dict.fromkeys(FAILED, "red"),
}


class Progress(NamedTuple):
    """How far a sweep is."""

    counts: Mapping[str, int]  # state -> jobs
    share: float  # of all epochs, those of jobs that have ended all counted
    seconds_left: float | None  # None while unknown
    what: str = "jobs"


class Screen(Protocol):
    """Shows the course of a sweep."""

    def line(self, before: str, state: str, after: str) -> None:
        """Show a job that has ended."""

    def progress(self, progress: Progress) -> None:
        """Show how far all are."""

    def close(self) -> None:
        """Give the terminal back."""


class PlainScreen:
    """A plain line for each job, for files, pipes and batch systems."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def line(self, before: str, state: str, after: str) -> None:
        with suppress(OSError, ValueError):  # nobody is there to read it
            print(f"{before}  {state}  {after}".rstrip(), file=self._stream, flush=True)

    def progress(self, progress: Progress) -> None:
        """Lines of it would say nothing that those of the jobs do not."""

    def close(self) -> None:
        """Nothing to give back."""


class LiveScreen:
    """The lines of the jobs scroll up; below them one bar is kept up to date."""

    def __init__(self, stream: TextIO) -> None:
        from rich.console import Console

        from snnrun.terminal.live import MovingLines

        self._console = Console(file=stream, highlight=False, markup=False, emoji=False)
        self._moving = MovingLines(self._console)

    def line(self, before: str, state: str, after: str) -> None:
        from rich.text import Text

        text = Text.assemble(before, "  ", (state, STYLES.get(state, "")), "  ", after)
        with suppress(OSError):
            self._console.print(text, no_wrap=True, overflow="ellipsis", crop=True)

    def progress(self, progress: Progress) -> None:
        self._moving.show(lambda: picture(progress))

    def close(self) -> None:
        self._moving.stop()


def make_screen(stream: TextIO | None = None) -> Screen:
    """Return a screen for standard output or another stream."""
    stream = stream or sys.stdout
    return LiveScreen(stream) if can_move(stream) else PlainScreen(stream)


def picture(progress: Progress) -> Table:
    """Return the bar of the whole as rich draws it."""
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    total = sum(progress.counts.values())
    ended = total - progress.counts.get(WAITING, 0) - progress.counts.get(RUNNING, 0)
    table = Table.grid(padding=(0, 2), expand=True)
    for ratio in (None, 1, None, None):
        table.add_column(no_wrap=True, ratio=ratio)
    table.add_row(
        Text(f"{ended}/{total} {progress.what}", "bold"),
        ProgressBar(total=1.0, completed=progress.share, complete_style="cyan"),
        Text(counted(progress.counts, (RUNNING, "stopped", "killed", *FAILED))),
        Text(f"{duration(progress.seconds_left)} left", "cyan"),
    )
    return table


class Course:
    """Follows the jobs of a sweep, in a thread, until it is closed.

    Args:
        folder: Of the sweep.
        screen: Where lines and bar go; closed with this.
        clock: Seconds.
    """

    def __init__(
        self, folder: Path, screen: Screen, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.screen = screen
        self._folder, self._clock, self._began = folder, clock, clock()
        self._sweep = read_sweep(folder)
        self._marks = {job.number: _mark(job) for job in self._sweep.jobs}
        self._before = dict(self._marks)  # of jobs as they were left
        self._told: dict[int, tuple[str, int]] = {}  # state and epochs
        self._done = {job.number for job in self._sweep.of_state(DONE)}
        self._share = _share(self._sweep)
        self._show_progress()  # here, as the terminal's streams are this thread's to change
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Follow the jobs no longer, and show what has ended since."""
        self._closed.set()
        self._thread.join()
        self.look()

    def close(self) -> None:
        """End, and give the terminal back."""
        self.end()
        self.screen.close()

    def look(self) -> None:
        """Read what has changed, and show it."""
        known = [job for job in self._sweep.jobs if self._as_it_was(job)]
        self._sweep = read_sweep(self._folder, known)
        self._marks = {job.number: _mark(job) for job in self._sweep.jobs}
        for job in self._sweep.jobs:
            ended = job.state not in (RUNNING, WAITING)
            if ended and self._before.get(job.number) != self._marks[job.number]:
                self._tell(job)
        self._show_progress()

    def tell_failed(self, number: int, reason: str) -> None:
        """Show a job that failed without a new trace in its folder, unless it was shown.

        To be called after ``end``.
        """
        for job in self._sweep.jobs:
            if job.number == number and job.state in FAILED:
                self._tell(job)
            elif job.number == number and job.state in OPEN:
                self._tell(replace(job, state="refused", reason=reason))

    def _tell(self, job: Job) -> None:
        if self._told.get(job.number) == (job.state, job.epochs):  # seen again by another launcher
            return
        self._told[job.number] = job.state, job.epochs
        total = len(self._sweep.jobs)
        keys = differing(self._sweep.jobs)
        width = max(len(name_of(one, keys)) for one in self._sweep.jobs)
        place = len(self._done.union(self._told))
        before = f"{place:>{len(str(total))}}/{total}  {name_of(job, keys):<{width}}"
        self.screen.line(before, job.state, result_of(job))

    def _follow(self) -> None:
        while not self._closed.wait(LOOK_S):
            with suppress(SnnrunError, OSError):  # of a folder that is just being written
                self.look()

    def _as_it_was(self, job: Job) -> bool:
        told = job.state != RUNNING and job.folder != self._folder
        return told and self._marks[job.number] == _mark(job)

    def _show_progress(self) -> None:
        share, passed = _share(self._sweep), self._clock() - self._began
        rate = (share - self._share) / passed if passed > 0 else 0.0
        self.screen.progress(
            Progress(self._sweep.counts, share, (1 - share) / rate if rate > 0 else None)
        )


def result_of(job: Job) -> str:
    """Return in a few words what a job gave, or why it gave nothing."""
    if job.state in FAILED:
        return in_short(job.reason, _LONGEST_REASON)
    scores = (("valid", job.validation_score), ("test", job.test_score))
    known = [f"{word} {100 * score:.2f}%" for word, score in scores if not math.isnan(score)]
    if job.state != DONE:
        known.insert(0, f"after {job.epochs} of {job.n_epochs} epochs" if job.n_epochs else "")
    return "  ".join([*filter(None, known), *([duration(job.seconds)] if job.seconds else [])])


def _share(sweep: Sweep) -> float:
    def of(job: Job) -> float:
        if job.state in (RUNNING, "stopped", "killed"):
            return job.epochs / job.n_epochs if job.n_epochs else 0.0
        return float(job.state != WAITING)

    return sum(map(of, sweep.jobs)) / max(1, len(sweep.jobs))


def _mark(job: Job) -> tuple[int, ...]:
    """Return what changes when a job begins, goes on or ends."""
    paths = RunPaths(job.folder)
    found = []
    for path in (paths.end, paths.run, paths.pid):
        try:
            about = os.stat(path)
            found.append(about.st_ino if path == paths.pid else about.st_mtime_ns)
        except OSError:
            found.append(0)
    return tuple(found)
