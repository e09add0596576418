"""Networks that are graphs, with their data: feedback, skips, two ports, parallel projections."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from snnrun.backends.base import Backend, Noise
from snnrun.compile.program import Program, compile_program
from snnrun.datasets.packing import Events, pack
from snnrun.datasets.spikes import SpikeData
from snnrun.models.declare import Neuron, Parameter
from snnrun.models.losses import LOSSES
from snnrun.models.neurons import LI, LIF
from snnrun.network.delays import DelayKind, Delays
from snnrun.network.network import Layer, Network, Population, Projection

DT, STEPS, EXAMPLES = 0.5, 80, 4
DROPOUT = Noise(dropout=0.2, key=7)
SIZES = {"input": 6, "a": 7, "b": 5, "output": 4}
TAU_SLOW = Parameter(name="tau_slow", default=9.0, unit="ms", positive=True, meaning="of J")
CURRENTS = """
    dV/dt = (I - J - V) / tau_mem
    dI/dt = -I / tau_syn
    dJ/dt = -J / tau_slow
"""


def with_ports(neuron: Neuron) -> Neuron:
    """Return a neuron with a second, slower and inhibiting current J."""
    return replace(
        neuron,
        name=f"{neuron.name}_ports",
        equations=CURRENTS,
        other_inputs=("J",),
        parameters=(*neuron.parameters, TAU_SLOW),
        source="tests only",
    )


ENDS = {  # name -> source, target, port, mean, spread
    "in_a": ("input", "a", "", 1.2, 0.6),
    "in_a_slow": ("input", "a", "J", 0.2, 0.2),
    "a_a": ("a", "a", "", 0.1, 0.5),
    "b_a": ("b", "a", "J", 0.2, 0.4),
    "in_b": ("input", "b", "", 0.6, 0.4),
    "a_b": ("a", "b", "", 0.8, 0.6),
    "a_b_slow": ("a", "b", "J", 0.2, 0.3),
    "in_out": ("input", "output", "", 0.1, 0.3),
    "a_out": ("a", "output", "J", 0.0, 0.5),
    "b_out": ("b", "output", "", 0.5, 0.8),
}


def graph(
    loss: str = "sum",
    *,
    trained: Sequence[str] = ("tau_mem", "tau_syn", "tau_slow"),
    leave_out: Sequence[str] = (),
    **changes: Mapping[str, Any],
) -> Program:
    """Return a program; ``changes``: of projections, by their names."""
    spiking = with_ports(LIF)
    output = spiking if LOSSES[loss].spiking else with_ports(LI)

    def population(name: str, neuron: Neuron, t_ref: float, trained: Sequence[str]) -> Population:
        random = np.random.default_rng(len(name) + ord(name[0]))
        values: dict[str, Any] = {p.name: p.default for p in neuron.parameters}
        values |= {"tau_mem": 8.0, "tau_syn": 3.0, "t_ref": t_ref}
        for parameter in trained:
            values[parameter] = values[parameter] * random.uniform(0.8, 1.2, SIZES[name])
        known = {p.name: values[p.name] for p in neuron.parameters}
        return Population(
            name=name,
            size=SIZES[name],
            neuron=neuron,
            values=known,
            trained=tuple(trained),
            floors={},
        )

    def projections(target: str) -> tuple[Projection, ...]:
        return tuple(
            Projection(
                **{
                    "name": name,
                    "source": source,
                    "target": target,
                    "port": port,
                    "mean": mean,
                    "std": std,
                    **changes.get(name, {}),
                }
            )
            for name, (source, to, port, mean, std) in ENDS.items()
            if to == target and name not in leave_out
        )

    populations = (
        population("a", spiking, 1.0, trained),
        population("b", spiking, 0.0, ()),
        population("output", output, 0.0, trained[:1]),
    )
    network = Network(
        input=Population(name="input", size=SIZES["input"], values={}, floors={}),
        layers=tuple(Layer(population=p, projections=projections(p.name)) for p in populations),
    )
    values = {"TAU_0": 1.0, "TAU_1": 10.0, "ALPHA": 0.05, "TAU_MEM": 8.0}
    keys = {key: values.get(key, 5.0) for key in LOSSES[loss].keys}
    return compile_program(network, LOSSES[loss], keys, steps=STEPS, dt=DT)


def delays(name: str, kind: DelayKind, most: float, *, trained: bool = True) -> dict[str, Any]:
    """Return a projection's random delays (ms), most of them no whole steps, as changes."""
    source, target, *_ = ENDS[name]
    shape = kind.shape(SIZES[source], SIZES[target])
    start = np.random.default_rng(sum(map(ord, name))).uniform(0, most, shape)
    start.flat[0], start.flat[-1] = 0.0, most  # the ends of what there can be
    return {"delays": Delays(kind=kind, start=start, most=most, trained=trained)}


DELAYED: dict[str, dict[str, Any]] = {
    name: delays(name, kind, most, trained=trained)
    for name, kind, most, trained in (
        ("in_a", DelayKind.AXONAL, 6.0, True),
        ("in_a_slow", DelayKind.SYNAPTIC, 3.3, True),
        ("a_a", DelayKind.DENDRITIC, 4.0, True),
        ("b_a", DelayKind.SYNAPTIC, 5.2, True),
        ("a_b", DelayKind.SYNAPTIC, 45.0, True),  # longer than the trial
        ("a_b_slow", DelayKind.AXONAL, 7.0, False),
        ("in_out", DelayKind.DENDRITIC, 2.0, True),
        ("a_out", DelayKind.AXONAL, 2.5, True),
    )
}


def data(seed: int = 1, examples: int = EXAMPLES) -> SpikeData:
    """Return random examples of 60 events, some of them in the last steps."""
    random = np.random.default_rng(seed)
    counts = np.full(examples, 60, np.int64)
    steps = np.sort(random.integers(0, STEPS, (examples, 60)), axis=1)
    return pack(
        Events(
            steps=steps.ravel().astype(np.int32),
            channels=random.integers(0, SIZES["input"], examples * 60).astype(np.uint16),
            counts=counts,
        ),
        labels=random.integers(0, SIZES["output"], examples).astype(np.int32),
        n_steps=STEPS,
        n_channels=SIZES["input"],
        n_classes=SIZES["output"],
        merge=False,
    )


def load_weights(backend: Backend, seed: int = 3) -> None:
    """Give all projections of a backend random weights."""
    network, random = backend.program.network, np.random.default_rng(seed)
    for p in network.projections:
        backend.set(p.name, p.draw(random, (network.size(p.source), network.size(p.target))))
