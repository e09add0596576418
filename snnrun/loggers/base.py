"""What a logger is: it is told what happens in a run, and hands it on."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Row = Mapping[str, float | int | None]
"""The figures of an epoch by the columns of snnrun.record.columns.EPOCHS; None: it has none."""


@dataclass(frozen=True, kw_only=True)
class LoggedRun:
    """The run that is logged, as it stands when a process begins to work on it.

    Args:
        folder: The run folder.
        name: What tells it from other runs: NAME and the folder.
        tags: TAGS of the configuration.
        group: The sweep or cross-validation that it is part of; "" where it is of none.
        config: Key -> value: texts, numbers, lists; options of groups as ``dataset.name``.
        epochs: How many epochs have been recorded, by processes before this one.
        logged: How many epochs the logger was given by them. More than ``epochs``: the run starts
            again from an earlier checkpoint, and what was logged after it is void.
        remembered: What ``Logger.remember`` has returned to them.
    """

    folder: Path
    name: str
    tags: tuple[str, ...] = ()
    group: str = ""
    config: Mapping[str, Any] = field(default_factory=dict)
    epochs: int = 0
    logged: int = 0
    remembered: Mapping[str, Any] = field(default_factory=dict)


class Logger:
    """A logger that does nothing; one's own has the methods that it needs.

    They are called in this order: ``begin``, ``log`` any number of times, ``finish`` if the run
    came to its end, ``close``. A run that is resumed makes a new logger. What a method raises
    becomes a warning of the run, which goes on without this logger.
    """

    def begin(self, run: LoggedRun) -> int:
        """Make ready, and return the first epoch that ``log`` shall be given.

        By default that is the first one that has not been logged.
        """
        return min(run.logged, run.epochs)

    def log(self, rows: Sequence[Row]) -> None:
        """Take the figures of epochs that follow each other, and do not come back before they last.

        Only such epochs are given as the run's own files hold already, so none is taken back. After
        a kill the last ones may come again, with the same figures.
        """

    def finish(self, test: Mapping[str, float], pictures: Sequence[Path]) -> None:
        """Take what there is at the end of the run.

        Args:
            test: ``test_accuracy``, ``test_loss``, ... of the last weights, and the same as
                ``test_best_accuracy``, ... of the best ones, where they were tested.
            pictures: PNG files, those in the folder ``plots``.
        """

    def close(self, state: str) -> None:
        """Let go of everything; ``state`` is finished, stopped or failed."""

    def remember(self) -> dict[str, Any] | None:
        """Return what the next process needs to know, as JSON has it.

        None: nothing, not even how many epochs were logged.
        """
        return {}


def figures(row: Row) -> dict[str, float]:
    """Return the figures that a row has, without the number of the epoch."""
    return {name: value for name, value in row.items() if value is not None and name != "epoch"}


def epoch_of(row: Row) -> int:
    """Return the number of the epoch of a row, from 0."""
    return int(row["epoch"] or 0)


def ends(rows: Sequence[Row]) -> list[float]:
    """Return when the epochs of some rows ended, as far as their durations tell, as time.time()."""
    now, found = time.time(), list[float]()
    for row in reversed(rows):
        found.append(now)
        now -= row.get("seconds") or 0.0
    return found[::-1]
