"""The small networks in which a model is checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from snnrun.errors import ModelError
from snnrun.models.declare import Neuron
from snnrun.models.losses import Loss
from snnrun.models.neurons import LI, LIF
from snnrun.network.delays import DelayKind, Delays
from snnrun.network.network import Layer, Network, Population, Projection
from snnrun.streams import stream
from snnrun.testing.equations import Array
from snnrun.testing.exact import Problem
from snnrun.testing.problems import (
    GAINS,
    Scale,
    draw_weights,
    input_events,
    natural_draws,
    scale_of,
    with_delays,
)

CHANNELS, OUTPUTS, LABEL = 5, 3, 1
SPREAD = 0.1  # relative, of a parameter from neuron to neuron
REFRACTORY = 15  # coarsest steps, in the second hidden layer
STEPS = (0.1, 0.02, 0.004)  # ms, where the shortest time constant is 5 ms; others in proportion
DURATION = 24.0  # ms, likewise
DELAYED = 1 / 6  # of a trial, by which spikes are delayed at most
CANDIDATES = 64  # draws of weights among which those are chosen that can be compared


@dataclass(frozen=True, kw_only=True)
class Part:
    """A layer to be built: its neuron with plain values of its parameters."""

    name: str
    size: int
    neuron: Neuron
    values: Mapping[str, float]
    recurrent: bool = False


@dataclass(frozen=True, kw_only=True)
class Setup:
    """A problem without weights, candidates for them, and the scale of every layer."""

    problem: Problem
    candidates: Mapping[str, Array]
    scales: tuple[Scale, ...]


def neuron_parts(neuron: Neuron, given: Mapping[str, float], dt: float) -> list[Part]:
    """Return a network with ``neuron`` in it; ``dt``: the coarsest step, ms.

    A spiking neuron makes the recurrent hidden layer; with a refractory period a second one, so
    that both ways of going through a spike are met. One without a threshold makes the output.
    """
    values = values_of(neuron, given)
    if neuron.threshold is None:
        return [_plain("hidden", LIF, 4, recurrent=True), _part("output", neuron, OUTPUTS, values)]
    if neuron.refractory is None:
        hidden = [_part("hidden", neuron, 4, values, recurrent=True)]
    else:
        waits = given.get(neuron.refractory, REFRACTORY * dt)
        free, held = ({**values, neuron.refractory: t_ref} for t_ref in (0.0, waits))
        hidden = [
            _part("hidden0", neuron, 4, free, recurrent=True),
            _part("hidden1", neuron, 3, held, recurrent=True),
        ]
    return [*hidden, _plain("output", LI, OUTPUTS)]


def loss_parts(loss: Loss) -> list[Part]:
    """Return a network of built-in neurons whose output suits ``loss``."""
    output = LIF if loss.spiking else LI
    return [_plain("hidden", LIF, 4, recurrent=True), _plain("output", output, OUTPUTS)]


def values_of(neuron: Neuron, given: Mapping[str, float]) -> dict[str, float]:
    """Return a value of every parameter: the given one, else the default."""
    for name, value in given.items():
        neuron.parameter(name).check(value, f"neuron {neuron.name}, value to check with")
    return {p.name: float(given.get(p.name, p.default)) for p in neuron.parameters}


def make_setup(
    parts: Sequence[Part],
    loss: Loss,
    loss_values: Mapping[str, float],
    duration: float,
    dt: float,
    seed: int,
) -> Setup:
    """Return the problem of ``parts`` in a row, with every parameter trained that can be.

    A projection leads to each port, and those to the last one of several have delays.
    """
    network = with_delays(_network(parts, seed), DELAYED * duration, seed)
    scales = tuple(scale_of(part.neuron, part.values, duration) for part in parts)
    times, channels = input_events(CHANNELS, duration, dt, seed)
    problem = Problem(
        network=network,
        weights={},
        loss=loss,
        loss_values=loss_values,
        times=times,
        channels=channels,
        label=LABEL,
        duration=duration,
    )
    draws = natural_draws(network, scales)
    candidates = draw_weights(network, draws, CANDIDATES, seed, GAINS)
    return Setup(problem=problem, candidates=candidates, scales=scales)


def _network(parts: Sequence[Part], seed: int) -> Network:
    source, layers = "input", []
    for index, part in enumerate(parts):
        tail = part.name.removeprefix("hidden")
        forward = f"in_to_hid{tail}" if index == 0 else f"hid_to_hidfwd{index - 1}"
        if part is parts[-1]:
            forward = "hid_to_out"
        projections = [
            _projection(f"{forward}_{port}" if port else forward, source, part, port)
            for port in ("", *part.neuron.other_inputs)
        ]
        if part.recurrent:
            projections.append(_projection(f"hid_to_hid{tail}", part.name, part))
        layers.append(Layer(population=_population(part, seed), projections=tuple(projections)))
        source = part.name
    given = Population(name="input", size=CHANNELS, values={}, floors={})
    return Network(input=given, layers=tuple(layers))


def _population(part: Part, seed: int) -> Population:
    trained = part.neuron.trainable
    spread = stream(seed, f"check parameters {part.name}").uniform
    values: dict[str, float | Array] = dict(part.values)
    for name in trained:
        own = part.values[name] * (1 + SPREAD * spread(-1, 1, part.size))
        values[name] = own if _allowed(part.neuron, name, own) else np.full(part.size, values[name])
    return Population(
        name=part.name,
        size=part.size,
        neuron=part.neuron,
        values=values,
        trained=trained,
        floors={},
    )


def _allowed(neuron: Neuron, name: str, own: Array) -> bool:
    try:
        for value in own:
            neuron.parameter(name).check(float(value), "")
    except ModelError:
        return False
    return True


def _projection(name: str, source: str, target: Part, port: str = "") -> Projection:
    delays = None
    if port and port == target.neuron.ports[-1]:
        start = np.zeros((1, target.size))
        delays = Delays(kind=DelayKind.DENDRITIC, start=start, most=np.inf, trained=True)
    return Projection(
        name=name, source=source, target=target.name, mean=0.0, std=1.0, port=port, delays=delays
    )


def _plain(name: str, neuron: Neuron, size: int, *, recurrent: bool = False) -> Part:
    return _part(name, neuron, size, values_of(neuron, {}), recurrent=recurrent)


def _part(
    name: str, neuron: Neuron, size: int, values: Mapping[str, float], *, recurrent: bool = False
) -> Part:
    return Part(name=name, size=size, neuron=neuron, values=values, recurrent=recurrent)
