"""A projection while it runs: which spikes arrive when, and what they send back.

T steps, B examples, P presynaptic and Q postsynaptic neurons. A spike that is emitted in step n
arrives in step n + k - lead with h(k) times its weight; see network/delays.py. Spikes of the input
lead by a step. What would arrive after the last step never does.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from snnrun.backends.interpreter.functions import Array
from snnrun.network.delays import spread
from snnrun.network.network import Projection


@dataclass(kw_only=True)
class Link:
    """A projection of a program.

    Args:
        projection: Its declaration.
        source: Number of the layer that it comes from; None: the input.
        target: Number of the layer in which it ends.
        port: Which of the ports of its target it ends in.
        most: The largest delay in whole steps.
    """

    projection: Projection
    source: int | None
    target: int
    port: int
    most: int
    weights: Array = field(init=False)  # [P, Q]
    _shares: dict[int, tuple[Array, Array]] = field(init=False)  # k -> h(k), dh/dd, beside weights
    _waiting: dict[int, Array] = field(init=False)  # step -> what will arrive then, [B, Q]
    _nothing: Array = field(init=False)  # [B, Q]
    _kept: Array | None = field(init=False)  # [T, B, Q] factors of what arrives; None: 1

    @property
    def name(self) -> str:
        """Name of the projection."""
        return self.projection.name

    @property
    def size(self) -> int:
        """Number of postsynaptic neurons."""
        return self.weights.shape[1]

    @property
    def plain(self) -> bool:
        """Whether spikes arrive without delays, and currents are never dropped."""
        return self.projection.delays is None and not self.projection.dropout

    @property
    def lead(self) -> int:
        """Steps by which spikes arrive earlier than those of neurons."""
        return int(self.source is None)

    def set(self, weights: Array, delays: Array | None, width: float) -> None:
        """Take weights of their natural shape, and delays in steps."""
        synapses = self.projection.synapses
        self.weights = weights if synapses is None else synapses.matrix(weights)
        if delays is None:
            self._shares = {1: (np.ones((1, 1)), np.zeros((1, 1)))}
        else:
            shares = zip(*spread(delays, width, self.most), strict=True)
            numbered = enumerate(shares, 1)
            self._shares = {k: (h, dh) for k, (h, dh) in numbered if h.any() or dh.any()}

    def gathered(self, matrix: Array) -> Array:
        """Return gradients by the weights of those by the matrix [P, Q]."""
        synapses = self.projection.synapses
        if synapses is None:
            return matrix
        found = synapses.gathered(matrix)
        return found if synapses.shared else np.where(synapses.mask, found, 0.0)

    # Forward
    def begin(self, examples: int, kept: Array | None) -> None:
        """Begin a trial, in which nothing is under way.

        ``kept``: factors of what arrives at a neuron in a step, [T, B, Q]; None: 1.
        """
        self._kept = kept
        self._waiting = {}
        self._nothing = np.zeros((examples, self.weights.shape[1]))

    def send(self, spikes: Array, n: int) -> None:
        """Send the spikes [B, P] of step n on their way."""
        for k, (h, _) in self._shares.items():
            at = n + k - self.lead
            arriving = spikes @ (self.weights * h)
            self._waiting[at] = self._waiting[at] + arriving if at in self._waiting else arriving

    def arrived(self, n: int) -> Array:
        """Return what arrives in step n, [B, Q]."""
        arrived = self._waiting.pop(n, self._nothing)
        return arrived if self._kept is None else arrived * self._kept[n]

    def arriving(self, spikes: Array, n: int) -> Array:
        """Return which presynaptic spikes [T, B, P] arrive in step n, as shares [B, P, Q]."""
        found = np.zeros((spikes.shape[1], *self.weights.shape))
        for k, (h, _) in self._shares.items():
            if (sent := n - k + self.lead) >= 0:
                found += spikes[sent][:, :, None] * h
        return found if self._kept is None else found * self._kept[n][:, None]

    # Backward
    def found(self, adjoint: Array, n: int) -> Array:
        """Return the adjoint [B, Q] of the port at step n as arrivals find it."""
        return adjoint if self._kept is None else adjoint * self._kept[n]

    def sent_back(self, adjoint: Array, n: int) -> Array:
        """Return what the targets send back to the spikes of step n, [B, P].

        It is the sum of weight x adjoint [T, B, Q] where they arrive.
        """
        total = np.zeros((adjoint.shape[1], len(self.weights)))
        for k, (h, _) in self._shares.items():
            if (at := n + k - self.lead) < len(adjoint):
                total += adjoint[at] @ (self.weights * h).T
        return total

    def gradients(self, spikes: Array, adjoint: Array) -> tuple[Array, Array | None]:
        """Return the gradients by the matrix of weights and, of ``adjoint`` per step, the delays.

        ``spikes``: [T, B, P]; ``adjoint``: [T + 2, B, Q], of which the last two steps are no steps.
        """
        steps = len(spikes)
        of_weights = np.zeros(self.weights.shape)
        of_delays = np.zeros(self.weights.shape)
        for k, (h, dh) in self._shares.items():
            shift = k - self.lead
            if shift >= steps:
                continue
            sent, read = spikes[: steps - shift], adjoint[shift:steps]
            met = np.einsum("tbp,tbq->pq", sent, read, optimize=True)
            of_weights += h * met
            of_delays += dh * self.weights * met
        delays = self.projection.delays
        if delays is None:
            return of_weights, None
        shape = delays.kind.shape(*self.weights.shape)
        axes = tuple(axis for axis in (0, 1) if shape[axis] < of_delays.shape[axis])
        return of_weights, of_delays.sum(axis=axes, keepdims=True)
