"""The contract of everything that shows a run to its user, and what all that write lines share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import NamedTuple, Protocol

from snnrun.tasks import CLASSIFICATION, Task
from snnrun.terminal.format import (
    Info,
    Row,
    epoch_cells,
    epoch_heading,
    epoch_notes,
    fitting_columns,
    hidden_layers,
    listing,
)
from snnrun.version import __version__

Span = tuple[str, str]  # text and its style, as rich names styles

_CELL_STYLES = ("bold", "dim", "dim", "", "", "dim", "dim", "dim", "dim", "cyan")
_MARKED = 4  # the cell that is marked in the best epoch: the validation's score
_LABEL_WIDTH = 14


class Progress(NamedTuple):
    """How far a run is."""

    epoch: int  # counted from 0
    epochs: int  # of the whole run
    phase: str  # train, validation or test
    done: int  # examples of this phase
    total: int
    loss: float  # mean over the examples done
    score: float  # of the task, of the examples done
    examples_per_second: float
    seconds_left: float | None  # until the end of the run, None while unknown


class Reporter(Protocol):
    """Receives what happens in a run. Call ``close`` at the end, whatever happens.

    A reporter that can no longer write (the terminal is gone, the pipe is closed, the disk is full)
    falls silent: the run goes on.
    """

    def start(self, info: Info, task: Task = CLASSIFICATION) -> None:
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


class LineReporter(ABC):
    """Shows a run as lines. Where they go, and whether they have colours, the subclass knows.

    Args:
        room: Characters that a line of the table of epochs has room for.
        width: Characters after which text is wrapped.
    """

    def __init__(self, room: int, width: int) -> None:
        self._room, self._width = room, width
        self._layers: Sequence[str] | None = None
        self._columns: Sequence[int] = ()
        self._task: Task = CLASSIFICATION

    @abstractmethod
    def say(self, *lines: Sequence[Span]) -> None:
        """Write lines, each given as pieces with their styles."""

    def start(self, info: Info, task: Task = CLASSIFICATION) -> None:
        self._task = task
        self.say([(f"snnrun {__version__}", "bold")], *self._listing(info))

    def build(self, message: str) -> None:
        self.say(*self._listing({"build": message}))

    def epoch(self, row: Row, *, seconds_left: float | None = None, best: bool = False) -> None:
        if self._layers is None:
            self._layers = hidden_layers(row)
            self._columns = fitting_columns(self._layers, self._room)
            heading = epoch_heading(self._layers, self._columns, self._task)
            self.say(*([(line, "dim")] for line in ("", *heading)))
        cells = epoch_cells(row, self._layers, self._task, seconds_left, best)
        marked = _MARKED if best else -1
        styles = ["bold green" if k == marked else style for k, style in enumerate(_CELL_STYLES)]
        self.say(
            [(cells[column], styles[column]) for column in self._columns],
            *([(line, "dim")] for line in epoch_notes(row, self._layers)),
        )

    def warning(self, text: str) -> None:
        self.say([(f"warning: {text}", "yellow")])

    def finish(self, summary: Info) -> None:
        self.close()
        self.say([], [("finished", "bold green")], *self._listing(summary))

    def interrupted(self, how_to_go_on: str) -> None:
        self.close()
        self.say([], [("stopped: ", "bold yellow"), (how_to_go_on, "")])

    @abstractmethod
    def close(self) -> None:
        """Give the terminal back."""

    def _listing(self, entries: Info) -> list[list[Span]]:
        lines = listing(entries, self._width)
        return [[(line[:_LABEL_WIDTH], "dim"), (line[_LABEL_WIDTH:], "")] for line in lines]
