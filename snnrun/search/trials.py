"""The work of a search: take a trial, train its runs, enter their mean; until none is left."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from snnrun.errors import (
    BuildError,
    DataError,
    NumericalError,
    RecordError,
    ResourceError,
    SnnrunError,
)
from snnrun.record.ending import PRUNED, read_end
from snnrun.record.paths import RunPaths
from snnrun.record.reader import load_run
from snnrun.search.objective import Objective, of_run
from snnrun.search.settings import Settings
from snnrun.search.space import Space
from snnrun.search.study import ENDED, REASON, Book
from snnrun.stop import Pruned
from snnrun.sweeps.asked import AskedJob
from snnrun.training.early import OnEpoch, Row

NOT_OF_THE_TRIAL = (BuildError, DataError, RecordError, ResourceError)
Watch = Callable[[Path], OnEpoch]  # given the run folder


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of a run: its folder, and what ended it if it was an error."""

    folder: Path
    error: Exception | None = None


Ended = Callable[[Any, int], None]
Launch = Callable[[Sequence[str], int, Watch | None], Outcome]
"""Trains one run: given the words of its command line, its number, and who is told of epochs."""


@dataclass(kw_only=True)
class Worker:
    """Works on trials of a search, one after the other.

    Args:
        book: The trials.
        settings: Of the search.
        space: What is searched.
        objectives: What is optimised.
        n_epoch: Epochs of a run, the most that there may be.
        launch: Trains a run.
        first_seed: MODEL_SEED of the first run of each trial.
        numbered: Whether run folders are called by the numbers of the runs.
        ended: Is told the study and the number of each trial that has ended.
    """

    book: Book
    settings: Settings
    space: Space
    objectives: Sequence[Objective]
    n_epoch: int
    launch: Launch
    ended: Ended = lambda study, number: None
    first_seed: int = 1
    numbered: bool = True

    def work(self) -> None:
        """Take trials until none is left to begin.

        Raises:
            SystemExit: A stop was asked for. The trial goes on when the search does.
        """
        while True:
            with self.book.next_trial() as trial:
                if trial is None:
                    return
                self._run(trial)
            self.ended(self.book.study, trial.number)

    def _jobs(self, trial: Any) -> list[AskedJob]:
        """Return the runs of a trial: its words, and a seed for each."""
        words, first = self.space.overrides(trial.params), trial.number * self.settings.seeds
        return [
            AskedJob(
                number=first + place,
                words=(*words, f"MODEL_SEED={self.first_seed + place}"),
                folder=str(first + place) if self.numbered else "",
            )
            for place in range(self.settings.seeds)
        ]

    def _run(self, trial: Any) -> None:
        number = trial.number
        earlier: list[np.ndarray] = []
        values: list[list[float]] = []
        for place, job in enumerate(self._jobs(trial)):
            self.book.begin_run(number, place, job)
            watcher = Watcher(self, number, place, tuple(earlier))
            try:
                watch = watcher if self.settings.prunes else None
                done = self.launch([*self.space.fixed, *job.words], job.number, watch)
            except Pruned as pruned:
                self.book.tell(number, "PRUNED", about={REASON: str(pruned)})
                return
            if done.error is not None:
                self._failed(number, done.error)
                return
            run = load_run(done.folder)
            values.append(of_run(run, self.objectives))
            if self.settings.prunes:
                earlier.append(self.objectives[0].best(run.epochs[self.objectives[0].name]))
        means = [float(np.mean(column)) for column in zip(*values, strict=True)]
        self.book.tell(number, "COMPLETE", means)

    def _failed(self, number: int, error: Exception) -> None:
        """Enter a trial without a value; where its numbers exploded, as one of the worst.

        What says nothing of the trial, as a full disk or data that are not there, ends the search,
        which can go on from there.
        """
        if not isinstance(error, SnnrunError) or isinstance(error, NOT_OF_THE_TRIAL):
            raise error
        exploded = isinstance(error, NumericalError)
        worst = "PRUNED" if exploded and len(self.objectives) == 1 else "FAIL"
        about = {ENDED: "exploded" if exploded else "failed", REASON: str(error).splitlines()[0]}
        self.book.tell(number, worst, about=about)


@dataclass
class Watcher:
    """Reports each epoch of one run of a trial, and ends the trial where the pruner says so.

    What is reported is the mean over the runs of the trial so far, of the best up to this epoch.
    A step counts the epochs of all its runs.

    Args:
        worker: Who trains it.
        number: Of the trial.
        place: Of the run among those of the trial.
        earlier: Best value up to each epoch of the runs before it, each float64 [epochs].
    """

    worker: Worker
    number: int
    place: int
    earlier: Sequence[np.ndarray]
    _best: float = field(default=float("nan"), init=False)

    def __call__(self, folder: Path) -> OnEpoch:
        """Return what is to be called after each epoch of the run in a folder.

        Raises:
            Pruned: It had ended the trial already, before its process died.
        """
        end = read_end(RunPaths(folder), finished=False)
        if end.state == PRUNED:
            raise Pruned(end.reason)

        def on_epoch(row: Row) -> None:
            self._report(folder, row)

        return on_epoch

    def _report(self, folder: Path, row: Row) -> None:
        worker, objective = self.worker, self.worker.objectives[0]
        epoch, value = int(row["epoch"] or 0), float(row[objective.name] or 0.0)
        if epoch and np.isnan(self._best):  # the run goes on from a checkpoint
            before = load_run(folder).epochs[objective.name][:epoch]
            self._best = float(objective.best(before)[-1])
        if np.isnan(self._best) or objective.better(value, self._best):
            self._best = value
        so_far = [float(curve[min(epoch, len(curve) - 1)]) for curve in self.earlier]
        mean = float(np.mean([*so_far, self._best]))
        step = self.place * worker.n_epoch + epoch + 1
        if worker.book.report(self.number, step, mean):
            of = f" (mean of {len(so_far) + 1} runs)" if so_far else ""
            raise Pruned(
                f"pruned after epoch {epoch} by sweep.pruner={worker.settings.pruner}: "
                f"{objective.name} {mean:.4g}{of}"
            )
