"""Small random problems for any neuron: weights in its own units, and input that makes it spike.

Shapes: C candidates.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from snnrun.errors import ModelError
from snnrun.models.declare import Neuron
from snnrun.network.network import Network, Projection
from snnrun.streams import stream
from snnrun.testing.equations import Array, Equations, fastest_rate
from snnrun.testing.exact import Problem, simulate

EVENTS = 6  # input events per channel and trial
EARLY = 0.8  # of the trial, in which input events fall
GAINS = (1.0, 1.0, 1.0, 0.7, 1.0, 1.4, 1.0, 2.5)  # some neurons need more or less than expected
MOST_SPIKES = 8  # of a neuron, in a trial


@dataclass(frozen=True, kw_only=True)
class Scale:
    """What is large for a neuron: the distance to its threshold, and the weights that bridge it."""

    level: float  # of g = X - threshold; 1 for a neuron without a threshold
    weights: tuple[float, ...]  # of each port: an arrival moves the neuron by ``level`` at most
    inhibitory: tuple[bool, ...]  # of each port: positive weights drive it away from the threshold


@dataclass(frozen=True, kw_only=True)
class Draw:
    """A normal distribution of weights."""

    mean: float
    std: float


def time_scale(models: Sequence[tuple[Neuron, Mapping[str, float]]]) -> float:
    """Return a fifth of the shortest time constant of the neurons with these values, ms.

    Rounded to two digits: 1 ms for time constants of 5 ms and more.
    """
    rates = [1e-9]
    for neuron, values in models:
        p = {name: np.full((1, 1), value) for name, value in values.items()}
        equations = Equations(neuron)
        rates += list(np.abs(np.linalg.eigvals(equations.jacobian(equations.start(p), p))).ravel())
    return float(f"{0.2 / max(rates):.1e}")


def scale_of(neuron: Neuron, values: Mapping[str, float], duration: float) -> Scale:
    """Return the neuron's scale from its responses to one arrival, its threshold left out."""
    equations = Equations(neuron)
    p = {name: np.full((1, 1), value) for name, value in values.items()}
    flow = equations.flow(p)
    ports = [equations.states.index(port) for port in neuron.ports]
    x = np.repeat(equations.start(p), 1 + len(ports), axis=0)  # the first without an arrival
    x[np.arange(1, len(x)), :, ports] += 1.0
    fastest = fastest_rate(equations.jacobian(equations.start(p), p))
    n = int(np.ceil(duration * max(fastest, 50 / duration)))
    levels, responses = [], []
    for _ in range(n):
        x = flow.path(x).at(np.full((1, 1), duration / n))
        read = equations.threshold(x, p) if equations.spiking else x[..., 0]
        levels.append(-read[0, 0] if equations.spiking else 1.0)
        responses.append(read[1:, 0] - read[0, 0])
    level = float(np.median(levels))
    if level <= 0:  # it spikes without any input
        level = float(np.abs(levels).max())
    highest, lowest = np.max(responses, axis=0), np.min(responses, axis=0)
    down = highest < 0.1 * -lowest
    response = np.where(down, lowest, highest)
    for port, moved in zip(neuron.ports, response, strict=True):
        if moved == 0 or not np.isfinite(moved):
            target = neuron.threshold or neuron.states[0]
            raise ModelError(
                f"neuron {neuron.name}: a spike that arrives at {port} never moves {target}, "
                "so the neuron does nothing; check the equations"
            )
    down[0] = False  # spikes at the usual port drive it up, if need be by negative weights
    response[1:] = np.abs(response[1:])
    weights = tuple((level / response).tolist())
    return Scale(level=level, weights=weights, inhibitory=tuple(down.tolist()))


def natural_draws(network: Network, scales: Sequence[Scale]) -> dict[str, Draw]:
    """Return distributions of weights, per projection, that make a few spikes per neuron."""
    draws = {}
    for layer, scale in zip(network.layers, scales, strict=True):
        neuron = layer.population.neuron
        spiking = neuron is not None and neuron.threshold is not None
        driving = [p for p in layer.projections if _drives(network, p, scale)]
        share = 1 / max(1, len(driving))
        for projection in layer.projections:
            weight = scale.weights[network.port_of(projection)]
            unit = weight / _sources(network, projection)
            if projection not in driving:
                draws[projection.name] = Draw(mean=0.0, std=0.2 * abs(unit))
                continue
            # weights of size 1 that arrive in a trial, so many thresholds
            first = projection.source == network.input.name
            drive, events = (3.5, EVENTS) if first else (2.5, 3)
            drive *= share
            mean, std = (drive / events, 0.4 * drive / events) if spiking else (0.3, 1.0)
            draws[projection.name] = Draw(mean=mean * unit, std=std * abs(unit))
    return draws


def _drives(network: Network, projection: Projection, scale: Scale) -> bool:
    """Return whether spikes come by it from earlier populations and can drive the target."""
    places = {population.name: place for place, population in enumerate(network.populations)}
    port, (low, high) = network.port_of(projection), projection.bounds
    allowed = high > 0 if scale.weights[port] > 0 else low < 0
    earlier = places[projection.source] < places[projection.target]
    return earlier and allowed and not scale.inhibitory[port]


def _sources(network: Network, projection: Projection) -> float:
    """Return from how many neurons a postsynaptic one receives, on average."""
    if projection.synapses is None:
        return network.size(projection.source)
    return max(len(projection.synapses.pre), 1) / network.size(projection.target)


def draw_weights(
    network: Network,
    draws: Mapping[str, Draw],
    count: int,
    seed: int,
    gains: Sequence[float] = (1.0,),
) -> dict[str, Array]:
    """Return ``count`` candidates of all weights, [C, ...] each, times ``gains`` in turn."""
    factors = np.resize(gains, count)

    def draw(projection: Projection) -> Array:
        ends = network.size(projection.source), network.size(projection.target)
        shape = projection.synapses.weights if projection.synapses else ends
        d = draws[projection.name]
        random = stream(seed, f"check weights {projection.name}")
        drawn = random.normal(d.mean, d.std, (count, *shape))
        drawn *= factors.reshape(-1, *[1] * len(shape))
        if projection.sign:
            drawn = projection.sign * np.abs(drawn)
        return np.clip(drawn, *projection.bounds)

    return {projection.name: draw(projection) for projection in network.projections}


def with_delays(network: Network, longest: float, seed: int) -> Network:
    """Return the network with delays that are drawn up to ``longest`` ms, and fit the short trial.

    They keep away from 0 and from the largest, where a delay has one side only.
    """

    def drawn(projection: Projection) -> Projection:
        delays = projection.delays
        if delays is None:
            return projection
        most = min(delays.most, longest)
        ends = network.size(projection.source), network.size(projection.target)
        random = stream(seed, f"check delays {projection.name}")
        start = most * random.uniform(0.1, 0.9, delays.kind.shape(*ends))
        return replace(projection, delays=replace(delays, start=start, most=most))

    layers = tuple(replace(x, projections=tuple(map(drawn, x.projections))) for x in network.layers)
    return replace(network, layers=layers)


def input_events(
    channels: int, duration: float, dt: float, seed: int, events: int = EVENTS
) -> tuple[Array, Array]:
    """Return times (multiples of ``dt`` ms, rising) and channels of random input events."""
    slots = round(EARLY * duration / dt)
    picks = stream(seed, "check input").choice(slots * channels, events * channels, replace=False)
    picks = np.sort(picks)
    return picks // channels * dt, picks % channels


def ranked(
    problem: Problem, candidates: Mapping[str, Array], scales: Sequence[Scale], gap: float
) -> list[int]:
    """Return the candidates that can be compared, the best first.

    Every hidden layer must spike, all but a quarter of its neurons at least once, and with a loss
    on spike times every output too. What makes the error of a grid large comes last: spikes less
    than ``gap`` ms from an arrival at their neuron, with which they may change places, and then
    flat crossings of a threshold.
    """
    history = simulate(problem, candidates)
    levels = np.repeat(
        [s.level for s in scales], [n.population.size for n in problem.network.layers]
    )
    good = np.ones(len(history.counts[0]), bool)
    for counts in history.counts[:-1]:
        n = counts.shape[1]
        good &= (counts.sum(1) >= 1.5 * n) & ((counts == 0).sum(1) <= n // 4)
        good &= counts.max(1) <= MOST_SPIKES
    if problem.loss.spiking:
        good &= (history.first_spikes < 0.98 * problem.duration).all(1)
    close = history.smallest_gaps() < gap
    order = np.lexsort((-history.lowest_slope(levels), close))
    return [int(c) for c in order if good[c]]
