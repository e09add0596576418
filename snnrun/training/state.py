"""Where a training run is, and its way into and out of a checkpoint."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from snnrun.backends.base import Backend
from snnrun.errors import CheckpointError
from snnrun.training.schedule import Rates


@dataclass
class State:
    """The cursor of a run, beside the weights that the backend holds.

    ``epoch`` and ``batch`` are the next mini-batch to run; ``updates`` counts learned batches.
    ``neuron_spikes`` counts the spikes of every neuron in this epoch's training so far,
    ``validation_spikes`` in its validation, ``dropped_spikes`` those of every layer that were
    learned without their gradient; before the first mini-batch of an epoch all three are still of
    the epoch before. ``rewired`` counts the neurons that were rewired where this epoch began.
    ``activations`` are those of the split whose operations are counted, in this epoch so far; None
    where they are not counted, or not all known.
    """

    neuron_spikes: np.ndarray  # int64 [neurons of all layers]
    validation_spikes: np.ndarray  # int64 [neurons of all layers]
    dropped_spikes: np.ndarray  # int64 [layers]
    rewired: np.ndarray  # int64 [layers]
    epoch: int = 0
    batch: int = 0
    updates: int = 0
    best_score: float = -math.inf
    best_epoch: int = -1
    schedule: Rates = field(default_factory=Rates)
    activations: np.ndarray | None = None  # as of Results


def start_state(backend: Backend) -> State:
    """Return the state in which a new run begins."""
    populations = backend.program.populations
    neurons, layers = sum(c.population.size for c in populations), len(populations)
    return State(
        neuron_spikes=np.zeros(neurons, np.int64),
        validation_spikes=np.zeros(neurons, np.int64),
        dropped_spikes=np.zeros(layers, np.int64),
        rewired=np.zeros(layers, np.int64),
        activations=backend.no_activations(),
    )


def to_checkpoint(state: State, backend: Backend) -> dict[str, Any]:
    """Return everything that a bit-exact continuation needs."""
    tensors = {}
    for tensor in backend.program.tensors:
        kept = ("value", *tensor.states)
        tensors[tensor.name] = {which: backend.get(tensor.name, which) for which in kept}
    counted = state.activations if state.batch else None  # of an epoch that has begun
    return {
        **({"carried": carried} if (carried := backend.carried()) else {}),
        **({} if counted is None else {"activations": counted.copy()}),
        "network": backend.program.network.shape,
        "fingerprint": backend.program.fingerprint,
        "optimiser": backend.program.optimiser.optimiser.name,
        "ends": ends_of(backend),
        "tensors": tensors,
        "epoch": state.epoch,
        "trial": state.batch,
        "updates": state.updates,
        "best_score": state.best_score,
        "best_epoch": state.best_epoch,
        "neuron_spikes": state.neuron_spikes.copy(),
        "validation_spikes": state.validation_spikes.copy(),
        "dropped_spikes": state.dropped_spikes.copy(),
        "rewired": state.rewired.copy(),
        "schedule": state.schedule.state(),
    }


def ends_of(backend: Backend) -> dict[str, Any]:
    """Return how many inputs and outputs a network has, and the shape of the inputs."""
    network = backend.program.network
    return {
        "inputs": network.input.size,
        "input_shape": np.array(network.input.grid, np.int64),
        "outputs": network.layers[-1].population.size,
    }


def saved_ends(saved: Mapping[str, Any]) -> tuple[int, int, tuple[int, ...]]:
    """Return inputs, outputs and the shape of the inputs of a network, from its checkpoint."""
    if ends := saved.get("ends"):
        return ends["inputs"], ends["outputs"], tuple(ends["input_shape"].tolist())
    # One of an older version: all weights are matrices
    tensors = saved["tensors"].items()
    shapes = [kept["value"].shape for name, kept in tensors if not name.endswith("_parameters")]
    return shapes[0][0], shapes[-1][1], ()


def load_tensors(saved: Mapping[str, Any], backend: Backend, *, states: bool, where: str) -> None:
    """Give the backend the tensors of a checkpoint, with those of the optimiser if ``states``.

    Raises:
        CheckpointError: The checkpoint is of another network, or of another optimiser.
    """
    program = backend.program
    if saved["fingerprint"] != program.fingerprint:
        raise CheckpointError(
            f"{where}: made for another network: {saved['network']} with "
            f"{', '.join(saved['tensors'])}; this one is {program.network.shape} with "
            f"{', '.join(t.name for t in program.tensors)}"
        )
    if states:
        _require_same_optimiser(saved, backend, where)
    for tensor in program.tensors:
        arrays = saved["tensors"][tensor.name]
        backend.set(tensor.name, arrays["value"])
        for which in tensor.states if states else ():
            backend.set(tensor.name, arrays[which], which)


def _require_same_optimiser(saved: Mapping[str, Any], backend: Backend, where: str) -> None:
    program = backend.program
    there = saved.get("optimiser", "adam")  # the only one of older versions
    here = program.optimiser.optimiser.name
    kept = {t.name: saved["tensors"][t.name].keys() - {"value"} for t in program.tensors}
    if there == here and all(kept[t.name] == {*t.states} for t in program.tensors):
        return

    def of(name: str, states: set[str]) -> str:
        return f"{name}, which keeps {', '.join(sorted(states)) or 'nothing'} for each weight"

    raise CheckpointError(
        f"{where}: made with optimiser {of(there, set().union(*kept.values()))}; this run has "
        f"{of(here, {s for t in program.tensors for s in t.states})}. Go on with the optimiser of "
        "the checkpoint and its options, or begin another run with LOAD_LAST=true, which takes "
        "the weights alone"
    )


def from_checkpoint(saved: dict[str, Any], backend: Backend, where: str) -> State:
    """Load the tensors and return the state, to go on exactly where the checkpoint was made."""
    load_tensors(saved, backend, states=True, where=where)
    if "carried" in saved:
        backend.carry(saved["carried"])
    new = start_state(backend)  # checkpoints of older versions lack some counts
    counted, none = saved.get("activations"), new.activations
    known = counted is not None and none is not None and counted.shape == none.shape
    return State(
        neuron_spikes=saved["neuron_spikes"],
        validation_spikes=saved.get("validation_spikes", new.validation_spikes),
        dropped_spikes=saved.get("dropped_spikes", new.dropped_spikes),
        rewired=saved.get("rewired", new.rewired),
        epoch=saved["epoch"],
        batch=saved["trial"],
        updates=saved["updates"],
        best_score=saved["best_score"] if "best_score" in saved else saved["best_accuracy"],
        best_epoch=saved["best_epoch"],
        schedule=Rates.of(saved["schedule"]),
        activations=counted if known else None,
    )
