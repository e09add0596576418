"""Populations and projections: the network as frozen, checked data.

A network is a directed graph. The input comes first and the output last; between them populations
stand in such an order that those which reach each other both ways follow one another, and all
others come after what they receive from. Shapes: P presynaptic neurons, Q postsynaptic neurons.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cached_property

import numpy as np

from snnrun.connectivity import Connectivity, size_of
from snnrun.connectivity.synapses import Synapses
from snnrun.errors import ModelError, did_you_mean
from snnrun.graphs import groups_of, reached_from
from snnrun.models.declare import Neuron
from snnrun.network.delays import DelayKind, Delays
from snnrun.rules.learning import Plasticity

MOST_SPIKES = 255  # of a neuron in a step: lists of spikes are sized for the most that can come


class Way(Enum):
    """What a projection carries."""

    BOTH = "both"
    FORWARD = "forward"  # spikes, and no derivatives
    BACK = "back"  # derivatives, and no spikes


@dataclass(frozen=True, kw_only=True)
class Population:
    """Neurons of one kind; an input population has no neuron model.

    ``values`` holds every parameter of the model, a number or one per neuron [N]. ``trained`` names
    the parameters that learning changes, each from its own start value and within ``bounds``:
    not below ``floors``, and not above what the neuron declares.
    In training, the state that meets the threshold gets ``noise`` x sqrt(dt / ms) x normal(0, 1) in
    each step, and a neuron on its threshold is kept from spiking with probability
    ``spike_dropout``. ``grid``: its neurons stand in an array of this shape, the last axis being
    that of channels; a convolution needs one.
    """

    name: str
    size: int
    neuron: Neuron | None = None
    values: Mapping[str, float | np.ndarray]
    trained: tuple[str, ...] = ()
    floors: Mapping[str, float]
    noise: float = 0.0
    spike_dropout: float = 0.0
    grid: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if self.size < 1:
            raise ModelError(f"population {self.name}: {self.size} neurons; at least 1 is needed")
        if self.grid and size_of(self.grid) != self.size:
            raise ModelError(
                f"population {self.name}: shape {list(self.grid)} has {size_of(self.grid)} "
                f"neurons, not {self.size}"
            )
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

    def bounds(self, parameter: str) -> tuple[float, float]:
        """Return between which values learning keeps a parameter."""
        assert self.neuron is not None
        return self.floors.get(parameter, -np.inf), self.neuron.parameter(parameter).high

    @property
    def spiking(self) -> bool:
        """Whether spikes leave it."""
        return self.neuron is None or self.neuron.threshold is not None

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
    not as the whole network is. Initial weights are within ``bounds``, and stay there; those with
    a ``sign``, 1 or -1, are drawn without one and given it. ``kind``: what listed the synapses.
    ``synapses``: who is connected; None: all are. ``port``: the state of the target that arrivals
    add to. A spike of a neuron arrives one step after it was emitted, one of the input in its own
    step, and ``delays`` later where there are any. In training, what arrives at a neuron in a step
    is dropped with probability ``dropout``, and divided by 1 - ``dropout`` otherwise. ``start``:
    initial weights that are not drawn, of the shape of all weights. ``way``: spikes go from its
    source to its target, and derivatives from its target to its source, or only one of them.
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
    sign: int = 0
    kind: Connectivity | None = None
    synapses: Synapses | None = None
    port: str = ""
    delays: Delays | None = None
    dropout: float = 0.0
    start: np.ndarray | None = None
    way: Way = Way.BOTH

    @property
    def connectivity(self) -> str:
        """What listed the synapses, in words."""
        return "" if self.kind is None else self.kind.words

    def draw(self, random: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
        """Return initial weights between populations of these sizes, 0 without a synapse."""
        synapses = self.synapses
        whole = shape if synapses is None else synapses.weights
        drawn = random.normal(self.mean, self.std, whole)
        weights = np.clip(self.sign * np.abs(drawn) if self.sign else drawn, *self.bounds)
        if synapses is None or synapses.shared:
            return weights
        return np.where(synapses.mask, weights, 0.0)

    def __post_init__(self) -> None:
        if self.plastic is not None and self.synapses is not None:
            raise ModelError(
                f"projection {self.name}: rule {self.rule} needs connectivity dense; take a rule "
                "of gradients, or leave the connectivity out"
            )
        if self.plastic is not None and self.delays is not None:
            raise ModelError(
                f"projection {self.name}: rule {self.rule} pairs spikes as they are emitted, and "
                "knows no delays; take a rule of gradients, or leave the delay out"
            )
        synaptic = self.delays is not None and self.delays.kind is DelayKind.SYNAPTIC
        if synaptic and self.synapses is not None and self.synapses.shared:
            raise ModelError(
                f"projection {self.name}: its synapses share weights, so that delays of each "
                "synapse would be many more than these; take axonal delays, or none"
            )
        if self.dropout and self.delays is not None and self.delays.kind is DelayKind.DENDRITIC:
            raise ModelError(
                f"projection {self.name}: dropout goes with delays of kind axonal or synaptic, not "
                "dendritic; leave one of them out"
            )
        if self.std < 0:
            raise ModelError(f"projection {self.name}: a standard deviation of {self.std:g} is < 0")


@dataclass(frozen=True, kw_only=True)
class Layer:
    """A population with the projections that end in it."""

    population: Population
    projections: tuple[Projection, ...]

    @property
    def forward(self) -> Projection:
        """The first one from another population."""
        name = self.population.name
        return next((p for p in self.projections if p.source != name), self.projections[0])

    @property
    def recurrent(self) -> Projection | None:
        """The first one from the population itself."""
        return next((p for p in self.projections if p.source == self.population.name), None)


@dataclass(frozen=True, kw_only=True)
class Network:
    """The input, the populations behind it with the output last, and their projections.

    ``feedback``: further projections to the output, which carry derivatives back and no spikes.
    """

    input: Population
    layers: tuple[Layer, ...]
    feedback: tuple[Projection, ...] = ()

    def __post_init__(self) -> None:
        known = {population.name: population for population in self.populations}
        for layer in self.layers:
            name, neuron = layer.population.name, layer.population.neuron
            if neuron is None:
                raise ModelError(f"population {name} has no neuron model")
            if layer is not self.layers[-1] and neuron.threshold is None:
                raise ModelError(
                    f"population {name}: neuron {neuron.name} has no threshold, "
                    "so no spike would leave this hidden layer; take a spiking neuron such as LIF"
                )
            if not layer.projections:
                raise ModelError(f"population {name}: no projection leads to it")
            for projection in layer.projections:
                if projection.source not in known or projection.target != name:
                    raise ModelError(
                        f"projection {projection.name} must lead from a population to {name}, not "
                        f"from {projection.source} to {projection.target}"
                    )
                if not known[projection.source].spiking:
                    raise ModelError(
                        f"projection {projection.name}: {projection.source} has no threshold, so "
                        "that no spike leaves it"
                    )
                if projection.port and projection.port not in neuron.ports:
                    raise ModelError(
                        f"projection {projection.name}: neuron {neuron.name} of {name} has no port "
                        f"{projection.port}.{did_you_mean(projection.port, neuron.ports)} It has: "
                        f"{', '.join(neuron.ports)}"
                    )
                if projection.plastic and neuron.threshold is None:
                    raise ModelError(
                        f"projection {projection.name}: rule {projection.rule} pairs "
                        f"spikes, and neuron {neuron.name} of {name} has no "
                        "threshold; take another rule for this projection, or frozen"
                    )
        if [i for group in self.groups for i in group] != list(range(len(self.layers))):
            raise ModelError("populations must follow what they receive from; see in_order()")

    @cached_property
    def groups(self) -> tuple[tuple[int, ...], ...]:
        """Layers, by number, that reach each other both ways, in the order of the signals."""
        edges = [(p.source, p.target) for p in self.projections]
        return groups_of([p.name for p in self.populations[1:]], edges)

    @property
    def chain(self) -> bool:
        """Whether each population receives from the one before it, and perhaps from itself.

        Without delays, and on the usual ports.
        """
        before = self.input.name
        for layer in self.layers:
            own = layer.population.name
            if [p.source for p in layer.projections] not in ([before], [before, own]):
                return False
            before = own
        return not any(p.delays or self.port_of(p) for p in self.projections)

    def port_of(self, projection: Projection) -> int:
        """Return which of the ports of its target a projection ends in; 0: the usual one."""
        neuron = self.layer(projection.target).population.neuron
        assert neuron is not None
        return neuron.ports.index(projection.port) if projection.port else 0

    def layer(self, name: str) -> Layer:
        """Return the population ``name`` with the projections that end in it."""
        return next(layer for layer in self.layers if layer.population.name == name)

    @property
    def populations(self) -> tuple[Population, ...]:
        """All populations, the input first."""
        return (self.input, *(layer.population for layer in self.layers))

    @property
    def projections(self) -> tuple[Projection, ...]:
        """All projections in the order of their targets."""
        return tuple(projection for layer in self.layers for projection in layer.projections)

    def into(self, layer: Layer) -> tuple[Projection, ...]:
        """Return the projections that end in a population, those of the feedback last."""
        name = layer.population.name
        return (*layer.projections, *(p for p in self.feedback if p.target == name))

    def passes_by(self, name: str) -> bool:
        """Return whether a path leads from the input to the output without this population."""
        edges = [(p.source, p.target) for p in self.projections if name not in (p.source, p.target)]
        return self.layers[-1].population.name in reached_from(self.input.name, edges)

    def size(self, name: str) -> int:
        """Return the number of neurons of the population ``name``."""
        return next(p.size for p in self.populations if p.name == name)

    @property
    def shape(self) -> str:
        """The network in one line, as ``700-256r-20`` (r: recurrent)."""
        parts = [str(self.input.size)]
        parts += [f"{x.population.size}{'r' if x.recurrent else ''}" for x in self.layers]
        line = "-".join(parts)
        return line if self.chain else f"{line}, {len(self.projections)} projections"
