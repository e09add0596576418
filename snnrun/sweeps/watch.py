"""`snnrun sweep status --watch`: the state of a sweep, read again until all its jobs have ended."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TextIO

from snnrun.report.terminal import can_move
from snnrun.sweeps.course import Course, make_screen
from snnrun.sweeps.status import over, status_lines
from snnrun.sweeps.sweep import read_sweep

INTERVAL_S = 2.0


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


def _picture(folder: Path, stream: TextIO) -> None:
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    console = Console(file=stream, highlight=False, markup=False, emoji=False)
    with Live(console=console, auto_refresh=False, transient=True) as live:
        while not over(sweep := read_sweep(folder)):
            text = Text("\n".join(status_lines(sweep)), no_wrap=True, overflow="ellipsis")
            live.update(text, refresh=True)
            time.sleep(INTERVAL_S)


def _lines(folder: Path, stream: TextIO) -> None:
    course = Course(folder, make_screen(stream))
    try:
        while not over(read_sweep(folder)):
            time.sleep(INTERVAL_S)
    finally:
        course.close()
