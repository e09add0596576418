"""Populations and projections: the network as frozen, checked data.

A network is a chain: input -> hidden layers -> output. Each hidden layer may project to itself.
Shapes: P presynaptic neurons, Q postsynaptic neurons; weights are w_PQ.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from snnrun.connectivity.synapses import Synapses
from snnrun.errors import ModelError
from snnrun.models.declare import Neuron
from snnrun.rules.learning import Plasticity

MOST_SPIKES = 255  # of a neuron in a step: lists of spikes are sized for the most that can come


@dataclass(frozen=True, kw_only=True)
class Population:
    """Neurons of one kind; an input population has no neuron model.

    ``values`` holds every parameter of the model, a number or one per neuron [N]. ``trained`` names
    the parameters that learning changes, each from its own start value and not below ``floors``.
    In training, the state that meets the threshold gets ``noise`` x sqrt(dt / ms) x normal(0, 1) in
    each step, and a neuron on its threshold is kept from spiking with probability
    ``spike_dropout``.
    """

    name: str
    size: int
    neuron: Neuron | None = None
    values: Mapping[str, float | np.ndarray]
    trained: tuple[str, ...] = ()
    floors: Mapping[str, float]
    noise: float = 0.0
    spike_dropout: float = 0.0

    def __post_init__(self) -> None:
        if self.size < 1:
            raise ModelError(f"population {self.name}: {self.size} neurons; at least 1 is needed")
        if self.neuron is None:
            return
        if self.neuron.threshold is None and (self.noise or self.spike_dropout):
            raise ModelError(
                f"population {self.name}: HIDDEN_NOISE={self.noise:g} and PDROP_HIDDEN="
                f"{self.spike_dropout:g} are for neurons with a threshold, and {self.neuron.name} "
                "has none; set both to 0"
            )
        for parameter in self.neuron.parameters:
            value = np.atleast_1d(np.asarray(self.values[parameter.name], float))
            if value.shape not in ((1,), (self.size,)):
                raise ModelError(
                    f"population {self.name}: {parameter.name} has {value.size} values for "
                    f"{self.size} neurons; give one number or one per neuron"
                )
            for bound in (value.min(), value.max()):
                parameter.check(float(bound), f"population {self.name}")
        self.most_spikes  # noqa: B018  refuses what is no such number

    @property
    def per_neuron(self) -> tuple[str, ...]:
        """Parameters that differ, or may come to differ, from neuron to neuron."""
        if self.neuron is None:
            return ()
        return tuple(
            p.name
            for p in self.neuron.parameters
            if p.name in self.trained or np.ndim(self.values[p.name]) > 0
        )

    @property
    def most_spikes(self) -> int:
        """Most spikes that a neuron emits in a step."""
        if self.neuron is None or self.neuron.max_spikes is None:
            return 1
        name = self.neuron.max_spikes
        value = np.asarray(self.values[name], float)
        if value.ndim or value % 1 or not 1 <= value <= MOST_SPIKES:
            raise ModelError(
                f"population {self.name}: {name}, the most spikes in a step, must be one whole "
                f"number from 1 to {MOST_SPIKES} for all neurons; got {self.values[name]}"
            )
        return int(value)

    def refractory_steps(self, dt: float) -> int:
        """Return the refractory period in whole steps of ``dt`` ms."""
        if self.neuron is None or self.neuron.refractory is None:
            return 0
        value = self.values[self.neuron.refractory]
        if np.ndim(value) > 0:
            raise ModelError(
                f"population {self.name}: the refractory period {self.neuron.refractory} must be "
                "one number for all neurons, and cannot be trained"
            )
        return round(float(value) / dt)


@dataclass(frozen=True, kw_only=True)
class Projection:
    """Synapses between two populations, with normally distributed initial weights.

    ``rule``: the name of what trains them; ``plastic``: how, where that is by pairs of spikes and
    not as the whole network is. Initial weights are within ``bounds``. ``synapses``: who is
    connected; None: all are.
    """

    name: str
    source: str
    target: str
    mean: float
    std: float
    trained: bool = True
    rule: str = ""
    plastic: Plasticity | None = None
    bounds: tuple[float, float] = (-np.inf, np.inf)
    synapses: Synapses | None = None

    def draw(self, random: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
        """Return initial weights of this shape, 0 where there is no synapse."""
        weights = np.clip(random.normal(self.mean, self.std, shape), *self.bounds)
        return weights if self.synapses is None else np.where(self.synapses.mask, weights, 0.0)

    def __post_init__(self) -> None:
        if self.plastic is not None and self.synapses is not None:
            raise ModelError(
                f"projection {self.name}: rule {self.rule} needs connectivity dense; take a rule "
                "of gradients, or leave the connectivity out"
            )
        if self.std < 0:
            raise ModelError(f"projection {self.name}: a standard deviation of {self.std:g} is < 0")


@dataclass(frozen=True, kw_only=True)
class Layer:
    """A population with the projections that end in it."""

    population: Population
    forward: Projection
    recurrent: Projection | None = None

    @property
    def projections(self) -> tuple[Projection, ...]:
        """The projections that end in the population, the forward one first."""
        return (self.forward,) if self.recurrent is None else (self.forward, self.recurrent)


@dataclass(frozen=True, kw_only=True)
class Network:
    """The input and the chain of layers behind it, the output last."""

    input: Population
    layers: tuple[Layer, ...]

    def __post_init__(self) -> None:
        source = self.input
        for layer in self.layers:
            name = layer.population.name
            if layer.forward.source != source.name or layer.forward.target != name:
                raise ModelError(
                    f"projection {layer.forward.name} must lead from {source.name} to {name}"
                )
            if layer.population.neuron is None:
                raise ModelError(f"population {name} has no neuron model")
            if layer is not self.layers[-1] and layer.population.neuron.threshold is None:
                raise ModelError(
                    f"population {name}: neuron {layer.population.neuron.name} has no threshold, "
                    "so no spike would leave this hidden layer; take a spiking neuron such as LIF"
                )
            for projection in layer.projections:
                if projection.plastic and layer.population.neuron.threshold is None:
                    raise ModelError(
                        f"projection {projection.name}: rule {projection.rule} pairs "
                        f"spikes, and neuron {layer.population.neuron.name} of {name} has no "
                        "threshold; take another rule for this projection, or frozen"
                    )
            source = layer.population

    @property
    def populations(self) -> tuple[Population, ...]:
        """All populations, the input first."""
        return (self.input, *(layer.population for layer in self.layers))

    @property
    def projections(self) -> tuple[Projection, ...]:
        """All projections in the order of the layers, the forward one before the recurrent one."""
        return tuple(projection for layer in self.layers for projection in layer.projections)

    def size(self, name: str) -> int:
        """Return the number of neurons of the population ``name``."""
        return next(p.size for p in self.populations if p.name == name)

    @property
    def shape(self) -> str:
        """The network in one line, as ``700-256r-20`` (r: recurrent)."""
        parts = [str(self.input.size)]
        parts += [f"{x.population.size}{'r' if x.recurrent else ''}" for x in self.layers]
        return "-".join(parts)
