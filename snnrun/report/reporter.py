"""The contract of everything that shows a run to its user."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from snnrun.report.format import Info, Row


class Progress(NamedTuple):
    """How far a run is."""

    epoch: int  # counted from 0
    epochs: int  # of the whole run
    phase: str  # train, validation or test
    done: int  # examples of this phase
    total: int
    loss: float  # mean over the examples done
    accuracy: float  # share of 1
    examples_per_second: float
    seconds_left: float | None  # until the end of the run, None while unknown


class Reporter(Protocol):
    """Receives what happens in a run. Call ``close`` at the end, whatever happens.

    A reporter that can no longer write (the terminal is gone, the pipe is closed, the disk is full)
    falls silent: the run goes on.
    """

    def start(self, info: Info) -> None:
        """Show what was found: label -> text or lines (data, network, backend, compiler, ...)."""

    def build(self, message: str) -> None:
        """Show one step of the build."""

    def progress(self, progress: Progress) -> None:
        """Show how far the run is; cheap, to be called after each batch."""

    def epoch(self, row: Row, *, seconds_left: float | None = None, best: bool = False) -> None:
        """Show the figures of a finished epoch: the row that is also recorded."""

    def warning(self, text: str) -> None:
        """Show something that the user should know."""

    def finish(self, summary: Info) -> None:
        """Show how the run ended: final figures, files, the command to look further."""

    def interrupted(self, how_to_go_on: str) -> None:
        """Say that the run was stopped, and how to continue it."""

    def close(self) -> None:
        """Give the terminal back."""
