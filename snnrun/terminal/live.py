"""The live display: a table that grows epoch by epoch, and below it how far the run is."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TextIO

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from snnrun.numbers import duration, number, rate
from snnrun.tasks import Task
from snnrun.terminal.plain import PlainReporter
from snnrun.terminal.reporter import LineReporter, Progress, Span

REFRESH_S = 0.2  # at least this long between two pictures; one takes about 1 ms
_COLUMN_WIDTHS = (19, None, 13, 13, 7, 7)  # None: the bar takes what is left


class MovingLines:
    """Lines about how far something is, kept up to date in one place."""

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        self._console = console
        self._clock = clock
        self._next_picture = 0.0
        self._live: Live | None = None
        self._lost = False

    def show(self, picture: Callable[[], Table]) -> None:
        """Show what ``picture`` returns, if it is time for another one."""
        now = self._clock()
        if now < self._next_picture or self._lost:
            return
        self._next_picture = now + REFRESH_S
        try:
            if self._live is None:
                self._live = Live(console=self._console, auto_refresh=False, transient=True)
                self._live.start()
            self._live.update(picture(), refresh=True)
        except OSError:
            self._lost = True

    def stop(self) -> None:
        """Take the lines away."""
        if self._live is not None:
            live, self._live = self._live, None
            try:
                live.stop()
            except OSError:
                self._lost = True


class NotebookReporter(PlainReporter):
    """Shows a run in a notebook: plain lines, which it keeps, and below them the moving ones."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self._moving = MovingLines(Console(highlight=False, markup=False, emoji=False))

    def progress(self, progress: Progress) -> None:
        self._moving.show(lambda: _picture(progress, self._task))

    def close(self) -> None:
        self._moving.stop()


class LiveReporter(LineReporter):
    """Shows a run on a terminal. The table scrolls up; the last two lines are kept up to date."""

    def __init__(
        self,
        stream: TextIO | None = None,
        *,
        console: Console | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._console = console or Console(file=stream, highlight=False, markup=False, emoji=False)
        super().__init__(self._console.width, self._console.width)
        self._moving = MovingLines(self._console, clock)
        self._lost = False

    def say(self, *lines: Sequence[Span]) -> None:
        for line in lines:
            if self._lost:
                return
            try:
                # soft wrap: a path longer than the line stays one word that can be copied
                self._console.print(Text.assemble(*line), soft_wrap=True)
            except OSError:
                self._lost = True

    def progress(self, progress: Progress) -> None:
        if not self._lost:
            self._moving.show(lambda: _picture(progress, self._task))

    def close(self) -> None:
        self._moving.stop()


def _picture(progress: Progress, task: Task) -> Table:
    """Return the two lines at the bottom: the current phase, and the whole run."""
    table = Table.grid(padding=(0, 2), expand=True)
    for width in _COLUMN_WIDTHS:  # fixed, or the bar would change its length with every number
        table.add_column(no_wrap=True, ratio=None if width else 1, min_width=width)
    trained = progress.done / max(1, progress.total) if progress.phase == "train" else 1.0
    table.add_row(
        Text(f"epoch {progress.epoch} {progress.phase}", "bold"),
        ProgressBar(total=max(1, progress.total), completed=progress.done),
        f"{progress.done:,}/{progress.total:,}",
        f"loss {number(progress.loss)}",
        task.cell(progress.score),
        f"{rate(progress.examples_per_second)}/s",
    )
    table.add_row(
        Text("whole run", "dim"),
        ProgressBar(
            total=max(1, progress.epochs), completed=progress.epoch + trained, complete_style="cyan"
        ),
        f"{progress.epoch}/{progress.epochs} epochs",
        Text(f"{duration(progress.seconds_left)} left", "cyan"),
    )
    return table
