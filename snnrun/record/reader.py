"""Reading a run folder: NumPy arrays back from what was recorded, even while it runs."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import OmegaConf

from snnrun.errors import RecordError, did_you_mean
from snnrun.record import owner
from snnrun.record.ending import read_end
from snnrun.record.evaluation import Evaluation, final_tests, read_tests, test_figures
from snnrun.record.notices import read_warnings
from snnrun.record.outcomes import TEST_NAME, read_predictions
from snnrun.record.paths import RECORDING_KINDS, SPIKES, VARIABLES, WEIGHTS, RunPaths, epoch_name
from snnrun.record.provenance import CONFIG
from snnrun.record.runfile import Held, open_recorded, open_run, read_figures, sessions, task_of
from snnrun.record.shown import as_html, as_text
from snnrun.record.spikes import SpikeRecord, read_spikes
from snnrun.record.table import read_columns
from snnrun.tasks import CLASSIFICATION, Task

_KEYS = {
    SPIKES: "REC_SPIKES and REC_SPIKES_EPOCH_TRIAL",
    VARIABLES: "REC_NEURONS and REC_NEURONS_EPOCH_TRIAL",
    WEIGHTS: "W_OUTPUT_EPOCH_TRIAL, TAU_OUTPUT_EPOCH_TRIAL or REC_SYNAPSES",
}
_SHOWN = 10  # recordings that an error message lists


@dataclass(frozen=True, kw_only=True, repr=False)
class Run:
    """What a run has written so far. Made by ``load_run``; load again to see what has come since.

    Args:
        paths: The run folder.
        sessions: Provenance of each process that has worked on the run, oldest first.
        epochs: Column -> one entry per epoch (snnrun.record.columns.EPOCHS).
        test: Figures of the test that the run made of its last weights; empty before it.
        tests: Every test, oldest first: the run's own of the last and of other weights, and those
            of `snnrun test`.
        finished: When the run ended; empty before that.
        ended_early: Why it ended before its last epoch, if it did (PATIENCE, a callback).
        task: What the network learned to do: it names the score.
        held: The files of a run with WRITE_TO_DISK=false, of which nothing is left on disk.
    """

    paths: RunPaths
    sessions: list[dict[str, str | int]]
    epochs: dict[str, np.ndarray]
    test: dict[str, float]
    finished: str
    ended_early: str = ""
    tests: list[Evaluation] = field(default_factory=list)
    task: Task = CLASSIFICATION
    held: Held = field(default_factory=dict, repr=False)

    def __repr__(self) -> str:
        return as_text(self)

    def _repr_html_(self) -> str:
        return as_html(self)

    @property
    def provenance(self) -> dict[str, str | int]:
        """Versions, machine, seeds, command and configuration of the latest process."""
        return self.sessions[-1]

    @property
    def accuracy(self) -> dict[str, float]:
        """Share of right answers: "train" and "validation" of the last epoch, and "test"."""
        return self._figures("accuracy")

    @property
    def score(self) -> dict[str, float]:
        """Score of the task, more is better: accuracy, skill of a spike pattern, r2 of courses."""
        return self._figures(self.task.score)

    @property
    def test_best(self) -> dict[str, float]:
        """Figures of the test with the best weights (CHECKPOINT_BEST); ``test`` has the last ones.

        They are those of ``test`` where the last epoch was the best one; empty before the test, and
        where no best was kept.
        """
        column = self.task.scores(self.epochs, self.config.get("CHECKPOINT_BEST", ""))
        if not self.test or column is None:
            return {}
        if int(np.nanargmax(column)) == len(column) - 1:
            return dict(self.test)
        best = [test for test in final_tests(self.tests) if test.weights.kind == "best"]
        return dict(best[-1].figures) if best else {}

    @property
    def loss(self) -> dict[str, float]:
        """Mean loss: "train" and "validation" of the last epoch, and "test"."""
        return self._figures("loss")

    @cached_property
    def config(self) -> dict[str, Any]:
        """The configuration that the latest process ran with."""
        config = OmegaConf.to_container(OmegaConf.create(str(self.provenance[CONFIG])))
        return {str(key): value for key, value in dict(config).items()}  # type: ignore[arg-type]

    @cached_property
    def trials(self) -> dict[str, np.ndarray]:
        """Column -> one entry per mini-batch (snnrun.record.columns.TRIALS)."""
        with open_run(self.paths, self.held) as file:
            return read_columns(file["trials"])

    @cached_property
    def timings(self) -> dict[str, np.ndarray]:
        """Part of the epoch -> seconds, one entry per epoch; empty without TIMING."""
        with open_run(self.paths, self.held) as file:
            return read_columns(file["timings"])

    @cached_property
    def warnings(self) -> dict[str, np.ndarray]:
        """Column -> one entry per thing noticed and epoch (snnrun.record.columns.WARNINGS).

        ``epoch`` int64 (-1: before the first), ``share`` float64 (NaN: none), and ``what``,
        ``where`` and ``message``, which hold texts. Runs of older versions have no rows.
        """
        with open_run(self.paths, self.held) as file:
            return read_warnings(file)

    @cached_property
    def class_names(self) -> tuple[str, ...]:
        """The names of the classes; empty where the data set has none, and in older runs."""
        with open_run(self.paths, self.held) as file:
            return tuple(file["class_names"].asstr()) if "class_names" in file else ()

    @property
    def running(self) -> bool:
        """Whether a process works on the run now."""
        return owner.running(self.paths)

    @property
    def state(self) -> str:
        """How the run is or ended (snnrun.record.ending.STATES): running, finished, exploded ..."""
        return "finished" if self.held else read_end(self.paths, bool(self.finished)).state

    @property
    def reason(self) -> str:
        """The message of the error that ended the run; empty where none did."""
        return "" if self.held else read_end(self.paths, bool(self.finished)).reason

    def confusion(self, split: str) -> np.ndarray:
        """Return the examples of "train", "validation" or "test" as [epoch, predicted, true].

        Those of "test" have one entry: of the run's own test; where it collected none, of the
        latest in ``tests`` that has one.
        """
        return self._confusion(split, split)

    def no_prediction(self, split: str) -> np.ndarray:
        """Return how many examples of each class no output decided on, [epoch, true]."""
        return self._confusion(f"no_prediction/{split}", split)

    def predictions(self, split: str, epoch: int | None = None) -> dict[str, np.ndarray]:
        """Return ``example``, ``label`` and ``prediction`` (-1: none) of a split, each [examples].

        The epoch is needed for "train" and "validation". Those of "test" are the run's own; where
        it kept none, those of the latest in ``tests`` that has some.
        """
        if split != "test" and epoch is None:
            raise RecordError(f"predictions of {split!r}: say of which epoch, or ask for 'test'")
        name = TEST_NAME if split == "test" else epoch_name(epoch or 0)
        with open_run(self.paths, self.held) as file:
            recorded = sorted(file.get("predictions", ()))
        later = [test.predictions for test in self.tests if test.predictions]
        if name == TEST_NAME not in recorded and later:
            return dict(later[-1])
        if name not in recorded:
            raise RecordError(
                f"{self._name}: no predictions of {name}. "
                + _list("Predictions", recorded, "REC_PREDICTIONS=true")
            )
        found = read_predictions(self.paths, name, self.held)
        return found[_known(split, list(found), f"{self._name}: predictions of {name}")]

    def recorded(self) -> dict[str, list[tuple[int, int]]]:
        """Return at which (epoch, trial) each kind was recorded: spikes, variables, weights."""
        return {kind: list(self._parts(kind)) for kind in RECORDING_KINDS}

    def names_in(self, kind: str, epoch: int, trial: int) -> list[str]:
        """Return what was recorded of a kind: populations of spikes, "population/variable"."""
        with open_recorded(self._part(kind, epoch, trial), self.held) as file:
            return list(file) if kind == SPIKES else [n for n in read_columns(file) if "/" in n]

    def spikes(self, epoch: int, trial: int, population: str) -> SpikeRecord:
        """Return the recorded spikes of a population."""
        path = self._part(SPIKES, epoch, trial)
        with open_recorded(path, self.held) as file:
            return read_spikes(file[_known(population, list(file), str(path))])

    def variables(self, epoch: int, trial: int, population: str, variable: str) -> np.ndarray:
        """Return a recorded neuron variable, float32 [examples, steps, neurons]."""
        path = self._part(VARIABLES, epoch, trial)
        with open_recorded(path, self.held) as file:
            recorded = read_columns(file)
        name = f"{population}/{variable}"
        return recorded[_known(name, [key for key in recorded if "/" in key], str(path))]

    def variable_examples(self, epoch: int, trial: int) -> np.ndarray:
        """Return the indices (in their data) of the examples whose variables were recorded."""
        with open_recorded(self._part(VARIABLES, epoch, trial), self.held) as file:
            return file["examples"][()]

    def weights(self, epoch: int, trial: int) -> dict[str, np.ndarray]:
        """Return projection -> [pre, post] as it was when the mini-batch began.

        Weights that synapses share have their own shape, those of a convolution [rows, columns,
        presynaptic channels, postsynaptic channels].
        """
        return self._learned(epoch, trial, "weights")

    def delays(self, epoch: int, trial: int) -> dict[str, np.ndarray]:
        """Return projection -> delays (ms), [pre, 1] axonal, [1, post] dendritic or [pre, post]."""
        return self._learned(epoch, trial, "delays")

    def parameters(self, epoch: int, trial: int) -> dict[str, np.ndarray]:
        """Return "population/parameter" -> one value per neuron, where they differ (taus in ms)."""
        return self._learned(epoch, trial, "parameters")

    @property
    def _name(self) -> str:
        return "this run" if self.held else str(self.paths.root)

    def _figures(self, name: str) -> dict[str, float]:
        columns = {split: self.epochs.get(f"{split}_{name}") for split in ("train", "validation")}
        found = {split: float(c[-1]) for split, c in columns.items() if c is not None and len(c)}
        if name in self.test:
            found["test"] = self.test[name]
        return {split: value for split, value in found.items() if not math.isnan(value)}

    def _parts(self, kind: str) -> dict[tuple[int, int], Path]:
        return self.paths.parts(kind, self.held or None)

    def _learned(self, epoch: int, trial: int, group: str) -> dict[str, np.ndarray]:
        with open_recorded(self._part(WEIGHTS, epoch, trial), self.held) as file:
            return read_columns(file[group]) if group in file else {}

    def _part(self, kind: str, epoch: int, trial: int) -> Path:
        parts = self._parts(kind)
        if (epoch, trial) not in parts:
            recorded = [f"({e}, {t})" for e, t in parts]
            raise RecordError(
                f"{self._name}: no {kind} recorded at epoch {epoch}, trial {trial}. "
                + _list("(Epoch, trial)", recorded, _KEYS[kind])
            )
        return parts[epoch, trial]

    def _confusion(self, name: str, split: str) -> np.ndarray:
        with open_run(self.paths, self.held) as file:
            matrices = read_columns(file["confusion"]) if "confusion" in file else {}
        later = [test.confusion for test in self.tests if test.confusion is not None]
        if later and "test" not in matrices:
            matrices |= {"test": later[-1][None, :-1], "no_prediction/test": later[-1][None, -1]}
        splits = [key for key in matrices if "/" not in key]
        if split not in splits:
            raise RecordError(
                f"{self._name}: no confusion matrices of {split!r}. "
                + _list("Matrices", splits, "COLLECT_CONFUSION=true")
            )
        return matrices[name]


def load_run(folder: str | Path) -> Run:
    """Return what the run in ``folder`` has recorded.

    Example::

        run = load_run("outputs/2026-11-21/22-33-01")
        run.epochs["validation_accuracy"], run.test["accuracy"]
        run.spikes(epoch=0, trial=0, population="hidden").counts()

    Raises RecordError if there is no run, or if its files are damaged.
    """
    paths = RunPaths(Path(folder))
    with open_run(paths) as file:
        return Run(
            paths=paths,
            sessions=sessions(file),
            epochs=read_figures(file["epochs"]),
            test=test_figures(file["test"]),
            tests=read_tests(file),
            finished=str(file.attrs["finished"]),
            ended_early=str(file.attrs.get("ended_early", "")),
            task=task_of(file),
        )


def hold(run: Run) -> Run:
    """Return a run that needs no files: it holds in memory what can be read of them."""
    paths = run.paths
    with open_run(paths) as file:
        files = [paths.prediction_part(name) for name in file.get("predictions", ())]
    files += [path for kind in RECORDING_KINDS for path in paths.parts(kind).values()]
    try:
        return replace(run, held={path: path.read_bytes() for path in (paths.run, *files)})
    except OSError as error:
        raise RecordError(f"{paths.root}: cannot be read: {error}") from error


def _known(name: str, known: list[str], where: str) -> str:
    if name not in known:
        raise RecordError(
            f"{where}: {name!r} was not recorded; recorded: {', '.join(sorted(known))}."
            + did_you_mean(name, known)
        )
    return name


def _list(what: str, recorded: list[str], key: str) -> str:
    """Say what was recorded instead, or which key asks for it."""
    if not recorded:
        return f"There are none at all: ask for them with {key}"
    more = f", ... ({len(recorded)} in all)" if len(recorded) > _SHOWN else ""
    return f"{what} recorded: {', '.join(recorded[:_SHOWN])}{more}"
