"""What a run says while it goes on: live on a terminal or in a notebook, else plain lines."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from typing import TextIO

from snnrun.report.format import Info, Row
from snnrun.report.plain import PlainReporter
from snnrun.report.reporter import Progress, Reporter


def make_reporter(stream: TextIO | None = None) -> Reporter:
    """Return the live display if ``stream`` (standard output) is a terminal that can do it.

    Without ``stream``, a notebook has it too.
    """
    if stream is None and _in_notebook():
        from snnrun.report.live import NotebookReporter

        return NotebookReporter(sys.stdout)
    stream = stream or sys.stdout
    if stream.isatty() and os.environ.get("TERM") != "dumb" and not os.environ.get("NO_COLOR"):
        from snnrun.report.live import LiveReporter  # rich takes a while to import

        return LiveReporter(stream)
    return PlainReporter(stream)


def _in_notebook() -> bool:
    """Return whether this is a Jupyter kernel with the widgets that rich's live display needs."""
    if "ipykernel" not in sys.modules or find_spec("ipywidgets") is None:
        return False
    from rich.console import Console

    return Console().is_jupyter


class Together:
    """Several reporters as one, for the terminal and ``run.log``."""

    def __init__(self, reporters: Sequence[Reporter]) -> None:
        self._reporters = tuple(reporters)

    def start(self, info: Info) -> None:
        for reporter in self._reporters:
            reporter.start(info)

    def build(self, message: str) -> None:
        for reporter in self._reporters:
            reporter.build(message)

    def progress(self, progress: Progress) -> None:
        for reporter in self._reporters:
            reporter.progress(progress)

    def epoch(self, row: Row, *, seconds_left: float | None = None, best: bool = False) -> None:
        for reporter in self._reporters:
            reporter.epoch(row, seconds_left=seconds_left, best=best)

    def warning(self, text: str) -> None:
        for reporter in self._reporters:
            reporter.warning(text)

    def finish(self, summary: Info) -> None:
        for reporter in self._reporters:
            reporter.finish(summary)

    def interrupted(self, how_to_go_on: str) -> None:
        for reporter in self._reporters:
            reporter.interrupted(how_to_go_on)

    def close(self) -> None:
        for reporter in self._reporters:
            reporter.close()
