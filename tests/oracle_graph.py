"""The exact gradient of a delayed network of many ports, written by hand: events and their adjoint.

Neurons are leaky integrate-and-fire with K currents, each of an own time constant and sign:

    tau_mem dV/dt = sum_k sign_k I_k - V        tau_k dI_k/dt = -I_k        V = v_reset at a spike

A spike of i at t adds w_ij to the port of j at t + d_ij. With p the adjoint, A the Jacobian of the
flow and e the direction of the port,

    dL/dw_ij = sum p_j(t + d_ij)^T e        dL/dd_ij = -w_ij sum p_j(t + d_ij)^T A e

and the second sum is what the targets send back to the time of the spike. Times in ms. N neurons.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import NamedTuple

import numpy as np
from oracle_loss import cross_entropy

Array = np.ndarray
INPUT = -1  # in the place of a population
TAU_0, TAU_1, ALPHA = 1.0, 10.0, 0.1  # of the loss of first spikes


@dataclass(frozen=True, kw_only=True)
class Neurons:
    """A population; it reads out V where ``v_thresh`` is infinite."""

    signs: Array  # [K]
    tau_mem: Array  # [N]
    taus: Array  # [K, N]
    v_thresh: Array  # [N]
    v_reset: Array  # [N]
    t_ref: float = 0.0

    def _terms(self, s: float, held: Array) -> tuple[Array, Array, Array]:
        """How V and the currents decay in ``s`` ms, and what a unit of current adds to V."""
        decay, fade = np.exp(-s / self.tau_mem), np.exp(-s / self.taus)
        gain = self.signs[:, None] * self.taus / (self.taus - self.tau_mem) * (fade - decay)
        return np.where(held, 1.0, decay), fade, np.where(held, 0.0, gain)

    def flow(self, x: Array, s: float, held: Array) -> Array:
        """State [1 + K, N] after ``s`` ms without events; V stays where ``held``."""
        decay, fade, gain = self._terms(s, held)
        return np.concatenate([[x[0] * decay + (gain * x[1:]).sum(0)], x[1:] * fade])

    def flow_back(self, lam: Array, s: float, held: Array) -> Array:
        """The transposed flow."""
        decay, fade, gain = self._terms(s, held)
        return np.concatenate([[lam[0] * decay], lam[1:] * fade + lam[0] * gain])

    def area(self, x: Array, s: float) -> Array:
        """The integral of V over ``s`` ms of neurons that do not spike."""
        of_V, of_I = (tau * -np.expm1(-s / tau) for tau in (self.tau_mem, self.taus))
        share = self.signs[:, None] * self.taus / (self.taus - self.tau_mem)
        return x[0] * of_V + (share * x[1:] * (of_I - of_V)).sum(0)

    def rate(self, x: Array, j: int) -> Array:
        """dx/dt of neuron ``j``, if it is not held, in the state ``x`` [1 + K]."""
        membrane = (self.signs @ x[1:] - x[0]) / self.tau_mem[j]
        return np.array([membrane, *(-x[1:] / self.taus[:, j])])

    def with_(self, name: str, value: Array) -> Neurons:
        """The same neurons with another parameter."""
        return Neurons(**{**vars(self), name: value})


@dataclass(frozen=True, kw_only=True)
class Synapses:
    """A projection: from, to, the port, weights [P, Q], which exist, and delays [P, Q] (ms)."""

    source: int
    target: int
    port: int
    weights: Array
    exist: Array
    delays: Array


@dataclass(frozen=True, kw_only=True)
class Graph:
    """A network, the output last, with one labelled example; the loss follows from the output."""

    populations: Sequence[Neurons]
    synapses: Sequence[Synapses]
    times: Array
    channels: Array
    label: int
    duration: float


class Event(NamedTuple):
    """An arrival at neuron j from i (``link``), a release, or a spike of neuron j (no ``link``)."""

    t: float
    kind: str
    population: int
    j: int
    spike: int = -1  # number of the spike that caused it, or that it is
    link: int = -1
    i: int = -1


@dataclass
class Piece:
    """Undisturbed flow: where it began, in which states, how long it was, and what ended it."""

    states: list[Array]
    held: list[Array]
    length: float
    event: Event | None


@dataclass
class Trial:
    """An event-driven run of a graph, and the gradient of its loss."""

    graph: Graph
    pieces: list[Piece] = field(default_factory=list)
    spikes: list[Event] = field(default_factory=list)
    loss: float = 0.0

    def __post_init__(self) -> None:
        self._events: list[tuple[float, int, Event]] = []
        self._order = count()
        for time, channel in zip(self.graph.times, self.graph.channels, strict=True):
            self._send(INPUT, int(channel), float(time), -1)
        self._run()
        self._evaluate()

    # Forward
    def _put(self, event: Event) -> None:
        heapq.heappush(self._events, (event.t, next(self._order), event))

    def _send(self, source: int, i: int, t: float, spike: int) -> None:
        for link, s in enumerate(self.graph.synapses):
            if s.source == source:
                for j in np.flatnonzero(s.exist[i]).tolist():
                    at = t + float(s.delays[i, j])
                    self._put(Event(at, "arrival", s.target, j, spike, link, i))

    def _run(self) -> None:
        populations, end = self.graph.populations, self.graph.duration
        states = [np.zeros((1 + len(n.taus), n.tau_mem.size)) for n in populations]
        held = [np.zeros(n.tau_mem.size, bool) for n in populations]
        t = 0.0
        while True:
            due = self._events[0][0] if self._events else np.inf
            length, place, j = min(
                (self._crossing(n, x, h, min(due, end) - t, place))
                for place, (n, x, h) in enumerate(zip(populations, states, held, strict=True))
            )
            event = None
            if length < min(due, end) - t:
                event = Event(t + length, "spike", place, j, len(self.spikes))
                self.spikes.append(event)
            elif due < end:
                event = heapq.heappop(self._events)[2]
            self.pieces.append(Piece([x.copy() for x in states], list(held), length, event))
            for place, neurons in enumerate(populations):
                states[place] = neurons.flow(states[place], length, held[place])
                held[place] = held[place].copy()
            if event is None:
                return
            t = event.t
            self._happen(event, states, held)

    def _happen(self, event: Event, states: list[Array], held: list[Array]) -> None:
        place, j = event.population, event.j
        if event.kind == "arrival":
            s = self.graph.synapses[event.link]
            states[place][1 + s.port, j] += s.weights[event.i, j]
        elif event.kind == "release":
            held[place][j] = False
        else:
            neurons = self.graph.populations[place]
            states[place][0, j] = neurons.v_reset[j]
            self._send(place, j, event.t, event.spike)
            if neurons.t_ref:
                held[place][j] = True
                self._put(Event(event.t + neurons.t_ref, "release", place, j, event.spike))

    @staticmethod
    def _crossing(
        neurons: Neurons, x: Array, held: Array, limit: float, place: int
    ) -> tuple[float, int, int]:
        """Time to the first crossing within ``limit``, the population, and the neuron."""
        found = (limit, place, -1)
        s = np.linspace(0, limit, 40)
        above = np.array([neurons.flow(x, at, held)[0] >= neurons.v_thresh for at in s]) & ~held
        for j in np.flatnonzero(above.any(0)).tolist():
            high = int(above[:, j].argmax())
            a, b = s[max(high - 1, 0)], s[high]
            for _ in range(60):
                middle = (a + b) / 2
                over = neurons.flow(x, middle, held)[0, j] >= neurons.v_thresh[j]
                a, b = (a, middle) if over else (middle, b)
            found = min(found, (float(b), place, j))
        return found

    def _evaluate(self) -> None:
        """Compute the loss, and its slope by the integrals of V or by times of first spikes."""
        graph, last = self.graph, len(self.graph.populations) - 1
        output, target = graph.populations[last], np.zeros(graph.populations[last].tau_mem.size)
        target[graph.label] = 1.0
        if np.isinf(output.v_thresh).all():
            areas = [output.area(piece.states[last], piece.length) for piece in self.pieces]
            y, self.first = np.sum(areas, axis=0) / graph.duration, {}
            self.loss = float(cross_entropy(y, graph.label))
            self.slope = (_softmax(y) - target) / graph.duration
            return
        own = [spike for spike in self.spikes if spike.population == last]
        self.first = {spike.j: spike.spike for spike in reversed(own)}
        t = np.array([self.spikes[self.first[k]].t for k in range(target.size)])
        late = np.expm1(t[graph.label] / TAU_1)
        self.loss = float(cross_entropy(-t / TAU_0, graph.label) + ALPHA * late)
        self.slope = (target - _softmax(-t / TAU_0)) / TAU_0
        self.slope[graph.label] += ALPHA / TAU_1 * (late + 1)

    # Backward
    def gradients(self) -> tuple[list[Array], list[Array], list[dict[str, Array]]]:
        """Gradients by weights and delays of all synapses, and by parameters of populations."""
        graph, last = self.graph, len(self.graph.populations) - 1
        lam = [np.zeros_like(x) for x in self.pieces[0].states]
        weights = [np.zeros(s.weights.shape) for s in graph.synapses]
        delays = [np.zeros(s.weights.shape) for s in graph.synapses]
        parameters = [
            {name: np.zeros_like(getattr(n, name)) for name in PARAMETERS}
            for n in graph.populations
        ]
        sent = np.zeros(len(self.spikes) + 1)  # dL/d(time of a spike); the last: of the input
        later = self.pieces[-1].held
        for piece in reversed(self.pieces):
            event = piece.event
            flown = [
                n.flow(x, piece.length, h)
                for n, x, h in zip(graph.populations, piece.states, piece.held, strict=True)
            ]
            if event is not None:
                place, j = event.population, event.j
                neurons, p, x = graph.populations[place], lam[place][:, j], flown[place][:, j]
            if event is None:
                pass
            elif event.kind == "arrival":
                s = graph.synapses[event.link]
                rate = neurons.rate(np.eye(len(x))[1 + s.port], j)  # A e
                rate[0] *= not later[place][j]
                by_time = -s.weights[event.i, j] * (p @ rate)
                weights[event.link][event.i, j] += p[1 + s.port]
                delays[event.link][event.i, j] += by_time
                sent[event.spike] += by_time
            elif event.kind == "release":
                sent[event.spike] -= p[0] * neurons.rate(x, j)[0]
            else:
                after = np.array([neurons.v_reset[j], *x[1:]])
                moves = neurons.rate(after, j) * [not later[place][j], *np.ones(len(x) - 1)]
                kept = neurons.rate(x, j) * [0.0, *np.ones(len(x) - 1)]
                total = p @ (kept - moves) + sent[event.spike]
                if place == last and self.first.get(j) == event.spike:
                    total += self.slope[j]
                parameters[place]["v_thresh"][j] += total / neurons.rate(x, j)[0]
                parameters[place]["v_reset"][j] += p[0]
                lam[place][0, j] = -total / neurons.rate(x, j)[0]
            later = piece.held
            reads = self.slope if not self.first else None
            for place, neurons in enumerate(graph.populations):
                slope = reads if place == last else None
                self._back(neurons, piece, place, lam, slope, parameters[place])
        return weights, delays, parameters

    @staticmethod
    def _back(
        neurons: Neurons,
        piece: Piece,
        place: int,
        lam: list[Array],
        slope: Array | None,
        sums: dict[str, Array],
    ) -> None:
        """Take a population's adjoint to the begin of a piece."""
        x, held, s = piece.states[place], piece.held[place], piece.length

        def reached(neurons: Neurons) -> Array:
            total = (lam[place] * neurons.flow(x, s, held)).sum(0)
            return total if slope is None else total + slope * neurons.area(x, s)

        step = 1e-30
        varied = neurons.with_("tau_mem", neurons.tau_mem + 1j * step)
        sums["tau_mem"] += reached(varied).imag / step
        for k in range(len(neurons.taus)):
            taus = neurons.taus.astype(complex)
            taus[k] += 1j * step
            sums["taus"][k] += reached(neurons.with_("taus", taus)).imag / step
        lam[place] = neurons.flow_back(lam[place], s, held)
        if slope is not None:
            units = np.eye(len(x))[:, :, None] * np.ones(x.shape[1])
            lam[place] += slope * np.array([neurons.area(unit, s) for unit in units])


PARAMETERS = ("tau_mem", "taus", "v_thresh", "v_reset")


def _softmax(u: Array) -> Array:
    e = np.exp(u - u.max())
    return e / e.sum()
