"""What a run says while it goes on: live on a terminal or in a notebook, else plain lines."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from typing import Any, TextIO

from snnrun.terminal.plain import PlainReporter
from snnrun.terminal.reporter import Reporter


def make_reporter(stream: TextIO | None = None) -> Reporter:
    """Return the live display if ``stream`` (standard output) is a terminal that can do it.

    Without ``stream``, a notebook has it too.
    """
    if stream is None and _in_notebook():
        from snnrun.terminal.live import NotebookReporter

        return NotebookReporter(sys.stdout)
    stream = stream or sys.stdout
    if can_move(stream):
        from snnrun.terminal.live import LiveReporter  # rich takes a while to import

        return LiveReporter(stream)
    return PlainReporter(stream)


def can_move(stream: TextIO) -> bool:
    """Return whether ``stream`` is a terminal on which lines may be written anew, in colour."""
    return stream.isatty() and os.environ.get("TERM") != "dumb" and not os.environ.get("NO_COLOR")


def _in_notebook() -> bool:
    """Return whether this is a Jupyter kernel with the widgets that rich's live display needs."""
    if "ipykernel" not in sys.modules or find_spec("ipywidgets") is None:
        return False
    from rich.console import Console

    return Console().is_jupyter


def _each(method: str) -> Callable[..., None]:
    """Return a method that calls the one of this name of every reporter."""

    def call(self: Together, *arguments: Any, **named: Any) -> None:
        for reporter in self.reporters:
            getattr(reporter, method)(*arguments, **named)

    return call


class Together:
    """Several reporters as one, for the terminal and ``run.log``."""

    def __init__(self, reporters: Sequence[Reporter]) -> None:
        self.reporters = tuple(reporters)

    start = _each("start")
    build = _each("build")
    progress = _each("progress")
    epoch = _each("epoch")
    warning = _each("warning")
    finish = _each("finish")
    interrupted = _each("interrupted")
    close = _each("close")
