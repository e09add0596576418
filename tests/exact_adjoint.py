"""The gradient of spike times in continuous time, to rounding, for any declared neurons.

A population that is connected to itself is simulated exactly (snnrun.testing.exact); L is the sum
of its spike times, each times a number. Walking back the path of its neurons by Taylor series,

    between events   lam' = -f_x^T lam        dL/dp += integral of lam . f_p
    own spike        the jump that snnrun.compile.derive makes of the declaration
    arrival          dL/dw += lam_port        R += w lam . f_port, for the neuron that sent it

Shapes: C copies, N neurons, S states, P parameters.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import sympy as sp

from snnrun.backends.interpreter.functions import Expressions, Named
from snnrun.compile.derive import (
    ARRIVAL,
    DRIVE,
    RELEASE,
    SPIKE_TIME_GRADIENT,
    adjoint_symbol,
    derive,
    held_rates,
)
from snnrun.models.declare import Neuron
from snnrun.models.equations import symbol
from snnrun.models.losses import SUM
from snnrun.network.network import Layer, Network, Population, Projection
from snnrun.streams import stream
from snnrun.testing.equations import Equations, Path
from snnrun.testing.exact import History, Problem, simulate
from snnrun.testing.problems import (
    GAINS,
    draw_weights,
    input_events,
    natural_draws,
    scale_of,
    time_scale,
)
from snnrun.testing.taylor import Rates, reach

Array = np.ndarray
CHANNELS, NEURONS, CANDIDATES = 4, 3, 128
DURATION, T_REF = 20.0, 0.8  # ms, where the shortest time constant is 5 ms
# Central differences of order 8, by the distance in steps: Fornberg 1988, Math Comp 51:699, table 1
STENCIL = {1: 4 / 5, 2: -1 / 5, 3: 4 / 105, 4: -1 / 280}
MOVED, WIDEST = 2e-3, 2e-2  # ms; of the largest value of a table
HELD = symbol("is_held")  # 1 in the refractory period, else 0


def make_problem(neuron: Neuron, seed: int) -> Problem:
    """Return a population whose neurons spike a few times each, away from what arrives."""
    defaults = {p.name: p.default for p in neuron.parameters}
    scale = time_scale([(neuron, defaults)])
    duration = DURATION * scale
    defaults |= {neuron.refractory: T_REF * scale} if neuron.refractory else {}
    drawn = stream(seed, "exact adjoint").uniform
    spread = {n: defaults[n] * (1 + 0.1 * drawn(-1, 1, NEURONS)) for n in neuron.trainable}
    population = Population(
        name="hidden",
        size=NEURONS,
        neuron=neuron,
        values={**defaults, **spread},
        trained=neuron.trainable,
        floors={},
    )
    projections = tuple(
        Projection(
            name=f"{source}_{port}", source=source, target="hidden", mean=0.0, std=1.0, port=port
        )
        for source in ("input", "hidden")
        for port in neuron.ports
    )
    given = Population(name="input", size=CHANNELS, values={}, floors={})
    layer = Layer(population=population, projections=projections)
    times, channels = input_events(CHANNELS, duration, 1e-3 * duration, seed)
    problem = Problem(
        network=Network(input=given, layers=(layer,)),
        weights={},
        loss=SUM,
        loss_values={},
        times=times,
        channels=channels,
        label=0,
        duration=duration,
    )
    scales = [scale_of(neuron, defaults, duration)]
    draws = natural_draws(problem.network, scales)
    candidates = draw_weights(problem.network, draws, CANDIDATES, seed, GAINS)
    history = simulate(problem, candidates)
    counts = history.counts[0]
    fit = (counts.min(axis=1) >= 1) & (counts.sum(axis=1) >= 5) & (counts.max(axis=1) <= 6)
    gaps = np.where(fit, smallest_gaps(history, defaults.get(neuron.refractory or "", 0.0)), -1.0)
    best = int(gaps.argmax())
    assert fit[best], counts
    return replace(problem, weights={name: w[best] for name, w in candidates.items()})


def smallest_gaps(history: History, t_ref: float) -> Array:
    """Return by how much spikes, or ends of refractory periods, miss what arrives and the end, [C].

    Where they pass each other, L has a kink.
    """
    spikes = np.array([p.spiker for p in history.pieces]).T >= 0
    ends = np.array([p.t + p.length for p in history.pieces]).T
    found = []
    for own, times in zip(spikes, ends, strict=True):
        arrivals = np.concatenate([times[own], history.input_times, [history.duration]])
        moments = np.concatenate([times[own], times[own] + t_ref])
        gaps = np.abs(moments[:, None] - arrivals)
        found.append(gaps[gaps > 0].min(initial=np.inf))
    return np.array(found)


def spike_loss(history: History) -> Array:
    """Return L [C], the sum of the times of all spikes, each times its ``factor``."""
    [counts] = history.counts
    assert (counts == counts[0]).all(), "spikes appear, or vanish"
    spikes = np.array([p.spiker for p in history.pieces])[..., None] == np.arange(NEURONS)
    ends = np.array([p.t + p.length for p in history.pieces])[..., None]
    factors = factor(np.arange(NEURONS), spikes.cumsum(axis=0))
    return np.where(spikes, factors * ends, 0.0).sum(axis=(0, 2))


def factor(neuron: Array | int, spike: Array | int) -> Array:
    """Return that of a neuron's spike, counted from 1."""
    return np.cos(np.asarray(spike) + 0.7 * neuron)


def differences(problem: Problem, expected: Mapping[str, Array]) -> dict[str, Array]:
    """Return dL by the tables of ``expected``, whose sizes say which steps move L by MOVED."""
    tables = {name: problem.tables[name] for name in expected}
    widths = {
        name: min(MOVED / max(largest, 1e-300), WIDEST * (np.abs(table).max() or 1.0))
        for name, table in tables.items()
        for largest in [np.abs(expected[name]).max()]
    }
    moves = np.array([sign * distance for distance in STENCIL for sign in (1, -1)])
    factors = np.array([np.sign(move) * STENCIL[abs(move)] for move in moves])
    entries = [(name, k) for name, table in tables.items() for k in range(table.size)]
    copies = {n: np.repeat(t[None], len(entries) * len(moves), 0) for n, t in tables.items()}
    for e, (name, k) in enumerate(entries):
        rows = slice(e * len(moves), (e + 1) * len(moves))
        copies[name].reshape(-1, tables[name].size)[rows, k] += widths[name] * moves
    losses = spike_loss(simulate(problem, copies)).reshape(len(entries), len(moves))
    slopes = losses @ factors / np.array([widths[name] for name, _ in entries])
    ends = np.cumsum([t.size for t in tables.values()])[:-1]
    parts = zip(tables.items(), np.split(slopes, ends), strict=True)
    return {name: part.reshape(table.shape) for (name, table), part in parts}


@dataclass
class Event:
    """Something that happens to the population at ``time``, and its states before and after."""

    time: float
    source: str  # of what arrives: input, hidden; release: the end of a refractory period
    number: int  # of the channel or neuron
    before: Any = None  # [N, S]
    after: Any = None
    held_before: Any = None  # [N]
    held_after: Any = None


class ExactAdjoint:
    """The way back through a trial of a problem."""

    def __init__(self, problem: Problem) -> None:
        [layer] = problem.network.layers
        neuron = layer.population.neuron
        assert neuron is not None
        self.problem, self.neuron, self.projections = problem, neuron, layer.projections
        self.p = problem.values(layer)
        self.t_ref = self.p[neuron.refractory][0] if neuron.refractory else 0.0
        self.trained = layer.population.trained
        self.equations = Equations(neuron)
        jump = derive(neuron, self.trained, self.t_ref > 0).jump
        assert jump is not None
        self._slope, self._strength = Expressions([jump.slope]), Expressions([jump.strength])
        self._moves, self._at_spike = Named(jump.adjoint), Named(jump.parameters)
        self._release = Expressions([jump.release or sp.Integer(0)])
        self._derive_way_back()

    def _derive_way_back(self) -> None:
        """Make the equations of states, adjoints and gradients together."""
        n, states = len(self.neuron.states), self.neuron.states
        x = [symbol(s) for s in states]
        lam = sp.Matrix([symbol(f"lam_{s}") for s in states])
        free = sp.Matrix(self.neuron.system.rates)
        held = held_rates(self.neuron)
        rates = free + HELD * (held - free)
        self._jacobian = rates.jacobian(x)
        back = -self._jacobian.T * lam
        growth = [-(lam.T * rates.diff(symbol(p)))[0] for p in self.trained]
        names = [*states, *(f"lam_{s}" for s in states), *(f"sum_{p}" for p in self.trained)]
        self._all = Rates([*rates, *back, *growth], names, [*self.p, str(HELD)])
        self._own = Rates(list(rates), states, [*self.p, str(HELD)])
        by_port = [(lam.T * self._jacobian)[0, states.index(p)] for p in self.neuron.ports]
        self._pull = dict(zip(self.neuron.ports, by_port, strict=True))
        self._n = n

    def _walk(
        self, rates: Rates, x: Array, held: Array, length: float
    ) -> Iterator[tuple[Array, float]]:
        """Yield states after parts of ``length`` ms, which may be negative, and the parts."""
        left = length
        while left:
            terms = rates.path(x, [*self.p.values(), held.astype(float)], np.zeros(1, bool))
            part = np.sign(left) * min(abs(left), 0.5 * reach(terms))
            x = Path(terms).at(np.full(1, part))
            left = 0.0 if part == left else left - part
            yield x, part

    def _events(self) -> list[Event]:
        """Return all events with the states at them, in their order, and the end of the trial."""
        pieces = simulate(self.problem, {}).pieces
        spikes = [(p.t[0] + p.length[0], int(p.spiker[0])) for p in pieces if p.spiker[0] >= 0]
        events = [Event(t, "hidden", j) for t, j in spikes]
        events += [Event(t + self.t_ref, "release", j) for t, j in spikes if self.t_ref]
        inputs = zip(self.problem.times, self.problem.channels, strict=True)
        events += [Event(t, "input", c) for t, c in inputs]
        events = sorted((e for e in events if e.time < self.problem.duration), key=lambda e: e.time)
        x = self.equations.start({n: v[None] for n, v in self.p.items()})[0]
        held, now = np.zeros(NEURONS, bool), 0.0
        for event in events:
            for moved, _ in self._walk(self._own, x, held, event.time - now):
                x = moved
            now = event.time
            event.before, event.held_before = x.copy(), held.copy()
            if event.source == "release":
                held[event.number] = False
            if event.source == "hidden":
                j = event.number
                x[j] = self.equations.reset(x[j], {n: v[j] for n, v in self.p.items()})
                held[j] = self.t_ref > 0
            for projection in self._arriving(event):
                x[:, self._port(projection)] += self.problem.weights[projection.name][event.number]
            event.after, event.held_after = x.copy(), held.copy()
        return events

    def _arriving(self, event: Event) -> list[Projection]:
        return [p for p in self.projections if p.source == event.source]

    def _port(self, projection: Projection) -> int:
        return self.neuron.states.index(projection.port)

    def _known(self, x: Array, lam: Array, j: int) -> dict[sp.Symbol, Any]:
        """Return what symbols of the jump stand for, of neuron ``j``."""
        known = {symbol(name): value[j] for name, value in self.p.items()}
        for i, state in enumerate(self.neuron.states):
            known |= {symbol(state): x[j, i], adjoint_symbol(state): lam[j, i]}
        return known

    def gradients(self) -> dict[str, Array]:
        """Return dL by weights and trained parameters."""
        n, events = self._n, self._events()
        found = {name: np.zeros_like(w) for name, w in self.problem.weights.items()}
        lam, sums = np.zeros((NEURONS, n)), np.zeros((NEURONS, len(self.trained)))
        released = np.zeros(NEURONS)
        spikes = np.bincount([e.number for e in events if e.source == "hidden"])
        for event, earlier in zip(reversed(events), [*reversed(events[:-1]), None], strict=True):
            j = event.number
            arrival = 0.0
            for projection in self._arriving(event):
                found[projection.name][j] += lam[:, self._port(projection)]
                weights = self.problem.weights[projection.name][j]
                arrival += weights @ self._pulled(projection, event, lam)
            if event.source == "release":
                [released[j]] = self._release(self._known(event.before, lam, j))
            if event.source == "hidden":
                known = self._known(event.before, lam, j)
                known |= {ARRIVAL: arrival, RELEASE: released[j]}
                known[SPIKE_TIME_GRADIENT] = factor(j, spikes[j])
                [strength] = self._strength(known)
                [slope] = self._slope(known)
                known[DRIVE] = strength / slope
                for p, change in self._at_spike(known).items():
                    sums[j, self.trained.index(p)] += change
                for state, value in self._moves(known).items():
                    lam[j, self.neuron.states.index(state)] = value
                spikes[j], released[j] = spikes[j] - 1, 0.0
            every = np.concatenate([event.before, lam, sums], axis=1)
            length = event.time - (earlier.time if earlier else 0.0)
            for moved, _ in self._walk(self._all, every, event.held_before, -length):
                every = moved
            lam, sums = every[:, n : 2 * n], every[:, 2 * n :]
        return found | {f"hidden.{p}": sums[:, i] for i, p in enumerate(self.trained)}

    def _pulled(self, projection: Projection, event: Event, lam: Array) -> Array:
        """Return lam . f_port of all neurons, after the event, [N]."""
        known: dict[sp.Symbol, Any] = {symbol(name): value for name, value in self.p.items()}
        known[HELD] = event.held_after.astype(float)
        for i, state in enumerate(self.neuron.states):
            known |= {symbol(state): event.after[:, i], symbol(f"lam_{state}"): lam[:, i]}
        [pull] = Expressions([self._pull[projection.port]])(known)
        return np.broadcast_to(pull, NEURONS)
