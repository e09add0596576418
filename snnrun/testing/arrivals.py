"""What spikes send to their targets in the exact simulation: at once, or after a delay.

Shapes: C copies, P presynaptic and Q postsynaptic neurons, N neurons of all layers, K spikes under
way at once, M spikes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from snnrun.network.network import Network, Projection
from snnrun.testing.equations import Array

ALL = -1  # in the place of one postsynaptic neuron


def delays_of(projection: Projection) -> str:
    """Return the name of a projection's delays among all tables."""
    return f"{projection.name}_delays"


@dataclass(frozen=True, kw_only=True)
class Link:
    """A projection while it runs."""

    source: str
    target: int  # number of the layer
    state: int  # of the target, to which arrivals add
    first: int  # place of the target's first neuron among those of all layers
    weights: Array  # [C, P, Q]
    connected: Array  # [P, Q]
    delays: Array | None  # ms, [C, P, 1], [C, 1, Q] or [C, P, Q]


class Arrivals:
    """The projections of all copies, and the spikes that are under way.

    ``states``: of each layer [C, N, S], to which arrivals are added in place. ``arrived`` [C, N]:
    the neurons that something arrived at since it was last cleared.
    """

    def __init__(self, network: Network, tables: Mapping[str, Array], states: list[Array]) -> None:
        self.states = states
        sizes = [x.shape[1] for x in states]
        self.arrived = np.zeros((len(states[0]), sum(sizes)), bool)
        firsts = np.cumsum([0, *sizes])
        self.links = [
            _link(network, projection, target, int(firsts[target]), tables)
            for target, layer in enumerate(network.layers)
            for projection in layer.projections
        ]
        none = (len(states[0]), 0)
        self._due = np.full(none, np.inf)  # [C, K] when, inf: a free place
        self._link, self._pre, self._post = (np.zeros(none, int) for _ in range(3))

    @property
    def next(self) -> Array:
        """When the next spike under way arrives, [C]; inf: none is."""
        return self._due.min(axis=1, initial=np.inf)

    def send(self, source: str, c: Array, i: Array, t: Array) -> None:
        """Send spikes of neurons ``i`` of ``source`` in copies ``c`` at times ``t`` on their way.

        All [M], of each copy one at most.
        """
        for number, link in enumerate(self.links):
            if link.source != source:
                continue
            if link.delays is None:
                self._add(link, c, i, np.full(len(c), ALL))
                continue
            shape = link.delays.shape[1:]
            due = t[:, None] + link.delays[c, i if shape[0] > 1 else 0]
            if shape[1] == 1 < link.weights.shape[2]:
                self._put(c, due, number, i, np.array([ALL]))
            else:
                due = np.where(link.connected[i], due, np.inf)
                self._put(c, due, number, i, np.arange(shape[1]))

    def deliver(self, now: Array) -> None:
        """Let arrive what is due at the times ``now`` [C]."""
        due = self._due <= now[:, None]
        for number, link in enumerate(self.links):
            c, k = np.nonzero(due & (self._link == number))
            self._add(link, c, self._pre[c, k], self._post[c, k])
        self._due[due] = np.inf

    def _add(self, link: Link, c: Array, i: Array, j: Array) -> None:
        port = self.states[link.target][..., link.state]
        whole = j == ALL
        np.add.at(port, c[whole], link.weights[c[whole], i[whole]])
        rows = self.arrived[:, link.first : link.first + port.shape[1]]
        np.logical_or.at(rows, c[whole], link.connected[i[whole]])
        c, i, j = c[~whole], i[~whole], j[~whole]
        np.add.at(port, (c, j), link.weights[c, i, j])
        rows[c, j] = True

    def _put(self, c: Array, due: Array, link: int, pre: Array, post: Array) -> None:
        """Enter spikes that are due at the times [M, n] at the neurons ``post`` [n]."""
        n = due.shape[1]
        most = int(np.isfinite(self._due[c]).sum(axis=1).max(initial=0)) + n
        if (lacking := most - self._due.shape[1]) > 0:
            more = ((0, 0), (0, max(lacking, 16)))
            self._due = np.pad(self._due, more, constant_values=np.inf)
            self._link, self._pre, self._post = (
                np.pad(table, more) for table in (self._link, self._pre, self._post)
            )
        free = np.argsort(np.isfinite(self._due[c]), axis=1, kind="stable")[:, :n]
        rows = c[:, None]
        self._due[rows, free] = due
        self._link[rows, free] = link
        self._pre[rows, free] = pre[:, None]
        self._post[rows, free] = post


def _link(
    network: Network, projection: Projection, target: int, first: int, tables: Mapping[str, Array]
) -> Link:
    neuron = network.layers[target].population.neuron
    assert neuron is not None
    weights, synapses = tables[projection.name], projection.synapses
    if synapses is None:
        connected = np.ones(weights.shape[1:], bool)
    else:
        weights, connected = np.array([synapses.matrix(w) for w in weights]), synapses.mask
    return Link(
        source=projection.source,
        target=target,
        state=neuron.states.index(projection.port or neuron.input),
        first=first,
        weights=weights,
        connected=connected,
        delays=tables.get(delays_of(projection)),
    )
