"""A small network that has everything that a graph can have, as a problem and by hand.

Two populations that excite, inhibit and feed each other, with skips around them; projections dense,
sparse and of shared weights, into both ports; delays of all kinds, on the input too, and none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache

import numpy as np
from oracle_graph import INPUT, Graph, Neurons, Trial
from oracle_graph import Synapses as SynapsesByHand

from snnrun.connectivity.synapses import Synapses
from snnrun.models.declare import Neuron
from snnrun.models.losses import FIRST_SPIKE_EXP, SUM, Loss
from snnrun.models.neurons import LI, LIF, LIF_EXC_INH
from snnrun.network.delays import DelayKind, Delays
from snnrun.network.network import Layer, Network, Population, Projection
from snnrun.streams import stream
from snnrun.testing.exact import Problem
from snnrun.testing.problems import (
    draw_weights,
    input_events,
    natural_draws,
    ranked,
    scale_of,
    with_delays,
)

Array = np.ndarray
AXONAL, DENDRITIC, SYNAPTIC = DelayKind
CHANNELS, DURATION, LONGEST = 4, 24.0, 4.0


def shared(pre: int, post: int) -> Synapses:
    """Return synapses that all use one of two weights, as a convolution does."""
    i, j = np.nonzero(np.abs(np.arange(pre)[:, None] - np.arange(post)) <= 1)
    return Synapses(pre=i, post=j, shape=(pre, post), weights=(2,), place=(i + j) % 2)


def sparse(pre: int, post: int) -> Synapses:
    """Return two thirds of all synapses."""
    i, j = np.nonzero((np.arange(pre)[:, None] + 2 * np.arange(post)) % 3 > 0)
    return Synapses(pre=i, post=j, shape=(pre, post))


def population(name: str, neuron: Neuron, size: int, seed: int, t_ref: float = 0.0) -> Population:
    """Return neurons whose parameters differ a little, all of them trained that can be."""
    random = stream(seed, f"graph {name}")
    means = {"v_reset": 0.2, "t_ref": t_ref, "tau_syn_inh": 8.0}
    values: dict[str, float | Array] = {
        p.name: means.get(p.name, p.default) * (1 + 0.1 * random.uniform(-1, 1, size))
        for p in neuron.parameters
        if p.name in neuron.trainable
    }
    values |= {p.name: means[p.name] for p in neuron.parameters if p.name not in neuron.trainable}
    return Population(
        name=name, size=size, neuron=neuron, values=values, trained=neuron.trainable, floors={}
    )


def network(loss: Loss, seed: int, t_ref: float) -> Network:
    """Return the network; its delays are yet to be drawn."""
    sizes = {"input": CHANNELS, "one": 4, "two": 3, "output": 3}
    found: dict[str, list[Projection]] = {name: [] for name in sizes}

    def connect(
        source: str,
        target: str,
        port: str = "",
        delayed: DelayKind | None = None,
        synapses: Synapses | None = None,
    ) -> None:
        delays = None
        if delayed is not None:
            start = np.zeros(delayed.shape(sizes[source], sizes[target]))
            delays = Delays(kind=delayed, start=start, most=LONGEST, trained=True)
        projection = Projection(
            name=f"{source}_{target}_{len(found[target])}",
            source=source,
            target=target,
            mean=0.0,
            std=1.0,
            port=port,
            synapses=synapses,
            delays=delays,
        )
        found[target].append(projection)

    connect("input", "one", delayed=AXONAL)
    connect("input", "one", "I", SYNAPTIC, sparse(CHANNELS, 4))
    connect("one", "one", "I", DENDRITIC)
    connect("two", "one", delayed=SYNAPTIC)
    connect("one", "two", delayed=SYNAPTIC, synapses=sparse(4, 3))
    connect("input", "two", synapses=shared(CHANNELS, 3))
    connect("two", "two", delayed=AXONAL)
    connect("two", "output", delayed=DENDRITIC)
    connect("two", "output", delayed=AXONAL, synapses=shared(3, 3))
    connect("one", "output")
    neurons = {"one": LIF_EXC_INH, "two": LIF, "output": LIF if loss.spiking else LI}
    layers = tuple(
        Layer(
            population=population(name, neuron, sizes[name], seed, t_ref * (name != "output")),
            projections=tuple(found[name]),
        )
        for name, neuron in neurons.items()
    )
    given = Population(name="input", size=CHANNELS, values={}, floors={})
    return Network(input=given, layers=layers)


def problem_of(
    net: Network, loss: Loss, seed: int, duration: float = DURATION, gap: float = 0.02
) -> Problem:
    """Return a problem whose neurons spike, none of them close to an arrival."""
    scales = []
    for layer in net.layers:
        assert layer.population.neuron is not None
        means = {name: float(np.mean(v)) for name, v in layer.population.values.items()}
        scales.append(scale_of(layer.population.neuron, means, duration))
    times, channels = input_events(CHANNELS, duration, 0.1, seed)
    values = {"TAU_0": 1.0, "TAU_1": 10.0, "ALPHA": 0.1, "TAU_MEM": 20.0}
    problem = Problem(
        network=with_delays(net, LONGEST, seed),
        weights={},
        loss=loss,
        loss_values={key: values[key] for key in loss.keys},
        times=times,
        channels=channels,
        label=1,
        duration=duration,
    )
    gains = (1.0, 0.8, 1.3, 1.7)
    candidates = draw_weights(net, natural_draws(net, scales), 64, seed, gains)
    best = ranked(problem, candidates, scales, gap)[0]
    return replace(problem, weights={name: w[best] for name, w in candidates.items()})


@cache
def everything(loss: Loss = SUM, seed: int = 0, t_ref: float = 0.0) -> Problem:
    """Return the problem of the network that has everything."""
    assert loss in (SUM, FIRST_SPIKE_EXP)
    return problem_of(network(loss, seed, t_ref), loss, seed)


def by_hand(problem: Problem) -> Trial:
    """Return the trial of a problem of the neurons of this file, as the oracle runs it."""
    net = problem.network
    names = [p.name for p in net.populations]
    synapses = []
    for p in net.projections:
        ends = net.size(p.source), net.size(p.target)
        weights = problem.weights[p.name]
        delays = problem.delays.get(f"{p.name}_delays", np.zeros(ends))
        synapses.append(
            SynapsesByHand(
                source=names.index(p.source) + INPUT,
                target=names.index(p.target) + INPUT,
                port=net.port_of(p),
                weights=weights if p.synapses is None else p.synapses.matrix(weights),
                exist=np.ones(ends, bool) if p.synapses is None else p.synapses.mask,
                delays=np.broadcast_to(delays, ends),
            )
        )
    graph = Graph(
        populations=[_neurons(problem.values(layer), layer) for layer in net.layers],
        synapses=synapses,
        times=problem.times,
        channels=problem.channels,
        label=problem.label,
        duration=problem.duration,
    )
    return Trial(graph)


def _neurons(p: Mapping[str, Array], layer: Layer) -> Neurons:
    neuron = layer.population.neuron
    assert neuron is not None
    silent = np.full(layer.population.size, np.inf)
    taus = [p[name] for name in ("tau_syn", "tau_syn_inh") if name in p]
    return Neurons(
        signs=np.array([1.0, -1.0][: len(taus)]),
        tau_mem=p["tau_mem"],
        taus=np.array(taus),
        v_thresh=p.get("v_thresh", silent),
        v_reset=p.get("v_reset", np.zeros(silent.size)),
        t_ref=float(np.mean(p["t_ref"])) if "t_ref" in p else 0.0,
    )


def gradients_by_hand(problem: Problem, trial: Trial) -> dict[str, Array]:
    """Return the oracle's gradients by the names and shapes of the problem's tables."""
    weights, delays, parameters = trial.gradients()
    found: dict[str, Array] = {}
    for p, w, d in zip(problem.network.projections, weights, delays, strict=True):
        found[p.name] = w if p.synapses is None else p.synapses.gathered(w)
        if p.delays is not None:
            shape = p.delays.kind.shape(*w.shape)
            axes = tuple(axis for axis in (0, 1) if shape[axis] < w.shape[axis])
            found[f"{p.name}_delays"] = d.sum(axis=axes, keepdims=True)
    for layer, of in zip(problem.network.layers, parameters, strict=True):
        rows: Sequence[tuple[str, Array]] = [
            ("tau_mem", of["tau_mem"]),
            *zip(("tau_syn", "tau_syn_inh"), of["taus"], strict=False),
            ("v_thresh", of["v_thresh"]),
            ("v_reset", of["v_reset"]),
        ]
        for name, value in rows:
            if name in layer.population.values:
                found[f"{layer.population.name}.{name}"] = value
    return found
