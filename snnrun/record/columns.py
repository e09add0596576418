"""The columns of ``run.h5``: type, unit and meaning of each, written beside the numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

import numpy as np

from snnrun.tasks import TASKS
from snnrun.tasks.task import Column

PHASES: Mapping[str, int] = MappingProxyType({"train": 0, "validation": 1, "test": 2})

_EPOCH = Column("1", "epoch, counted from 0", np.int64)
_BATCH = Column(
    "1",
    "mini-batch within the epoch, counted from 0; training comes first, then validation",
    np.int64,
)
_PHASE = Column("1", "0 train, 1 validation, 2 test", np.int64)
_RATE = Column("1", "learning rate")
_FIGURES = {name: column for task in TASKS.values() for name, column in task.figures.items()}


def _scores(before: str, of: str) -> dict[str, Column]:
    """Return the columns of loss and of the scores of all tasks, of these examples."""
    scores = {
        f"{before}{task.score}": replace(
            task.score_column, meaning=task.score_column.meaning.format(of=of)
        )
        for task in TASKS.values()
    }
    return {f"{before}loss": Column("1", f"mean loss over the {of} examples"), **scores}


def _activity(before: str, where: str, silent_in: str) -> dict[str, Column]:
    """Return the columns of how often the neurons of a population spike."""
    words = {"std": "standard deviation", "min": "minimum", "max": "maximum"}
    found = {
        "spikes_per_neuron": Column(
            "1", f"mean spikes per neuron and trial of the population in {where}"
        ),
        "silent_neurons": Column(
            "1", f"neurons of the population without any spike in {silent_in}"
        ),
        **{
            f"spikes_per_neuron_{figure}": Column(
                "1",
                f"{word} over the neurons of the population of their mean spikes per trial in "
                f"{where}",
            )
            for figure, word in words.items()
        },
    }
    return {f"{before}{name}": column for name, column in found.items()}


def _costs(before: str, of: str) -> dict[str, Column]:
    """Return the columns of what a network costs (snnrun.costs), of the examples of a split."""
    each = f"mean over the {of} examples"
    found = {
        "activation_sparsity": Column(
            "1", f"share of neurons and steps without a spike, of all that spike; {of} examples"
        ),
        "activation_sparsity_by_population": Column(
            "1", f"share of neurons and steps of the population without a spike; {of} examples"
        ),
        "dense_operations": Column("1", "synaptic operations of a trial if nothing were 0"),
        "effective_macs": Column(
            "1", f"synaptic operations that multiply, nonzero weight by nonzero activation; {each}"
        ),
        "effective_acs": Column(
            "1", f"synaptic operations that add a nonzero weight, at a spike; {each}"
        ),
        "effective_operations": Column(
            "1", f"effective MACs and ACs of the projection together; {each}"
        ),
        "membrane_updates": Column("1", "neurons times steps of a trial"),
        "memory_traffic": Column(
            "byte", f"read and written by operations and membrane updates, by the model; {each}"
        ),
        "energy": Column("nJ", f"of arithmetic and memory traffic, by the model; {each}"),
        "memory_energy": Column("nJ", f"that of memory traffic alone; {each}"),
    }
    return {f"{before}{name}": column for name, column in found.items()}


_NETWORK_COSTS = {
    "footprint": Column("byte", "of weights, delays, parameters and states of the network"),
    "connection_sparsity": Column("1", "share of weights that are 0"),
}

TRIALS: Mapping[str, Column] = MappingProxyType(
    {
        "epoch": _EPOCH,
        "trial": _BATCH,
        "phase": _PHASE,
        "examples": Column("1", "examples in the mini-batch", np.int64),
        "loss": Column("1", "mean loss over the mini-batch"),
        "correct": Column("1", "correctly classified examples", np.int64),
        "learning_rate": _RATE,
        "hidden_spikes": Column("1", "spikes of the population in all examples of the mini-batch"),
        "seconds": Column("s", "wall-clock time of the mini-batch"),
        **_FIGURES,
    }
)

EPOCHS: Mapping[str, Column] = MappingProxyType(
    {
        "epoch": _EPOCH,
        **_scores("train_", "training"),
        **_scores("validation_", "validation"),
        "learning_rate": _RATE,
        "seconds": Column("s", "wall-clock time of the epoch"),
        "examples_per_second": Column("1/s", "training examples per second"),
        "peak_memory": Column(
            "byte", "most memory that the process held, since the run began or was resumed"
        ),
        **_activity("", "training", "the epoch's training"),
        **_activity("validation_", "validation", "validation"),
        **_NETWORK_COSTS,
        **_costs("train_", "training"),
        **_costs("validation_", "validation"),
        "rewired_neurons": Column(
            "1",
            "neurons of the population that had new incoming weights before this epoch, as "
            "they were silent in all training of the one before",
        ),
        "dropped_spikes": Column(
            "1",
            "spikes of the population in training that exceeded N_MAX_SPIKE, and so were "
            "learned without their gradient",
        ),
        **{
            name: replace(column, meaning=f"{column.meaning}; last trial of the epoch's training")
            for name, column in _FIGURES.items()
        },
    }
)

TIMINGS: Mapping[str, Column] = MappingProxyType(
    {"epoch": _EPOCH, "": Column("s", "wall-clock time spent in this part of the epoch")}
)

TEST: Mapping[str, Column] = MappingProxyType(
    {
        **_scores("", "test"),
        "seconds": Column("s", "wall-clock time of the test"),
        "examples_per_second": Column("1/s", "test examples per second"),
        **_activity("", "the test", "the test"),
        **_NETWORK_COSTS,
        **_costs("", "test"),
        **{name: column for task in TASKS.values() for name, column in task.test_figures.items()},
    }
)

WARNINGS: Mapping[str, Column] = MappingProxyType(
    {
        "epoch": replace(_EPOCH, meaning="epoch, counted from 0; -1: before the first one"),
        "what": Column("1", "what was noticed, in the same words always", str),
        "where": Column("1", "the part of the network or the data that it is about", str),
        "share": Column("1", "how much of the whole is concerned; NaN where that has no meaning"),
        "message": Column("1", "what was seen, and what to do", str),
    }
)

OUTCOMES: Mapping[str, Column] = MappingProxyType(
    {
        "epoch": _EPOCH,
        "trial": _BATCH,
        "phase": _PHASE,
        "example": Column("1", "index of the example in its data", np.int64),
        "label": Column("1", "true class", np.int64),
        "prediction": Column("1", "predicted class; -1 where no output decided", np.int64),
    }
)


def describe(columns: Mapping[str, Column], name: str) -> Column | None:
    """Return what is known of a column; ``silent_neurons`` describes ``silent_neurons/hidden``."""
    return columns.get(name) or columns.get(name.partition("/")[0]) or columns.get("")
