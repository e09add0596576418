"""The metrics of a run: kept in memory, written to ``run.h5`` as a whole, always readable."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np

from snnrun.record.columns import EPOCHS, OUTCOMES, PHASES, TIMINGS, TRIALS
from snnrun.record.evaluation import Evaluation, now, read_tests, test_figures, write_tests
from snnrun.record.hdf5 import atomic_hdf5
from snnrun.record.notices import Notices
from snnrun.record.outcomes import PREDICTED, Confusion, PredictionParts
from snnrun.record.paths import RunPaths
from snnrun.record.provenance import printable
from snnrun.record.runfile import (
    FORMAT,
    open_run,
    read_figures,
    sessions,
    write_provenance,
    write_test,
)
from snnrun.record.table import Table, read_columns
from snnrun.tasks import CLASSIFICATION, Task

Row = Mapping[str, float | int | None]


class RunRecord:
    """Everything that ``run.h5`` holds. Nothing is on disk before ``write``.

    ::

        /trials/COLUMN      one row per mini-batch (snnrun.record.columns.TRIALS)
        /epochs/COLUMN      one row per epoch (EPOCHS); /timings/COLUMN likewise
        /warnings/COLUMN    what the run noticed, a row for each epoch in which it did (WARNINGS)
        /test/NAME          the figures of the run's own test with its last weights, if it made one
        /tests/K            every test, those of `snnrun test` too (snnrun.record.evaluation)
        /confusion/SPLIT    [epoch, predicted, true] examples; no_prediction/SPLIT [epoch, true]
        /predictions/EPOCH  links to records/predictions/
        /pending/COLUMN     predictions that are needed again if the last checkpoint is resumed
        /class_names        [classes] as the data set calls them, if it does
        /config             the configuration as YAML; the rest of the provenance is in attributes
        /sessions/K         provenance of the processes that worked on this run before

    Args:
        paths: The run folder.
        provenance: As from ``snnrun.record.provenance.provenance``.
        task: What the network learns to do.
        n_classes: Number of classes.
        class_names: Their names, if the data set has some.
        confusion: Collect confusion matrices (COLLECT_CONFUSION).
        predictions: Keep the prediction of every example of every epoch (REC_PREDICTIONS).
    """

    def __init__(
        self,
        paths: RunPaths,
        provenance: Mapping[str, str | int],
        *,
        task: Task = CLASSIFICATION,
        n_classes: int,
        class_names: Sequence[str] = (),
        confusion: bool = False,
        predictions: bool = False,
    ) -> None:
        self.task = task
        self.trials = Table(TRIALS)
        self.epochs = Table(EPOCHS)
        self.notices = Notices()
        self.test: dict[str, float] = {}
        self.tests: list[Evaluation] = []
        self.finished = ""  # when, once the run has ended
        self.ended_early = ""  # why it ended before its last epoch, if it did
        self._paths = paths
        self._provenance = {"created": provenance["start_time"], **provenance}
        self._sessions: list[dict[str, str | int]] = []
        self._class_names = [printable(name) for name in class_names]
        self._timings = Table(TIMINGS)
        self._pending = Table(OUTCOMES)
        self._confusion = Confusion(n_classes) if confusion else None
        self._predictions = PredictionParts(paths) if predictions else None
        self._collected = [c for c in (self._confusion, self._predictions) if c is not None]

    def trial(
        self,
        *,
        epoch: int,
        trial: int,
        phase: str,
        examples: int,
        loss: float,
        correct: int,
        learning_rate: float,
        spikes: Mapping[str, float],
        seconds: float,
        figures: Mapping[str, float] = MappingProxyType({}),
    ) -> None:
        """Add a mini-batch: ``loss`` is its mean, ``spikes`` the sums per population.

        ``figures`` are those that the task has of each.
        """
        self.trials.append(
            {
                "epoch": epoch,
                "trial": trial,
                "phase": PHASES[phase],
                "examples": examples,
                "loss": loss,
                "correct": correct,
                "learning_rate": learning_rate,
                **{f"hidden_spikes/{name}": count for name, count in spikes.items()},
                "seconds": seconds,
                **figures,
            }
        )

    def predictions(
        self,
        *,
        epoch: int,
        trial: int,
        phase: str,
        examples: np.ndarray,
        labels: np.ndarray,
        predictions: np.ndarray,
    ) -> None:
        """Add what was predicted for each example of a mini-batch (-1: nothing), all [examples].

        Costs nothing unless confusion matrices or predictions are collected.
        """
        if not self._collected:
            return
        same = np.full(len(examples), 1)
        block = {"epoch": epoch * same, "trial": trial * same, "phase": PHASES[phase] * same}
        block |= {"example": examples, "label": labels, "prediction": predictions}
        self._pending.extend({name: np.asarray(values) for name, values in block.items()})

    def means(self, epoch: int, phase: str) -> dict[str, float]:
        """Return ``loss``, score, ``examples``, ``seconds`` and the task's figures of an epoch.

        Rows of the current process and rows read back after a resume count alike, so an epoch that
        was stopped in the middle has the same means, bit for bit. Without examples they are NaN.
        """
        rows = (self.trials["epoch"] == epoch) & (self.trials["phase"] == PHASES[phase])
        batches = {name: column[rows] for name, column in self.trials.arrays().items()}
        means = {"loss": np.nan, self.task.score: np.nan}
        if rows.any():
            means = self.task.of_epoch(batches)
        spent = {"examples": int, "seconds": float}
        return means | {name: kind(self.trials[name][rows].sum()) for name, kind in spent.items()}

    def epoch(self, row: Row, timings: Row | None = None) -> None:
        """End an epoch with its row of figures, ``epoch`` among them, and timings (s) if taken."""
        epoch = int(row["epoch"] or 0)
        self.epochs.append(row)
        if timings:
            self._timings.append({"epoch": epoch, **timings})
        for phase in ("train", "validation"):
            self._collect(epoch, phase)

    def add_test(self, test: Evaluation) -> None:
        """Add a test that the run made itself; that of its last weights is ``test`` from now on."""
        self.tests.append(test)
        if test.weights.kind != "last":
            return
        self.test = dict(test.figures)
        if self._confusion and test.confusion is not None:
            self._confusion.set(0, "test", test.confusion)
        if self._predictions and test.predictions:
            columns = tuple(test.predictions[name] for name in PREDICTED)
            self._predictions.add(0, "test", columns)

    @property
    def origin(self) -> dict[str, str | int]:
        """The provenance of this process."""
        return dict(self._provenance)

    def latest_confusion(self, split: str) -> np.ndarray | None:
        """Return the last epoch's matrix of a split, [predicted (the last row: none), true]."""
        return self._confusion.latest(split) if self._confusion else None

    def finish(self, ended_early: str = "") -> None:
        """Mark the run as done, and say why if that was before its last epoch."""
        self.ended_early = ended_early
        self.finished = now()

    def checkpointed(self, epoch: int) -> None:
        """Say that a checkpoint is on disk which continues in ``epoch`` or after it.

        Predictions of earlier epochs are then in their final place and need not be held ready for a
        resume in the middle of an epoch.
        """
        self._pending.keep(self._pending["epoch"] >= epoch)

    def truncate(self, epoch: int, trial: int) -> None:
        """Forget every row at or after mini-batch ``trial`` of ``epoch``: it will be run again."""
        for table in (self.trials, self._pending):
            epochs, trials = table["epoch"], table["trial"]
            table.keep((epochs < epoch) | ((epochs == epoch) & (trials < trial)))
        for table in (self.epochs, self._timings):
            table.keep(table["epoch"] < epoch)
        self.notices.truncate(epoch)
        for collected in self._collected:
            collected.truncate(epoch)
        self.test, self.finished, self.ended_early = {}, "", ""
        self._provenance |= {"from_epoch": epoch, "from_trial": trial}

    def write(self) -> None:
        """Put everything on disk."""
        with atomic_hdf5(self._paths.run) as file:
            write_provenance(file, self._provenance)
            for number, session in enumerate(self._sessions):
                write_provenance(file.create_group(f"sessions/{number}"), session)
            file.attrs["format"] = FORMAT
            file.attrs["finished"] = self.finished
            file.attrs["ended_early"] = self.ended_early
            file.attrs["task"] = self.task.name
            self.trials.write(file.create_group("trials"))
            self.epochs.write(file.create_group("epochs"))
            self._timings.write(file.create_group("timings"))
            self._pending.write(file.create_group("pending"))
            self.notices.write(file.create_group("warnings"))
            write_test(file.create_group("test"), self.test)
            write_tests(file, self.tests)
            if self._class_names:
                file["class_names"] = self._class_names
                file["class_names"].attrs["meaning"] = "what the data set calls its classes"
            for collected in self._collected:
                collected.write(file)

    def _collect(self, epoch: int, phase: str) -> None:
        """Put the predictions of a split into the matrices and the prediction parts."""
        rows = (self._pending["phase"] == PHASES[phase]) & (self._pending["epoch"] == epoch)
        if rows.any():
            columns = tuple(self._pending[name][rows] for name in PREDICTED)
            for collected in self._collected:
                collected.add(epoch, phase, columns)

    def resume(self) -> None:
        """Take over the rows that the run has written, to go on with them."""
        with open_run(self._paths) as file:
            self.trials.fill(read_columns(file["trials"]))
            self.epochs.fill(read_figures(file["epochs"]))
            self._timings.fill(read_columns(file["timings"]))
            self.notices.read(file)
            self.test = test_figures(file["test"])
            self.tests = read_tests(file)
            self.finished = str(file.attrs["finished"])
            self.ended_early = str(file.attrs.get("ended_early", ""))
            if self._collected:
                self._pending.fill(read_columns(file["pending"]))
            for collected in self._collected:
                collected.read(file)
            self._sessions = sessions(file)
            self._provenance["created"] = self._sessions[0]["start_time"]
