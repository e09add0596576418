"""Gradients that are known while a trial runs, from traces of every synapse.

The equations are those of compile/traces.py. B examples, P presynaptic and Q postsynaptic neurons,
S states of these, K outputs.
"""

from __future__ import annotations

import numpy as np

from snnrun.backends.interpreter.functions import Array
from snnrun.backends.interpreter.links import Link
from snnrun.backends.interpreter.neurons import SteppedNeurons
from snnrun.backends.interpreter.passes import Passes, Tape
from snnrun.network.network import Way


class Traces:
    """The traces of a mini-batch, and the gradients that they have made since the last update."""

    def __init__(self, passes: Passes, arrivals: Array, tapes: list[Tape]) -> None:
        self.passes, self.arrivals, self.tapes = passes, arrivals, tapes
        self.last = len(passes.layers) - 1
        self.learning = [link for link in passes.links if link.projection.trained]
        self.senders = {
            link.source: link
            for link in passes.links
            if link.target == self.last and link.projection.way is not Way.FORWARD
        }
        batch = arrivals.shape[1]
        outputs = len(passes.layers[-1].neurons.states)
        self._eps, self._filtered, self._e, self._gradient = {}, {}, {}, {}
        for link in self.learning:
            shape = (batch, *link.weights.shape)
            states = len(passes.layers[link.target].neurons.states)
            self._eps[link.name] = np.zeros((states, *shape))
            self._gradient[link.name] = np.zeros(shape[1:])
            if link.target != self.last:
                self._filtered[link.name] = np.zeros((outputs, *shape))
                self._e[link.name] = np.zeros(shape)

    def step(self, n: int, drive: Array) -> None:
        """Move the traces by step n; ``drive`` is dL/dV of the outputs in it, [B, K]."""
        jacobians = [self._jacobian(index, n) for index in range(len(self.passes.layers))]
        of_output, _ = jacobians[-1]
        for link in self.learning:
            name, eps = link.name, self._eps[link.name]
            spikes = self.arrivals if link.source is None else self.tapes[link.source].spikes
            port = self.passes.layers[link.target].neurons.ports[link.port]
            eps[port] += link.arriving(spikes, n)
            moves, by_spike = jacobians[link.target]
            if link.target == self.last:
                eps = _moved(moves, eps)
                self._gradient[name] += np.einsum("bpq,bq->pq", eps[0], drive)
            else:
                self._gradient[name] += self._learned(link, of_output[:, :, 0, 0], drive)
                self._e[name] = np.einsum("sbq,sbpq->bpq", by_spike, eps)
                eps = _moved(moves, eps)
            self._eps[name] = eps

    def gradients(self) -> dict[str, Array]:
        """Return the gradients since the last call, by the names of tensors."""
        found = {link.name: link.gathered(self._gradient[link.name]) for link in self.learning}
        self._gradient = {name: np.zeros_like(g) for name, g in self._gradient.items()}
        return found

    def _learned(self, link: Link, of_output: Array, drive: Array) -> Array:
        """Return what a step adds to the gradient of a hidden link; move the outputs' filter."""
        sender, filtered = self.senders[link.target], self._filtered[link.name]
        filtered[self.passes.layers[-1].neurons.ports[sender.port]] += self._e[link.name]
        filtered[:] = np.tensordot(of_output, filtered, 1)
        signal = drive @ sender.weights.T  # [B, Q]
        return np.einsum("bpq,bq->pq", filtered[0], signal)

    def _jacobian(self, index: int, n: int) -> tuple[Array, Array]:
        """Return dx/dx of a layer's step [S, S, B, N], and ds/dx [S, B, N]."""
        neurons, tape = self.passes.layers[index].neurons, self.tapes[index]
        shape = tape.stepped[n].shape
        rows = []
        for row in range(shape[0] + 1):  # the last: the derivative by the spikes of the step
            lam, dl_ds = np.zeros(shape), np.zeros(shape[1:])
            if row < shape[0]:
                lam[row] = 1.0
            else:
                dl_ds += 1.0
            if isinstance(neurons, SteppedNeurons) and neurons.compiled.spiking:
                active = ~tape.held[n] & ~tape.dropped[n]
                lam, _ = neurons.through_spike(lam, tape.stepped[n], tape.spikes[n], dl_ds, active)
            rows.append(self.passes.through_step(neurons, tape, n, lam, {}))
        return np.array(rows[:-1]), rows[-1]


def _moved(jacobian: Array, eps: Array) -> Array:
    """Return traces [S, B, P, Q] behind a step with this Jacobian [S, S, B, Q]."""
    return np.einsum("srbq,rbpq->sbpq", jacobian, eps)
