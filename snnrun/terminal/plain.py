"""Plain lines: for files, pipes, batch systems, and terminals that want no colour."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TextIO

from snnrun.numbers import duration, number, rate
from snnrun.terminal.reporter import LineReporter, Progress, Span

INTERVAL_S = 10.0  # between two lines about progress
_WIDTH = 80


class PlainReporter(LineReporter):
    """Writes a line per epoch, and one about progress every 10 s if nothing else was written."""

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        room = shutil.get_terminal_size().columns if stream.isatty() else sys.maxsize
        super().__init__(room, min(room, _WIDTH))
        self._stream = stream
        self._clock = clock
        self._silent_since = clock()

    def progress(self, progress: Progress) -> None:
        if self._clock() - self._silent_since >= INTERVAL_S:
            self.say([(self._line(progress), "")])

    def failed(self, message: str) -> None:
        """Write the error that ended the run: to run.log, as a command shows it by itself."""
        self.say([], [(f"error: {message}", "")])

    def close(self) -> None:
        """Nothing to give back: every line is written at once."""

    def say(self, *lines: Sequence[Span]) -> None:
        self._silent_since = self._clock()
        encoding = self._stream.encoding or "utf-8"
        text = "".join("".join(piece for piece, _ in line) + "\n" for line in lines)
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

    def _line(self, progress: Progress) -> str:
        """Return how far a run is as one line."""
        return (
            f"epoch {progress.epoch} {progress.phase} {progress.done:,}/{progress.total:,}"
            f"  loss {number(progress.loss)}  {self._task.short} {self._task.cell(progress.score)}"
            f"  {rate(progress.examples_per_second)} examples/s"
            f"  time left {duration(progress.seconds_left)}"
        )
