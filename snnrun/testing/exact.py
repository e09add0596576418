"""Exact event-driven simulation of a network, for any declared neurons.

This is what the time grid approaches as its step goes to 0. Between events every neuron follows
the Taylor series of its ODE, spikes are roots of the threshold function, and a spike acts on
its targets at once, or as much later as the delay says. Many copies of a network that differ in
weights, delays or parameters run side by side.

Times in ms. Shapes: C copies, N neurons of a layer, S states, K outputs, M points in time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from snnrun.errors import ModelError
from snnrun.models.losses import Loss
from snnrun.network.network import Layer, Network
from snnrun.testing.arrivals import Arrivals, delays_of
from snnrun.testing.equations import Array, Equations, Path, Values

POINTS = 24  # of the longest piece at which a function is looked at before roots are refined
MAX_PIECES = 20_000


@dataclass(frozen=True, kw_only=True)
class Problem:
    """A network with weights, a loss, and one labelled example of input events."""

    network: Network
    weights: Mapping[str, Array]  # projection -> in their natural shape
    loss: Loss
    loss_values: Mapping[str, float]
    times: Array  # [events] ms, rising
    channels: Array  # [events]
    label: int
    duration: float  # ms

    def values(self, layer: Layer) -> dict[str, Array]:
        """Return the parameters [N] of a layer."""
        population = layer.population
        return {name: np.full(population.size, v, float) for name, v in population.values.items()}

    @property
    def delays(self) -> dict[str, Array]:
        """The delays (ms) of projections that have them, ``projection_delays``."""
        network = self.network
        return {
            delays_of(p): np.broadcast_to(
                p.delays.start, p.delays.kind.shape(network.size(p.source), network.size(p.target))
            ).astype(float)
            for p in network.projections
            if p.delays is not None
        }

    @property
    def tables(self) -> dict[str, Array]:
        """All numbers by which the loss can be differentiated.

        Weights of each projection, delays, and as ``population.parameter`` those of neurons.
        """
        found = {name: np.asarray(w, float) for name, w in self.weights.items()} | self.delays
        for layer in self.network.layers:
            name = layer.population.name
            found |= {f"{name}.{p}": value for p, value in self.values(layer).items()}
        return found


@dataclass(frozen=True, kw_only=True)
class Piece:
    """Undisturbed flow of all copies, and the spike that ended it, if one did."""

    t: Array  # [C] its begin
    length: Array  # [C]
    readout: Array  # [terms, C, K] the outputs' first state, a polynomial
    spiker: Array  # [C] index over the neurons of all layers; -1: no spike
    slope: Array  # [C] dg/dt at the spike
    arrived: Array  # [C, neurons of all layers] whether something arrived at its end


@dataclass(frozen=True, kw_only=True)
class History:
    """A simulated trial of all copies."""

    sizes: tuple[int, ...]  # of the layers
    pieces: list[Piece]
    duration: float
    input_times: Array  # [events] ms

    @property
    def counts(self) -> list[Array]:
        """Number of spikes of every neuron, per layer [C, N]."""
        ends = np.cumsum(self.sizes)
        spiker = np.array([piece.spiker for piece in self.pieces])[..., None]
        return np.split((spiker == np.arange(ends[-1])).sum(0), ends[:-1], axis=1)

    @property
    def first_spikes(self) -> Array:
        """Time of the first spike of every output, inf for a silent one, [C, K]."""
        first = sum(self.sizes[:-1])
        spiker = np.array([piece.spiker for piece in self.pieces])[..., None]
        ends = np.array([piece.t + piece.length for piece in self.pieces])[..., None]
        return np.where(spiker == first + np.arange(self.sizes[-1]), ends, np.inf).min(0)

    def smallest_gaps(self) -> Array:
        """Time from a neuron's spike to the nearest arrival at it, the shortest, [C]; inf: none."""
        ends = np.array([piece.t + piece.length for piece in self.pieces])[..., None]
        arrived = np.array([piece.arrived for piece in self.pieces])
        never = np.full((1, *arrived.shape[1:]), np.inf)
        earlier = np.maximum.accumulate(np.where(arrived, ends, -np.inf), axis=0)
        later = np.minimum.accumulate(np.where(arrived, ends, np.inf)[::-1], axis=0)[::-1]
        # what arrives at the end of a spike's own piece is what this spike sends
        before, after = np.concatenate([-never, earlier[:-1]]), np.concatenate([later[1:], never])
        spiker = np.array([piece.spiker for piece in self.pieces])[..., None]
        gaps = np.minimum(ends - before, after - ends)
        found = np.take_along_axis(gaps, np.maximum(spiker, 0), axis=2)
        return np.where(spiker >= 0, found, np.inf).min((0, 2))

    def lowest_slope(self, levels: Array) -> Array:
        """The flattest crossing of a threshold relative to ``levels`` [neurons], [C]; inf: none."""
        spiker = np.array([piece.spiker for piece in self.pieces])
        slope = np.array([piece.slope for piece in self.pieces]) / levels[spiker]
        return np.where(spiker >= 0, slope, np.inf).min(0)


class _LayerState:
    """One layer of all copies while it runs."""

    def __init__(self, layer: Layer, values: Values) -> None:
        neuron = layer.population.neuron
        assert neuron is not None
        self.layer, self.p = layer, values
        self.equations = Equations(neuron)
        self.flow = self.equations.flow(values)
        self.x = self.equations.start(values)
        self.refractory = values[neuron.refractory] if neuron.refractory else np.zeros(1)
        copies_and_neurons = self.x.shape[:2]
        self.refractory = np.broadcast_to(self.refractory, copies_and_neurons)
        self.release = np.full(copies_and_neurons, -np.inf)
        self.last_spike = np.full(copies_and_neurons, -np.inf)

    def path(self, held: Array) -> Path:
        """Return the flow from the present states; held neurons do not move their held states."""
        return self.flow.path(self.x, held[..., None] & self.equations.held if held.any() else None)

    def spike(self, c: Array, j: Array, t: Array) -> None:
        """Reset neuron j of copy c."""
        again = self.last_spike[c, j] == t
        if again.any():
            raise ModelError(
                f"neuron {self.equations.neuron.name}: the reset leaves the state on or above the "
                "threshold, so that the neuron spikes again at once, without end"
            )
        p = {name: value[c, j] for name, value in self.p.items()}
        self.x[c, j] = self.equations.reset(self.x[c, j], p)
        self.release[c, j] = t + self.refractory[c, j]
        self.last_spike[c, j] = t


def simulate(problem: Problem, copies: Mapping[str, Array]) -> History:
    """Run all copies of a problem.

    Args:
        problem: What all copies have in common.
        copies: Tables of the problem that differ from copy to copy, with a leading axis C.

    Raises:
        ModelError: A reset does not leave the threshold, or there are too many events to follow.
    """
    network, tables = problem.network, _of_copies(problem, copies)
    layers = [
        _LayerState(
            layer, {p: tables[f"{layer.population.name}.{p}"] for p in layer.population.values}
        )
        for layer in network.layers
    ]
    times, channels = np.append(problem.times, np.inf), np.append(problem.channels, -1)
    each = np.arange(len(layers[0].x))
    t, pointer = np.zeros(len(each)), np.zeros(len(each), int)
    arrivals = Arrivals(network, tables, [layer.x for layer in layers])
    pieces: list[Piece] = []
    while (t < problem.duration).any():
        if len(pieces) == MAX_PIECES:
            raise ModelError(f"more than {MAX_PIECES} events in a trial of {problem.duration:g} ms")
        held = [t[:, None] < layer.release for layer in layers]
        ends = [np.where(h, x.release, np.inf).min(1) for h, x in zip(held, layers, strict=True)]
        paths = [layer.path(h) for layer, h in zip(layers, held, strict=True)]
        each_longest = (x.flow.longest(path) for x, path in zip(layers, paths, strict=True))
        longest = min(*each_longest, problem.duration)
        coming = [times[pointer], arrivals.next, *ends]
        horizon = np.min([*coming, t + longest, np.full(len(t), problem.duration)], axis=0)
        over = (t >= problem.duration)[:, None]
        found = [
            crossings(layer, path, horizon - t, h | over, longest)
            for layer, path, h in zip(layers, paths, held, strict=True)
        ]
        crossing, slope = (np.concatenate(part, axis=1) for part in zip(*found, strict=True))
        spiker = crossing.argmin(1)
        soonest = crossing[each, spiker]
        spiker[np.isinf(soonest)] = -1
        spikes = spiker >= 0
        length = np.where(spikes, soonest, horizon - t)
        begin, t = t, np.where(spikes, t + length, horizon)
        for layer, path in zip(layers, paths, strict=True):
            layer.x[:] = path.at(length[:, None])
        arrivals.arrived[:] = False
        _spike(layers, arrivals, t, spiker)
        enters = ~spikes & (horizon == times[pointer]) & ~over[:, 0]
        c = np.flatnonzero(enters)
        arrivals.send(network.input.name, c, channels[pointer[c]], t[c])
        pointer = pointer + enters
        arrivals.deliver(t)
        pieces.append(
            Piece(
                t=begin,
                length=length,
                readout=paths[-1].terms[..., 0],
                spiker=spiker,
                slope=slope[each, spiker],
                arrived=arrivals.arrived.copy(),
            )
        )
    sizes = tuple(layer.population.size for layer in network.layers)
    return History(sizes=sizes, pieces=pieces, duration=problem.duration, input_times=problem.times)


def _of_copies(problem: Problem, copies: Mapping[str, Array]) -> dict[str, Array]:
    """Return all tables with a leading axis C."""
    count = len(next(iter(copies.values()))) if copies else 1
    shared = {name: table for name, table in problem.tables.items() if name not in copies}
    return dict(copies) | {name: np.repeat(v[None], count, 0) for name, v in shared.items()}


def crossings(
    layer: _LayerState, path: Path, limit: Array, silent: Array, longest: float
) -> tuple[Array, Array]:
    """Return the time to the first crossing within ``limit`` [C], else inf, and dg/dt, [C, N].

    A neuron that is on or above its threshold already crosses at the time 0. ``longest``: the most
    that ``limit`` can be.
    """
    times, slopes = np.full(silent.shape, np.inf), np.zeros(silent.shape)
    equations = layer.equations
    if not equations.spiking:
        return times, slopes
    points = max(2, int(np.ceil(POINTS * limit.max() / longest)))
    s = np.linspace(0, 1, points)[:, None, None] * limit[:, None]  # [M, C, 1]
    above = equations.threshold(path.at(s), layer.p) >= 0
    c, j = np.nonzero(above.any(0) & ~silent)
    if not c.size:
        return times, slopes
    last = above.argmax(0)[c, j]
    p = {name: value[c, j] for name, value in layer.p.items()}
    own = Path(path.terms[:, c, j])

    def g(at: Array) -> tuple[Array, Array]:
        x = own.at(at)
        return equations.threshold(x, p), equations.threshold_rate(x, own.rate(at), p)

    root = find_root(g, s[np.maximum(last - 1, 0), c, 0], s[last, c, 0])
    times[c, j], slopes[c, j] = root, g(root)[1]
    return times, slopes


def find_root(function: Callable[[Array], tuple[Array, Array]], low: Array, high: Array) -> Array:
    """Return the roots of a function that is < 0 at ``low`` and >= 0 at ``high``.

    ``function`` returns value and derivative. Newton's method, with bisection where it would leave
    the bracket.
    """
    tolerance = 1e-13 * np.maximum(high, 1e-3)  # values are rounded: no step becomes 0
    s = high
    for _ in range(80):
        value, slope = function(s)
        low, high = np.where(value < 0, s, low), np.where(value < 0, high, s)
        with np.errstate(divide="ignore", invalid="ignore"):
            newton = s - value / slope
        inside = (newton >= low) & (newton <= high)
        moved = np.where(inside, newton, 0.5 * (low + high))
        if (np.abs(moved - s) <= tolerance).all():
            return moved
        s = moved
    return s


def _spike(layers: list[_LayerState], arrivals: Arrivals, t: Array, spiker: Array) -> None:
    """Reset the neurons that spike, and send their spikes on their way."""
    offset = 0
    for state in layers:
        size = state.layer.population.size
        c = np.flatnonzero((spiker >= offset) & (spiker < offset + size))
        j = spiker[c] - offset
        offset += size
        if c.size:
            state.spike(c, j, t[c])
            arrivals.send(state.layer.population.name, c, j, t[c])
