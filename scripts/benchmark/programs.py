"""Networks and inputs of the benchmarks, and the native backend with the weights of a network."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from snnrun.backends.native.build import build, cache_folder
from snnrun.backends.native.compiler import find_compiler
from snnrun.backends.native.emit import generate
from snnrun.backends.native.library import NativeBackend
from snnrun.compile.program import Program
from snnrun.datasets.packing import Events, pack
from snnrun.datasets.spikes import SpikeData
from snnrun.models.declare import Neuron
from snnrun.models.neurons import LI, LIF
from snnrun.network.delays import DelayKind, Delays
from snnrun.network.network import Layer, Network, Population, Projection

RECURRENT, OUTPUT = (0.0, 0.02), (0.0, 0.03)  # mean and std of weights
LONGEST = 60  # steps of delay


@dataclass(frozen=True, kw_only=True)
class Variant:
    """Which projections have which delays, of 0 to LONGEST steps.

    ``fixed``: whole steps that are not learned. ``width``: of the triangle, in steps.
    """

    kind: DelayKind
    recurrent: bool = False
    from_input: bool = False
    fixed: bool = False
    width: float = 0.0


def population(name: str, size: int, neuron: Neuron, grid: tuple[int, ...] = ()) -> Population:
    """Return a population with the default parameters of its neurons."""
    values = {p.name: p.default for p in neuron.parameters}
    return Population(name=name, size=size, neuron=neuron, values=values, floors={}, grid=grid)


def source(size: int, grid: tuple[int, ...] = ()) -> Population:
    """Return the input."""
    return Population(name="input", size=size, values={}, floors={}, grid=grid)


def chain(
    inputs: int,
    hidden: Sequence[int],
    outputs: int,
    recurrent: bool,
    first: tuple[float, float],
    between: tuple[float, float] = (0.0, 0.0),
) -> Network:
    """Return hidden layers of LIF neurons and a read-out of LI neurons.

    ``first`` and ``between`` are mean and std of the weights from the input and from one hidden
    layer to the next.
    """
    layers, before = [], "input"

    def connect(name: str, start: str, end: str, spread: tuple[float, float]) -> Projection:
        return Projection(name=name, source=start, target=end, mean=spread[0], std=spread[1])

    for number, size in enumerate(hidden):
        mark = str(number) if hidden[1:] else ""
        name = f"hidden{mark}"
        forward = f"hid_to_hidfwd{mark}" if number else f"in_to_hid{mark}"
        projections = [connect(forward, before, name, between if number else first)]
        if recurrent:
            projections.append(connect(f"hid_to_hid{mark}", name, name, RECURRENT))
        layers.append(Layer(population=population(name, size, LIF), projections=tuple(projections)))
        before = name
    readout = connect("hid_to_out", before, "output", OUTPUT)
    layers.append(Layer(population=population("output", outputs, LI), projections=(readout,)))
    return Network(input=source(inputs), layers=tuple(layers))


def delayed(network: Network, variant: Variant | None, dt: float) -> Network:
    """Return a network with the delays of a variant."""
    if variant is None:
        return network
    draw = np.random.default_rng(0)
    layers = []
    for layer in network.layers:
        projections = []
        for p in layer.projections:
            own = p.source == p.target
            if (own and variant.recurrent) or (p.source == "input" and variant.from_input):
                shape = variant.kind.shape(network.size(p.source), network.size(p.target))
                steps = draw.uniform(0, LONGEST, shape)
                start = dt * (np.round(steps) if variant.fixed else steps)
                most = (LONGEST + 2) * dt
                delays = Delays(
                    kind=variant.kind, start=start, most=most, trained=not variant.fixed
                )
                p = replace(p, delays=delays)
            projections.append(p)
        layers.append(replace(layer, projections=tuple(projections)))
    return replace(network, layers=tuple(layers))


def load(program: Program, threads: int, flags: tuple[str, ...] = ()) -> NativeBackend:
    """Build a program; return it with weights that are drawn as its projections say.

    ``flags``: more of them for the compiler.
    """
    code = generate(program, "float32")
    built = build(
        code.source, find_compiler(), contraction=True, extra_flags=flags, cache=cache_folder(None)
    )
    backend = NativeBackend(built.library, program, threads, code.numbers)
    draw = np.random.default_rng(1)
    spread = {p.name: (p.mean, p.std) for p in program.network.projections}
    for tensor in program.tensors:
        if tensor.name in spread:
            backend.set(tensor.name, draw.normal(*spread[tensor.name], tensor.shape))
    return backend


def random_events(examples: int, events: int, channels: int, steps: int, classes: int) -> SpikeData:
    """Return examples with ``events`` random spikes each; those of a channel and step all count."""
    draw = np.random.default_rng(1)
    return pack(
        (
            Events(
                counts=np.full(1, events),
                steps=np.sort(draw.integers(0, steps, events)).astype(np.int32),
                channels=draw.integers(0, channels, events),
            )
            for _ in range(examples)
        ),
        labels=np.arange(examples, dtype=np.int32) % classes,
        n_steps=steps,
        n_channels=channels,
        n_classes=classes,
        merge=False,
        at_most_events=examples * events,
    )


def in_turn(
    steps: Mapping[str, Callable[[], object]],
    rounds: int,
    clock: Callable[[], float] = time.process_time,
) -> dict[str, float]:
    """Run each step ``rounds`` times, in turn; return the medians in ms of the processor."""
    times: dict[str, list[float]] = {name: [] for name in steps}
    for number in range(rounds + 1):
        for name, once in steps.items():
            began = clock()
            once()
            if number:  # the first one warms up
                times[name].append(1e3 * (clock() - began))
    return {name: statistics.median(values) for name, values in times.items()}


def spikes_per_neuron(backend: NativeBackend, data: SpikeData, examples: np.ndarray) -> float:
    """Return how often a hidden neuron spikes in an example, on average."""
    results = backend.evaluate(data, examples)
    neurons = sum(layer.population.size for layer in backend.program.network.layers[:-1])
    return float(results.layer_spikes[:, :-1].sum(1).mean()) / neurons
