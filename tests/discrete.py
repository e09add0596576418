"""Small networks of neurons that are declared by an update, and what their formulas give.

The simulations below are written by hand, step by step, and use nothing of snnrun's derivation.
Shapes: T steps, P inputs, N neurons.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snnrun.compile.program import Program, compile_program
from snnrun.datasets.packing import Events, pack
from snnrun.datasets.spikes import SpikeData
from snnrun.models.declare import Neuron
from snnrun.models.losses import LOSSES
from snnrun.models.neurons import FLUX_LIF, LI
from snnrun.models.surrogates import SpikeDerivative
from snnrun.network.network import Layer, Network, Population, Projection
from snnrun.rules import SURROGATE
from snnrun.rules.base import Rule
from snnrun.rules.learning import Gradient

Array = NDArray[np.float64]
CLASSES = 3
OWN = replace(FLUX_LIF, name="own")


def population(
    name: str,
    size: int,
    neuron: Neuron,
    given: Mapping[str, Any],
    trained: tuple[str, ...] = (),
    noise: float = 0.0,
) -> Population:
    """Return neurons with the ``given`` parameters and defaults otherwise."""
    values = {p.name: given.get(p.name, p.default) for p in neuron.parameters}
    return Population(
        name=name, size=size, neuron=neuron, values=values, floors={}, trained=trained, noise=noise
    )


def network(
    sizes: tuple[int, int],
    neuron: Neuron,
    given: Mapping[str, Any],
    *,
    recurrent: bool,
    trained: tuple[str, ...] = (),
    noise: float = 0.0,
    output: Neuron = LI,
    of_output: Mapping[str, Any] | None = None,
) -> Network:
    """Return inputs - neurons - ``CLASSES`` outputs, leaky integrators by default."""

    def projection(name: str, source: str, target: str) -> Projection:
        return Projection(name=name, source=source, target=target, mean=0.0, std=1.0)

    inputs, size = sizes
    return Network(
        input=Population(name="input", size=inputs, values={}, floors={}),
        layers=(
            Layer(
                population=population("hidden", size, neuron, given, trained, noise),
                projections=(
                    projection("in_to_hid", "input", "hidden"),
                    *([projection("hid_to_hid", "hidden", "hidden")] if recurrent else []),
                ),
            ),
            Layer(
                population=population("output", CLASSES, output, of_output or {}),
                projections=(projection("hid_to_out", "hidden", "output"),),
            ),
        ),
    )


def program(
    net: Network,
    steps: int,
    dt: float,
    *,
    rule: Rule = SURROGATE,
    loss: str = "sum",
    spikes: SpikeDerivative | None = None,
) -> Program:
    """Return the network as a program of a rule."""
    learning = Gradient(spikes=spikes) if spikes else None
    return compile_program(net, LOSSES[loss], {}, steps=steps, dt=dt, rule=rule, learning=learning)


def data_of(spikes_ETP: NDArray[np.bool_]) -> SpikeData:
    """Return examples of input spikes, at most one per channel and step."""
    example, steps, channels = np.nonzero(spikes_ETP)
    n, T, P = spikes_ETP.shape
    counts = np.bincount(example, minlength=n)
    return pack(
        Events(steps=steps.astype(np.int32), channels=channels.astype(np.uint16), counts=counts),
        labels=np.arange(n, dtype=np.int32) % CLASSES,
        n_steps=T,
        n_channels=P,
        n_classes=CLASSES,
        merge=False,
    )


@dataclass(frozen=True, kw_only=True)
class Run:
    """What a layer did: spikes of each neuron in each step, and its states after each update."""

    spikes: Array  # [T, N]
    states: dict[str, Array]  # before the reset, [T, N]


Step = Callable[[dict[str, Array], Array], tuple[Array, dict[str, Array]]]


def walk(x_TP: Array, w_PN: Array, step: Step, r_NN: Array | None = None) -> Run:
    """Carry ``step(states, arriving) -> (spikes, states before the reset)`` out T times.

    ``step`` changes ``states`` in place, reset included. Recurrent spikes arrive a step later.
    """
    T, N = len(x_TP), w_PN.shape[1]
    states: dict[str, Array] = {name: np.zeros(N) for name in "VIS"}
    spikes, seen = np.zeros((T, N)), []
    for n in range(T):
        arriving = x_TP[n] @ w_PN
        if r_NN is not None and n > 0:
            arriving = arriving + spikes[n - 1] @ r_NN
        spikes[n], before = step(states, arriving)
        seen.append(before)
    return Run(spikes=spikes, states={k: np.array([s[k] for s in seen]) for k in seen[0]})
