"""Where a training run is, and its way into and out of a checkpoint."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from snnrun.backends.base import Backend
from snnrun.errors import CheckpointError
from snnrun.training.schedule import Schedule

MOMENTS = ("first", "second")


@dataclass
class State:
    """The cursor of a run, beside the weights that the backend holds.

    ``epoch`` and ``trial`` are the next mini-batch to run; ``updates`` counts learned batches;
    ``neuron_spikes`` the spikes of every neuron in this epoch's training so far, and
    ``dropped_spikes`` those of every layer that were learned without their gradient.
    """

    neuron_spikes: np.ndarray  # int64 [neurons of all layers]
    dropped_spikes: np.ndarray  # int64 [layers]
    epoch: int = 0
    trial: int = 0
    updates: int = 0
    best_accuracy: float = -1.0
    best_epoch: int = -1
    schedule: Schedule = field(default_factory=Schedule)


def to_checkpoint(state: State, backend: Backend) -> dict[str, Any]:
    """Return everything that a bit-exact continuation needs."""
    tensors = {}
    for tensor in backend.program.tensors:
        kept = ("value", *MOMENTS) if tensor.trained else ("value",)
        tensors[tensor.name] = {which: backend.get(tensor.name, which) for which in kept}
    return {
        "network": backend.program.network.shape,
        "fingerprint": backend.program.fingerprint,
        "tensors": tensors,
        "epoch": state.epoch,
        "trial": state.trial,
        "updates": state.updates,
        "best_accuracy": state.best_accuracy,
        "best_epoch": state.best_epoch,
        "neuron_spikes": state.neuron_spikes.copy(),
        "dropped_spikes": state.dropped_spikes.copy(),
        "schedule": state.schedule.state(),
    }


def load_tensors(saved: dict[str, Any], backend: Backend, *, moments: bool, where: str) -> None:
    """Give the backend the tensors of a checkpoint.

    Raises:
        CheckpointError: The checkpoint is of another network.
    """
    program = backend.program
    if saved["fingerprint"] != program.fingerprint:
        raise CheckpointError(
            f"{where}: made for another network: {saved['network']} with "
            f"{', '.join(saved['tensors'])}; this one is {program.network.shape} with "
            f"{', '.join(t.name for t in program.tensors)}"
        )
    for tensor in program.tensors:
        arrays = saved["tensors"][tensor.name]
        backend.set(tensor.name, arrays["value"])
        for which in MOMENTS if moments else ():
            if which in arrays:
                backend.set(tensor.name, arrays[which], which)


def from_checkpoint(saved: dict[str, Any], backend: Backend, where: str) -> State:
    """Load the tensors and return the state, to go on exactly where the checkpoint was made."""
    load_tensors(saved, backend, moments=True, where=where)
    return State(
        neuron_spikes=saved["neuron_spikes"],
        dropped_spikes=saved.get(
            "dropped_spikes", np.zeros(len(backend.program.populations), np.int64)
        ),
        epoch=saved["epoch"],
        trial=saved["trial"],
        updates=saved["updates"],
        best_accuracy=saved["best_accuracy"],
        best_epoch=saved["best_epoch"],
        schedule=Schedule(**saved["schedule"]),
    )
