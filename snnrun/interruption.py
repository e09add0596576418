"""How a run is stopped: what it says, and with what the process ends."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn

from snnrun.config import Config
from snnrun.errors import told
from snnrun.record.paths import RunPaths
from snnrun.record.writer import RunRecord
from snnrun.shell import command
from snnrun.stop import TIME_IS_UP, Pruned, Stop, StopNow
from snnrun.summary import stopped, stopped_early
from snnrun.terminal.reporter import Reporter
from snnrun.training.loop import Stopped
from snnrun.training.state import State

if TYPE_CHECKING:
    from snnrun.plots.live import LivePlots


class Interrupted(SystemExit):
    """The run was stopped by a signal, or as its TIME_LIMIT was over.

    Args:
        code: The exit code, TIME_IS_UP in the latter case.
        how_to_go_on: Where it was stopped, and with which command it goes on.
        score: What a sweep optimises, so far; NaN before the first epoch has ended.
    """

    def __init__(self, code: int, how_to_go_on: str = "", score: float = math.nan) -> None:
        super().__init__(code)
        self.how_to_go_on = how_to_go_on
        self.score = score

    @property
    def time_is_up(self) -> bool:
        """Whether it was the TIME_LIMIT, which asks for no end of what else is going on."""
        return self.code == TIME_IS_UP


@contextmanager
def preparing(config: Config, stop: Stop, paths: RunPaths, reporter: Reporter) -> Iterator[None]:
    """Give up what comes before the first mini-batch as soon as a signal asks for it.

    What the system does not give, before that and later, becomes one message.
    """
    try:
        stop.prepare()
        with told():
            yield
    except StopNow:
        _interrupt(stopped_early(config, stop, paths), stop, reporter)


@contextmanager
def stoppable(
    config: Config,
    stop: Stop,
    state: State,
    record: RunRecord,
    paths: RunPaths,
    reporter: Reporter,
    plots: LivePlots | None,
) -> Iterator[None]:
    """Say how to go on with a training that was asked to stop, and end the process."""
    try:
        yield
    except Stopped:
        if plots:
            plots.ended()
        how_to_go_on = stopped(config, stop, state, paths)
        _interrupt(how_to_go_on, stop, reporter, score(state, record))
    except Pruned as pruned:
        if plots:
            plots.ended()
        reporter.interrupted(f"{pruned}\nTo its end: {command('resume', paths.root)}")
        raise


def score(state: State, record: RunRecord) -> float:
    """Return what a sweep optimises; NaN before the first epoch has ended."""
    if state.best_epoch >= 0:
        return state.best_score
    train = record.epochs[record.task.column("train")]
    return float(train[-1]) if len(train) else math.nan


def _interrupt(
    how_to_go_on: str, stop: Stop, reporter: Reporter, score: float = math.nan
) -> NoReturn:
    reporter.interrupted(how_to_go_on)
    raise Interrupted(stop.exit_code, how_to_go_on, score) from None
