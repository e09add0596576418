"""Plain lines: for files, pipes, batch systems, and terminals that want no colour."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TextIO

from snnrun import __version__
from snnrun.report.format import (
    Info,
    Row,
    duration,
    epoch_cells,
    epoch_heading,
    epoch_notes,
    fitting_columns,
    hidden_layers,
    is_pattern,
    listing,
    number,
    percent,
    rate,
)
from snnrun.report.reporter import Progress

INTERVAL_S = 10.0  # between two lines about progress
_WIDTH = 80


class PlainReporter:
    """Writes a line per epoch, and one about progress every 10 s if nothing else was written."""

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._clock = clock
        self._silent_since = clock()
        self._layers: Sequence[str] | None = None
        self._room = shutil.get_terminal_size().columns if stream.isatty() else sys.maxsize
        self._width = min(self._room, _WIDTH)  # of wrapped text
        self._columns: Sequence[int] = ()

    def start(self, info: Info) -> None:
        self._say(f"snnrun {__version__}", *listing(info, self._width))

    def build(self, message: str) -> None:
        self._say(*listing({"build": message}, self._width))

    def progress(self, progress: Progress) -> None:
        if self._clock() - self._silent_since >= INTERVAL_S:
            self._say(_line(progress))

    def epoch(self, row: Row, *, seconds_left: float | None = None, best: bool = False) -> None:
        if self._layers is None:
            self._layers = hidden_layers(row)
            self._columns = fitting_columns(self._layers, self._room)
            self._say("", *epoch_heading(self._layers, self._columns, is_pattern(row)))
        cells = epoch_cells(row, self._layers, seconds_left, best)
        line = "".join(cells[column] for column in self._columns)
        self._say(line, *epoch_notes(row, self._layers))

    def warning(self, text: str) -> None:
        self._say(f"warning: {text}")

    def finish(self, summary: Info) -> None:
        self._say("", "finished", *listing(summary, self._width))

    def interrupted(self, how_to_go_on: str) -> None:
        self._say("", f"stopped: {how_to_go_on}")

    def failed(self, message: str) -> None:
        """Write the error that ended the run: to run.log, as a command shows it by itself."""
        self._say("", f"error: {message}")

    def close(self) -> None:
        """Nothing to give back: every line is written at once."""

    def _say(self, *lines: str) -> None:
        self._silent_since = self._clock()
        encoding = self._stream.encoding or "utf-8"
        text = "".join(line + "\n" for line in lines)
        try:
            self._stream.write(text.encode(encoding, "replace").decode(encoding))
            self._stream.flush()
        except (OSError, ValueError):  # a ValueError if somebody closed it
            self._fall_silent()

    def _fall_silent(self) -> None:
        """Send what follows nowhere, so that Python's own flush at exit does not fail either."""
        with suppress(OSError, ValueError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())
            os.close(nowhere)


def _line(progress: Progress) -> str:
    """Return how far a run is as one line."""
    return (
        f"epoch {progress.epoch} {progress.phase} {progress.done:,}/{progress.total:,}"
        f"  loss {number(progress.loss)}  acc {percent(progress.accuracy)}"
        f"  {rate(progress.examples_per_second)} examples/s"
        f"  time left {duration(progress.seconds_left)}"
    )
