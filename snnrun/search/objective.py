"""What a search optimises: figures of a run's training and validation, never of its test."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from snnrun.config import Config, listed
from snnrun.errors import ConfigError, RecordError, did_you_mean
from snnrun.tasks import TASKS, Task

if TYPE_CHECKING:
    from snnrun.record.reader import Run

SECONDS, SPIKES = "seconds", "hidden_spikes"
MEANT = {
    "accuracy": "validation_accuracy",
    "loss": "validation_loss",
    "time": SECONDS,
    "duration": SECONDS,
    "spikes": SPIKES,
    "energy": SPIKES,
}


@dataclass(frozen=True, kw_only=True)
class Objective:
    """A figure to optimise: a column of the table of epochs, or of a whole run."""

    name: str

    @property
    def maximise(self) -> bool:
        """Whether more is better."""
        return any(self.name.endswith(f"_{task.score}") for task in TASKS.values())

    @property
    def direction(self) -> str:
        """The same in Optuna's words."""
        return "maximize" if self.maximise else "minimize"

    @property
    def by_epoch(self) -> bool:
        """Whether each epoch has a value of its own, by which a trial may be ended."""
        return self.name not in (SECONDS, SPIKES)

    def best(self, column: np.ndarray) -> np.ndarray:
        """Return the best value up to each epoch, float64 [epochs]."""
        worst = -np.inf if self.maximise else np.inf
        filled = np.where(np.isfinite(column), column, worst)
        return np.maximum.accumulate(filled) if self.maximise else np.minimum.accumulate(filled)

    def better(self, one: float, other: float) -> bool:
        """Return whether the first of two values is better."""
        return one > other if self.maximise else one < other


def objectives_of(
    names: Sequence[str], prunes: bool, config: Config, task: Task
) -> tuple[Objective, ...]:
    """Return the objectives of a search.

    Args:
        names: The values of ``sweep.objective``.
        prunes: Whether trials are ended by the first.
        config: That of a trial, which must have what is to be optimised.
        task: What its network learns to do.

    Raises:
        ConfigError: One of them does not exist, or the trials will not have it.
    """
    wrong = [problem for name in names for problem in _problems(name, config, known(task))]
    found = tuple(Objective(name=name) for name in names)
    if not wrong and prunes and not found[0].by_epoch:
        wrong = [
            f"sweep.objective={names[0]}: a pruner compares trials epoch by epoch, which needs a "
            "score or a loss; leave sweep.pruner out"
        ]
    if wrong:
        raise ConfigError(listed(wrong, "of what is optimised"))
    return found


def known(task: Task) -> list[str]:
    """Return the names of all objectives of a task."""
    splits, figures = ("validation", "train"), (task.score, "loss")
    return [*(f"{split}_{name}" for split in splits for name in figures), SECONDS, SPIKES]


def _problems(name: str, config: Config, names: Sequence[str]) -> Iterator[str]:
    start = f"sweep.objective={name}: "
    if name.lower().startswith("test"):
        yield (
            f"{start}nothing is chosen by the test set, which would then say nothing of new data; "
            "take validation_accuracy, and `snnrun test` of the best run at the end"
        )
    elif name not in names:
        meant = MEANT.get(name.lower())
        hint = f" Did you mean {meant!r}?" if meant in names else did_you_mean(name, names)
        yield f"{start}must be one of {', '.join(names)}.{hint}"
    elif name.startswith("validation") and config.N_VALIDATE == 0 and not _has_speakers(config):
        yield f"{start}N_VALIDATE is 0, so that there is no validation; keep examples for it"


def _has_speakers(config: Config) -> bool:
    return str(config.EVALUATION) != "random"


def of_run(run: Run, objectives: Sequence[Objective]) -> list[float]:
    """Return the values of a run: of its best epoch by the first objective that epochs have.

    Raises:
        RecordError: The run has no such figures.
    """
    epochs = run.epochs
    judge = next((objective for objective in objectives if objective.by_epoch), None)
    last = len(epochs.get("epoch", ())) - 1
    best = last
    if judge is not None and last >= 0:
        column = _column(epochs, judge, run)
        best = int((np.nanargmax if judge.maximise else np.nanargmin)(column))
    return [_value(run, objective, best) for objective in objectives]


def _column(epochs: Mapping[str, np.ndarray], objective: Objective, run: Run) -> np.ndarray:
    column = epochs.get(objective.name, np.empty(0))
    if not np.isfinite(column).any():
        there = ", ".join(name for name in known(run.task) if name in epochs)
        raise RecordError(f"{run.paths.root}: has no {objective.name}; it has {there or 'nothing'}")
    return column


def _value(run: Run, objective: Objective, epoch: int) -> float:
    if objective.name == SECONDS:
        return float(np.nansum(run.epochs[SECONDS]))
    if objective.name == SPIKES:
        return _spikes(run.trials, epoch)
    return float(_column(run.epochs, objective, run)[epoch])


def _spikes(batches: Mapping[str, np.ndarray], epoch: int) -> float:
    """Return the spikes of all hidden neurons per training example of an epoch."""
    rows = (batches["epoch"] == epoch) & (batches["phase"] == 0)
    names = [n for n in batches if n.startswith(f"{SPIKES}/") and n != f"{SPIKES}/output"]
    columns = [batches[name] for name in names]
    return float(sum(column[rows].sum() for column in columns) / batches["examples"][rows].sum())
