"""Small random problems for any neuron: weights in its own units, and input that makes it spike.

Shapes: C candidates, P presynaptic and Q postsynaptic neurons.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from snnrun.errors import ModelError
from snnrun.models.declare import Neuron
from snnrun.network.network import Network, Projection
from snnrun.streams import stream
from snnrun.testing.equations import Array, Equations, fastest_rate, flow
from snnrun.testing.exact import Problem, simulate

EVENTS = 6  # input events per channel and trial
EARLY = 0.8  # of the trial, in which input events fall
GAINS = (1.0, 1.0, 1.0, 0.7, 1.0, 1.4, 1.0, 2.5)  # some neurons need more or less than expected
MOST_SPIKES = 8  # of a neuron, in a trial


@dataclass(frozen=True, kw_only=True)
class Scale:
    """What is large for a neuron: the distance to its threshold, and the weight that bridges it."""

    level: float  # of g = X - threshold; 1 for a neuron without a threshold
    weight: float  # one arriving spike of it moves the neuron by ``level`` at most


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
        rates += list(np.abs(np.linalg.eigvals(Equations(neuron).matrices(p)[0])).ravel())
    return float(f"{0.2 / max(rates):.1e}")


def scale_of(neuron: Neuron, values: Mapping[str, float], duration: float) -> Scale:
    """Return the neuron's scale from its response to one arriving spike, its threshold left out."""
    equations = Equations(neuron)
    p = {name: np.full((1, 1), value) for name, value in values.items()}
    A, b = equations.matrices(p)
    still = equations.start(p)
    moved = still.copy()
    moved[..., equations.input] += 1.0
    n = int(np.ceil(duration * max(fastest_rate(A), 50 / duration)))
    levels, responses = [], []
    for _ in range(n):
        still, moved = (flow(A, b, x).at(np.full((1, 1), duration / n)) for x in (still, moved))
        if equations.spiking:
            g = equations.threshold(still, p)
            levels.append(-g.item())
            responses.append((equations.threshold(moved, p) - g).item())
        else:
            levels.append(1.0)
            responses.append((moved - still)[0, 0, 0].item())
    level = float(np.median(levels))
    response = max(responses)
    if response < 0.1 * -min(responses):  # spikes that arrive drive it down: negative weights
        response = min(responses)
    if level <= 0:  # it spikes without any input
        level = float(np.abs(levels).max())
    if response == 0 or not np.isfinite(response):
        target = neuron.threshold or neuron.states[0]
        raise ModelError(
            f"neuron {neuron.name}: a spike that arrives at {neuron.input} never moves {target}, "
            "so the neuron does nothing; check the equations"
        )
    return Scale(level=level, weight=level / response)


def natural_draws(network: Network, scales: Sequence[Scale]) -> dict[str, Draw]:
    """Return distributions of weights, per projection, that make a few spikes per neuron."""
    draws = {}
    before, events = network.input.size, EVENTS
    for layer, scale in zip(network.layers, scales, strict=True):
        unit = scale.weight / before
        neuron = layer.population.neuron
        spiking = neuron is not None and neuron.threshold is not None
        first = layer is network.layers[0]
        drive = (
            3.5 if first else 2.5
        )  # weights of size 1 that arrive in a trial, so many thresholds
        mean, std = (drive / events, 0.4 * drive / events) if spiking else (0.3, 1.0)
        draws[layer.forward.name] = Draw(mean=mean * unit, std=std * abs(unit))
        before = layer.population.size
        if layer.recurrent is not None:
            draws[layer.recurrent.name] = Draw(mean=0.0, std=0.2 * abs(scale.weight) / before)
        events = 3
    return draws


def draw_weights(
    network: Network,
    draws: Mapping[str, Draw],
    count: int,
    seed: int,
    gains: Sequence[float] = (1.0,),
) -> dict[str, Array]:
    """Return ``count`` candidates of all weights, [C, P, Q] each, times ``gains`` in turn."""
    factors = np.resize(gains, count)[:, None, None]

    def draw(projection: Projection) -> Array:
        shape = (count, network.size(projection.source), network.size(projection.target))
        d = draws[projection.name]
        drawn = stream(seed, f"check weights {projection.name}").normal(d.mean, d.std, shape)
        return factors * drawn

    return {projection.name: draw(projection) for projection in network.projections}


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
    than ``gap`` ms from another event, with which they may change places, and then flat crossings
    of a threshold.
    """
    count = len(next(iter(candidates.values())))
    values = [
        {name: np.repeat(v[None], count, 0) for name, v in problem.values(layer).items()}
        for layer in problem.network.layers
    ]
    history = simulate(problem, candidates, values)
    levels = np.repeat(
        [s.level for s in scales], [n.population.size for n in problem.network.layers]
    )
    good = np.ones(count, bool)
    for counts in history.counts[:-1]:
        n = counts.shape[1]
        good &= (counts.sum(1) >= 1.5 * n) & ((counts == 0).sum(1) <= n // 4)
        good &= counts.max(1) <= MOST_SPIKES
    if problem.loss.spiking:
        good &= (history.first_spikes < 0.98 * problem.duration).all(1)
    close = history.smallest_gaps(problem.times) < gap
    order = np.lexsort((-history.lowest_slope(levels), close))
    return [int(c) for c in order if good[c]]
