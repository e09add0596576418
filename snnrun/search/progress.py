"""What is shown of a search while it runs: a line for each trial that has ended, and a bar."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from snnrun.search.report import Report, Trial, report_of, told_value, told_values, words_of
from snnrun.sweeps.course import Progress, Screen, make_screen
from snnrun.sweeps.sweep import WAITING


class TrialProgress:
    """Shows each trial that it is told of.

    Args:
        folder: Of the search.
        n_trials: In all.
        screen: Where lines and bar go.
    """

    def __init__(self, folder: Path, n_trials: int, screen: Screen) -> None:
        self._folder, self._n_trials, self._screen = folder, n_trials, screen
        self._began, self._told = time.monotonic(), 0

    def __call__(self, study: Any, number: int) -> None:
        """Show a trial that has ended."""
        report = report_of(self._folder, study)
        trial = report.trials[number]
        ended = [one for one in report.trials if one.state not in (WAITING, "begun")]
        self._told += 1
        width = len(str(self._n_trials))
        before = f"{len(ended):>{width}}/{self._n_trials}  trial {number:<{width}}"
        self._screen.line(f"{before}  {words_of(trial)}", trial.state, said_of(report, trial))
        counts = Counter(one.state for one in ended)
        left = max(0, self._n_trials - len(ended))
        seconds = (time.monotonic() - self._began) / self._told * left
        share = len(ended) / max(self._n_trials, len(ended))
        self._screen.progress(Progress({**counts, WAITING: left}, share, seconds, "trials"))


def said_of(report: Report, trial: Trial) -> str:
    """Return what came of a trial: its values, or why it has none."""
    if not trial.values:
        return trial.reason
    said = told_values(report, trial)
    if len(report.objectives) > 1:
        return said
    best = report.best[0]
    return said + (
        " (the best so far)" if best is trial else f" (best {told_value(best.values[0])})"
    )


@contextmanager
def showing(folder: Path, n_trials: int) -> Iterator[TrialProgress]:
    """Give what shows the trials on standard output, as long as the block lasts."""
    screen = make_screen()
    try:
        yield TrialProgress(folder, n_trials, screen)
    finally:
        screen.close()
