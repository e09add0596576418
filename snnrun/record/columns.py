"""The columns of ``run.h5``: type, unit and meaning of each, written beside the numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

import numpy as np

from snnrun.tasks import TASKS
from snnrun.tasks.task import Column

PHASES: Mapping[str, int] = MappingProxyType({"train": 0, "validation": 1, "test": 2})

# Data sets and groups of run.h5 that depend on the clock. Everything else is the same, bit for bit,
# in a run that was stopped and resumed and in one that was not.
WALL_CLOCK = (
    "trials/seconds",
    "epochs/seconds",
    "epochs/examples_per_second",
    "test/seconds",
    "test/examples_per_second",
    "timings",
    "tests",  # what was made when; the figures of the run's own test are in "test" too
)


_EPOCH = Column(unit="1", meaning="epoch, counted from 0", dtype=np.int64)
_TRIAL = Column(
    unit="1",
    meaning="mini-batch within the epoch, counted from 0; training comes first, then validation",
    dtype=np.int64,
)
_PHASE = Column(unit="1", meaning="0 train, 1 validation, 2 test", dtype=np.int64)
_RATE = Column(unit="1", meaning="learning rate")

_FIGURES = {name: column for task in TASKS.values() for name, column in task.figures.items()}


def _scores(before: str, of: str) -> dict[str, Column]:
    """Return the columns of the scores of all tasks, of these examples."""
    return {
        f"{before}{task.score}": replace(
            task.score_column, meaning=task.score_column.meaning.format(of=of)
        )
        for task in TASKS.values()
    }


TRIALS: Mapping[str, Column] = MappingProxyType(
    {
        "epoch": _EPOCH,
        "trial": _TRIAL,
        "phase": _PHASE,
        "examples": Column(unit="1", meaning="examples in the mini-batch", dtype=np.int64),
        "loss": Column(unit="1", meaning="mean loss over the mini-batch"),
        "correct": Column(unit="1", meaning="correctly classified examples", dtype=np.int64),
        "learning_rate": _RATE,
        "hidden_spikes": Column(
            unit="1", meaning="spikes of the population in all examples of the mini-batch"
        ),
        "seconds": Column(unit="s", meaning="wall-clock time of the mini-batch"),
        **_FIGURES,
    }
)


def _spread(where: str) -> dict[str, Column]:
    """Return the columns of how spikes spread over the neurons of a population."""
    words = {"std": "standard deviation", "min": "minimum", "max": "maximum"}
    return {
        f"spikes_per_neuron_{figure}": Column(
            unit="1",
            meaning=f"{word} over the neurons of the population of their mean spikes per trial in "
            f"{where}",
        )
        for figure, word in words.items()
    }


def _validation() -> dict[str, Column]:
    columns = {
        "spikes_per_neuron": Column(
            unit="1", meaning="mean spikes per neuron and trial of the population in validation"
        ),
        "silent_neurons": Column(
            unit="1", meaning="neurons of the population without any spike in validation"
        ),
        **_spread("validation"),
    }
    return {f"validation_{name}": column for name, column in columns.items()}


EPOCHS: Mapping[str, Column] = MappingProxyType(
    {
        "epoch": _EPOCH,
        "train_loss": Column(unit="1", meaning="mean loss over the training examples"),
        **_scores("train_", "training"),
        "validation_loss": Column(unit="1", meaning="mean loss over the validation examples"),
        **_scores("validation_", "validation"),
        "learning_rate": _RATE,
        "seconds": Column(unit="s", meaning="wall-clock time of the epoch"),
        "examples_per_second": Column(unit="1/s", meaning="training examples per second"),
        "spikes_per_neuron": Column(
            unit="1", meaning="mean spikes per neuron and trial of the population in training"
        ),
        "silent_neurons": Column(
            unit="1", meaning="neurons of the population without any spike in the epoch's training"
        ),
        **_spread("training"),
        **_validation(),
        "rewired_neurons": Column(
            unit="1",
            meaning="neurons of the population that had new incoming weights before this epoch, as "
            "they were silent in all training of the one before",
        ),
        "dropped_spikes": Column(
            unit="1",
            meaning="spikes of the population in training that exceeded N_MAX_SPIKE, and so were "
            "learned without their gradient",
        ),
        **{
            name: replace(column, meaning=f"{column.meaning}; last trial of the epoch's training")
            for name, column in _FIGURES.items()
        },
    }
)

TIMINGS: Mapping[str, Column] = MappingProxyType(
    {
        "epoch": _EPOCH,
        "": Column(unit="s", meaning="wall-clock time spent in this part of the epoch"),
    }
)

TEST: Mapping[str, Column] = MappingProxyType(
    {
        "loss": Column(unit="1", meaning="mean loss over the test examples"),
        **_scores("", "test"),
        "seconds": Column(unit="s", meaning="wall-clock time of the test"),
        "examples_per_second": Column(unit="1/s", meaning="test examples per second"),
        "spikes_per_neuron": EPOCHS["spikes_per_neuron"],
        "silent_neurons": EPOCHS["silent_neurons"],
        **_spread("the test"),
        **{name: column for task in TASKS.values() for name, column in task.test_figures.items()},
    }
)

WARNINGS: Mapping[str, Column] = MappingProxyType(
    {
        "epoch": replace(_EPOCH, meaning="epoch, counted from 0; -1: before the first one"),
        "what": Column(unit="1", meaning="what was noticed, in the same words always", dtype=str),
        "where": Column(
            unit="1", meaning="the part of the network or the data that it is about", dtype=str
        ),
        "share": Column(
            unit="1", meaning="how much of the whole is concerned; NaN where that has no meaning"
        ),
        "message": Column(unit="1", meaning="what was seen, and what to do", dtype=str),
    }
)

OUTCOMES: Mapping[str, Column] = MappingProxyType(
    {
        "epoch": _EPOCH,
        "trial": _TRIAL,
        "phase": _PHASE,
        "example": Column(unit="1", meaning="index of the example in its data", dtype=np.int64),
        "label": Column(unit="1", meaning="true class", dtype=np.int64),
        "prediction": Column(
            unit="1", meaning="predicted class; -1 where no output decided", dtype=np.int64
        ),
    }
)


def describe(columns: Mapping[str, Column], name: str) -> Column | None:
    """Return what is known of a column; ``silent_neurons`` describes ``silent_neurons/hidden``."""
    return columns.get(name) or columns.get(name.partition("/")[0]) or columns.get("")
