"""Tensors that the host updates, as GeNN sums no gradients over the synapses of a neuron or of a
shared weight: delays, and weights that synapses share.

The device has what its synapses read, and sums the gradient of each over the mini-batch; the host
fetches that, adds up, and takes the optimiser's step in float64.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from snnrun.backends.base import LARGEST_VALUE
from snnrun.compile.program import DELAYS, Program, Tensor
from snnrun.network.delays import in_steps
from snnrun.optimisers import Update
from snnrun.optimisers.evaluate import apply


def is_hosted(tensor: Tensor) -> bool:
    """Return whether the host has a tensor."""
    if tensor.kind == DELAYS:
        return True
    return tensor.synapses is not None and tensor.synapses.shared


class Hosted:
    """A tensor with its optimiser's states; ``precision``: that of the values on the device."""

    def __init__(self, tensor: Tensor, program: Program, precision: str) -> None:
        assert tensor.projection is not None
        network, projection = program.network, tensor.projection
        self.tensor = tensor
        self._dt = program.dt
        self._ends = network.size(projection.source), network.size(projection.target)
        self.held = {which: np.zeros(tensor.shape) for which in tensor.states}
        self.held["value"] = np.zeros(tensor.shape, precision)

    def of_synapses(self) -> np.ndarray:
        """Return the values as the device has them: delays in steps, weights [P, Q]."""
        value = self.held["value"]
        if self.tensor.kind == DELAYS or self.tensor.synapses is None:
            return in_steps(value, self._dt)
        return self.tensor.synapses.matrix(value)

    def gradient(self, of_synapses: np.ndarray) -> np.ndarray:
        """Return the gradient from those of all pairs of neurons [P Q], 0 without a synapse."""
        matrix = of_synapses.astype(float).reshape(self._ends)
        if self.tensor.kind != DELAYS and self.tensor.synapses is not None:
            return self.tensor.synapses.gathered(matrix)
        shared = tuple(axis for axis in (0, 1) if self.tensor.shape[axis] < self._ends[axis])
        return matrix.sum(axis=shared, keepdims=True)

    def learn(self, gradient: np.ndarray, update: Update, shared: Mapping[str, float]) -> None:
        """Take a step of the optimiser, with what all values share in it."""
        value, states = self.held["value"], {name: self.held[name] for name in update.states}
        stepped = value.astype(float)
        apply(update, shared, stepped, gradient, states)
        value[:] = np.clip(stepped, *self.tensor.bounds)

    @property
    def sound(self) -> bool:
        """Whether all values are finite and not too large."""
        return bool((np.abs(self.held["value"]) < LARGEST_VALUE).all())
