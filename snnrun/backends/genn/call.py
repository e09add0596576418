"""What a call of the backend returns, collected unit by unit."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from snnrun.backends.base import UNSEEN, Results
from snnrun.backends.genn.device import Device
from snnrun.backends.genn.outcome import Outcome, Outputs
from snnrun.backends.genn.units import Unit
from snnrun.compile.program import Program
from snnrun.errors import CapacityError

Evaluate = Callable[[Outputs, np.ndarray], Outcome]


class Call:
    """Losses, predictions and spike counts of the examples of a call.

    ``drop``: spikes that find no place in a buffer are counted, not refused. ``activations``: as of
    Results, of the input so far. ``shared``: other processes run some of them; see UNSEEN.
    """

    def __init__(
        self,
        program: Program,
        labels: np.ndarray,
        *,
        drop: bool,
        activations: np.ndarray | None = None,
        shared: bool = False,
    ) -> None:
        self._populations = [c.population for c in program.populations]
        self._spiking = [c.spiking for c in program.populations]
        self._labels = labels
        self._starts = np.cumsum([0, *(p.size for p in self._populations)])
        count, layers = len(labels), len(self._populations)
        self.loss = np.zeros(count)
        self.prediction = np.full(count, UNSEEN if shared else 0, np.int32)
        self.layer_spikes = np.zeros((count, layers), np.int32)
        self.neuron_spikes = np.zeros(self._starts[-1], np.int64)
        self.dropped = np.zeros(layers, np.int64) if drop else None
        self.failed_batch, self.failed_tensor = -1, ""
        self._activations = activations

    def collect(
        self, device: Device, unit: Unit, outputs: tuple[str, ...], evaluate: Evaluate
    ) -> bool:
        """Enter what a unit's forward pass left; return whether its losses are finite."""
        name, n = self._populations[-1].name, unit.count
        read = {v: device.read_batch(name, v)[:n] for v in outputs}
        outcome = evaluate(read, self._labels[unit.place])
        self.loss[unit.place] = outcome.loss
        self.prediction[unit.place] = outcome.prediction
        if not np.isfinite(outcome.loss).all() and self.failed_batch < 0:
            self.fail(unit.batch, "")
        return bool(np.isfinite(outcome.loss).all())

    def count_spikes(self, device: Device, unit: Unit, room: int | None) -> None:
        """Enter the spike counts of a unit.

        Args:
            room: Spikes that a neuron's buffer holds, where the backward pass will need them.

        Raises:
            CapacityError: A neuron spiked more often than that, and spikes may not be dropped.
        """
        for i, population in enumerate(self._populations):
            if not self._spiking[i]:
                continue
            counts = device.table(population.name, "count").reshape(-1, population.size)[
                : unit.count
            ]
            self.layer_spikes[unit.place, i] = counts.sum(axis=1)
            self.neuron_spikes[self._starts[i] : self._starts[i + 1]] += counts.sum(axis=0)
            self._count_activations(device, i, counts)
            if room is None or counts.max(initial=0) <= room:
                continue
            if self.dropped is None:
                raise CapacityError(_too_many(population.name, int(counts.max()), room))
            self.dropped[i] += np.maximum(counts - room, 0).sum()

    def _count_activations(self, device: Device, layer: int, counts: np.ndarray) -> None:
        """Enter the spikes of a layer, of which each of ``counts`` [trials, neurons] has some."""
        if self._activations is None:
            return
        trials, size = counts.shape
        late = self._activations.shape[1] - 1
        neurons = self._activations[0, :, self._activations.shape[2] - self._starts[-1] :]
        here = neurons[:, self._starts[layer] : self._starts[layer + 1]]
        here[late] += counts.sum(axis=0)
        if late:
            table = device.table(self._populations[layer].name, "late")
            steps = table.reshape(-1, size, late)[:trials].sum(axis=0, dtype=np.int64).T
            here[:late] += steps
            here[late] -= steps.sum(axis=0)

    def fail(self, batch: int, tensor: str) -> None:
        """Note that a batch went wrong: values of ``tensor``, or "" for the loss."""
        self.failed_batch, self.failed_tensor = batch, tensor

    def results(self) -> Results:
        """Return everything."""
        return Results(
            loss=self.loss,
            prediction=self.prediction,
            layer_spikes=self.layer_spikes,
            neuron_spikes=self.neuron_spikes,
            failed_batch=self.failed_batch,
            failed_tensor=self.failed_tensor,
            dropped_spikes=self.dropped,
            activations=self._activations,
        )


def _too_many(population: str, count: int, room: int) -> str:
    return (
        f"population {population}: a neuron spiked {count} times in one trial, but its buffer on "
        f"the device holds N_MAX_SPIKE={room}, and later spikes would have no gradient and no "
        f"record. Use N_MAX_SPIKE={count} or more, or, where spikes are not recorded, go on "
        "without their gradient and have them counted: backend.on_full_buffer=report"
    )
