"""The Program: a network, its derived passes and a loss, ready for a backend."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from hashlib import sha256
from typing import Any

import numpy as np
import sympy as sp

from snnrun.compile.describe import describe_layer, describe_loss
from snnrun.compile.discrete import describe_derivative
from snnrun.compile.integrators import SMOOTH
from snnrun.compile.population import CompiledPopulation, compile_population
from snnrun.compile.tensors import DELAYS as DELAYS
from snnrun.compile.tensors import OF_ONLINE as OF_ONLINE
from snnrun.compile.tensors import PARAMETERS as PARAMETERS
from snnrun.compile.tensors import WEIGHTS as WEIGHTS
from snnrun.compile.tensors import Tensor as Tensor
from snnrun.compile.traces import require_traces
from snnrun.errors import ModelError, did_you_mean
from snnrun.models.equations import internal, symbol
from snnrun.models.losses import Loss
from snnrun.models.regularisers import Regulariser
from snnrun.models.surrogates import SpikeDerivative
from snnrun.network.feedback import fed_back
from snnrun.network.network import Network, Population, Projection
from snnrun.optimisers import GENERAL, Update, optimiser_of, optimiser_of_pairs
from snnrun.rules import EVENTPROP, RULES
from snnrun.rules.base import Rule
from snnrun.rules.learning import SPIKE_TIMES, SPIKE_TRAINS, Engine, Gradient, Learning, Plasticity
from snnrun.tasks import CLASSIFICATION, REGRESSION, SPIKE_PATTERN, Task

NO_SPIKE_TIMES = (
    "rule={0}: loss {1} looks at spike times, which have no derivative in discrete steps; use a "
    "loss of the output's potential, such as LOSS_TYPE=max or LOSS_TYPE=sum, or rule=eventprop"
)
NO_SPIKE_TRAINS = (
    "rule={0}: loss {1} compares spike trains step by step, and the rule takes a loss's derivative "
    "by the times of first spikes; use rule=surrogate or rule=eprop, or a loss of first spikes"
)


@dataclass(frozen=True, kw_only=True)
class Program:
    """Everything that a backend compiles.

    Args:
        network: Populations and projections.
        populations: One per layer, the output last.
        loss: The declared loss; ``loss_values`` holds its keys' values.
        steps: Steps of a trial.
        dt: Length of a step (ms).
        integrator: ``exact`` or ``euler``.
        window: First of the steps in which the loss reads potentials, and the one after the last;
            None: it reads all.
        regulariser: Of the hidden layers, or None; ``regulariser_values`` holds its keys' values.
        average_spikes: It sees spike counts averaged over the mini-batch, not each example's.
        rule: The learning rule.
        learning: How the network learns by it, but for projections with plasticity of their own.
        optimiser: What makes steps of gradients.
        optimiser_of_pairs: What makes steps of the changes by plasticity of projections.
    """

    network: Network
    populations: tuple[CompiledPopulation, ...]
    loss: Loss
    loss_values: Mapping[str, float]
    steps: int
    dt: float
    integrator: str
    window: tuple[int, int] | None = None
    regulariser: Regulariser | None = None
    regulariser_values: Mapping[str, float] = field(default_factory=dict)
    average_spikes: bool = False
    rule: Rule = EVENTPROP
    learning: Learning
    optimiser: Update
    optimiser_of_pairs: Update | None = None

    @property
    def engine(self) -> Engine:
        """What runs it, beside the plasticity of projections."""
        return self.learning.engine

    @property
    def update_steps(self) -> int:
        """After how many steps of a trial weights change while it runs; 0: when it has ended."""
        return self.learning.update_steps if isinstance(self.learning, Gradient) else 0

    @property
    def task(self) -> Task:
        """What the network learns to do."""
        return task_of(self.loss)

    @property
    def plasticity(self) -> Plasticity | None:
        """The plasticity of projections, which all that have one share."""
        return next((p.plastic for p in self.network.projections if p.plastic), None)

    @property
    def duration(self) -> float:
        """Length of a trial (ms)."""
        return self.steps * self.dt

    def push(self, compiled: CompiledPopulation) -> sp.Expr | None:
        """Return B times what the regulariser adds to dL/dV at each spike of a population.

        It is an expression of ``n`` and ``total`` (see models/regularisers.py) and of the
        population's numbers; None: nothing. Of discrete rules it is added to dL/ds in each step.
        """
        if self.regulariser is None or compiled is self.populations[-1]:
            return None
        if self.engine is Engine.STEPS:
            push = self.regulariser.penalty_slope()
        else:
            push = self.regulariser.strength(self.loss.readout)
        # apart from parameters of the neuron that have the same names
        names = {s: internal(f"reg_{s.name}") for s in push.free_symbols}
        return push.subs({**names, **{symbol(n): internal(n) for n in ("n", "total")}})

    @cached_property
    def tensors(self) -> tuple[Tensor, ...]:
        """The arrays of all layers."""
        found = []
        for index, (layer, compiled) in enumerate(
            zip(self.network.layers, self.populations, strict=True)
        ):
            for number, projection in enumerate(self.network.into(layer)):
                found += self._of_projection(projection, index, number)
            size = layer.population.size
            if compiled.per_neuron:
                found.append(
                    Tensor(
                        name=f"{layer.population.name}_parameters",
                        layer=index,
                        kind=PARAMETERS,
                        shape=(len(compiled.per_neuron), size),
                        trained=bool(layer.population.trained),
                        parameters=compiled.per_neuron,
                        states=self._states(layer.population.trained),
                    )
                )
        return tuple(found)

    def _of_projection(self, projection: Projection, layer: int, number: int) -> list[Tensor]:
        ends = self.network.size(projection.source), self.network.size(projection.target)
        weights = Tensor(
            name=projection.name,
            kind=WEIGHTS,
            shape=projection.synapses.weights if projection.synapses else ends,
            trained=projection.trained,
            states=self._states(projection.trained, projection.plastic),
            layer=layer,
            number=number,
            projection=projection,
        )
        delays = projection.delays
        if delays is None:
            return [weights]
        own = replace(
            weights,
            name=f"{projection.name}_delays",
            kind=DELAYS,
            shape=delays.kind.shape(*ends),
            trained=delays.trained,
            states=self._states(delays.trained),
        )
        return [weights, own]

    def _states(self, trained: object, plastic: object = None) -> tuple[str, ...]:
        """Return what the optimiser keeps for what is trained."""
        if self.engine is Engine.ONLINE:
            return OF_ONLINE if trained else ()
        optimiser = self.optimiser_of_pairs if plastic else self.optimiser
        return optimiser.states if trained and optimiser else ()

    def start_values(self, tensor: Tensor) -> np.ndarray:
        """Return the values with which a tensor of parameters or delays starts."""
        if tensor.delays is not None:
            start = np.array(np.broadcast_to(tensor.delays.start, tensor.shape), float)
            synapses = tensor.synapses
            if synapses is not None and tensor.shape == synapses.shape:
                return np.where(synapses.mask, start, 0.0)
            return start
        values = self.populations[tensor.layer].population.values
        return np.array(
            [np.broadcast_to(values[p], tensor.shape[1:]) for p in tensor.parameters], float
        )

    @property
    def trained_values(self) -> int:
        """How many numbers learning changes."""
        total = sum(t.count for t in self.tensors if t.kind != PARAMETERS)
        return total + sum(len(c.population.trained) * c.population.size for c in self.populations)

    def describe(self) -> str:
        """Return the program as text: what runs in which order, with the derived expressions."""
        lines = [
            f"{self.network.shape}, {self.steps} steps of {self.dt:g} ms, "
            f"{self.integrator} integration",
            f"rule {self.rule.name}: {self.rule.meaning}",
        ]
        spikes = _spikes_of(self.learning)
        if spikes is not None:
            lines.append(f"    derivative of spikes: {describe_derivative(spikes)}")
        if isinstance(self.learning, Gradient) and self.learning.feedback:
            kind = self.learning.feedback.kind
            lines.append(f"    derivatives go back from the output alone, by {kind} feedback")
        if grid := self.network.input.grid:
            lines.append(f"input: {self.network.input.size} channels in shape {list(grid)}")
        for layer, compiled in zip(self.network.layers, self.populations, strict=True):
            lines += describe_layer(layer, compiled)
        lines.append(describe_loss(self.loss, self.window, self.dt))
        if self.regulariser is not None:
            of = ", of spike counts averaged over the mini-batch" if self.average_spikes else ""
            lines.append(f"regulariser {self.regulariser.name}: {self.regulariser.meaning}{of}")
        if self.engine.has_gradient:
            lines += self.optimiser.describe()
        if self.optimiser_of_pairs is not None:
            lines.append("plasticity of projections:")
            lines += [f"    {line}" for line in self.optimiser_of_pairs.describe()]
        return "\n".join(lines)

    @property
    def fingerprint(self) -> str:
        """Hash of the structure; equal for programs that can exchange checkpoints."""
        digest = sha256(repr([(t.name, t.shape, t.parameters) for t in self.tensors]).encode())
        for tensor in self.tensors:
            if (synapses := tensor.synapses) is not None:
                order = np.lexsort((synapses.post, synapses.pre))
                for array in (synapses.pre, synapses.post, synapses.place):
                    digest.update(array[order].tobytes())
        return digest.hexdigest()[:16]


def task_of(loss: Loss) -> Task:
    """Return what a network learns to do that has this loss."""
    if loss.readout.courses:
        return REGRESSION
    return SPIKE_PATTERN if loss.readout.targets else CLASSIFICATION


def compile_program(
    network: Network,
    loss: Loss,
    loss_values: Mapping[str, float],
    *,
    steps: int,
    dt: float,
    integrator: str = "exact",
    window: tuple[int, int] | None = None,
    regulariser: Regulariser | None = None,
    regulariser_values: Mapping[str, float] | None = None,
    average_spikes: bool = False,
    rule: Rule = EVENTPROP,
    learning: Learning | None = None,
    keys: Mapping[str, Any] = GENERAL,
) -> Program:
    """Derive both passes of every layer of ``network`` and bind them to a loss.

    Without ``learning`` it is that of ``rule`` with its usual options; ``keys`` choose optimisers.

    Raises:
        ModelError: Equations that the rule cannot differentiate, or a loss that does not fit the
        output or the rule.
    """
    learning = learning or rule.gradient.usual()
    if isinstance(learning, Gradient) and learning.feedback:
        network = fed_back(network, learning.feedback, rule.name)
    for layer in network.layers:
        _refuse_update(layer.population, rule, learning.engine)
    _refuse_loss(loss, loss_values, rule, learning.engine)
    if len(plastic := {p.plastic for p in network.projections if p.plastic}) > 1:
        raise ModelError(f"projections learn by pairs of spikes in {len(plastic)} ways; use one")
    spikes = _spikes_of(learning)
    _refuse_detached(spikes, network)
    shared = {internal(f"reg_{key}"): value for key, value in (regulariser_values or {}).items()}
    shared[internal("reg_T")] = steps * dt
    compiled = tuple(
        compile_population(layer, dt, integrator, spikes, shared) for layer in network.layers
    )
    if integrator in SMOOTH and not any(c.smooth for c in compiled):
        raise ModelError(
            f"network.integrator={integrator}: has no effect, as all neurons are linear between "
            "spikes, whose step is exact; leave it out"
        )
    _refuse_output(loss, compiled[-1])
    program = Program(
        network=network,
        populations=compiled,
        loss=loss,
        loss_values=dict(loss_values),
        steps=steps,
        dt=dt,
        integrator=integrator,
        window=window,
        regulariser=regulariser,
        regulariser_values=dict(regulariser_values or {}),
        average_spikes=average_spikes,
        rule=rule,
        learning=learning,
        optimiser=optimiser_of(keys),
        optimiser_of_pairs=optimiser_of_pairs(plastic.pop().optimiser, keys) if plastic else None,
    )
    if program.update_steps:
        require_traces(program)
    return program


def _spikes_of(learning: Learning) -> SpikeDerivative | None:
    """Return what stands for the derivative of the spikes, where the steps are differentiated."""
    return learning.spikes if isinstance(learning, Gradient) else None


def _refuse_output(loss: Loss, output: CompiledPopulation) -> None:
    """Raise ModelError where the outputs spike and a loss reads potentials, or the other way."""
    if loss.spiking != output.spiking:
        need = "outputs that spike" if loss.spiking else "outputs without a threshold"
        raise ModelError(
            f"loss {loss.name} needs {need}; population output is made of "
            f"{output.population.neuron.name if output.population.neuron else 'nothing'}"
        )


def _refuse_detached(spikes: SpikeDerivative | None, network: Network) -> None:
    """Raise ModelError where the reset of a state is to be detached that no spike resets."""
    if spikes is None or not isinstance(spikes.detach_reset, tuple):
        return
    neurons = [layer.population.neuron for layer in network.layers]
    known = list(dict.fromkeys(s for n in neurons if n is not None for s in n.system.resets))
    for name in spikes.detach_reset:
        if name not in known:
            raise ModelError(
                f"rule.detach_reset=[{','.join(spikes.detach_reset)}]: no spike resets a state "
                f"{name!r} in this network.{did_you_mean(name, known)} Reset are: "
                f"{', '.join(known)}"
            )


def _refuse_loss(loss: Loss, values: Mapping[str, float], rule: Rule, engine: Engine) -> None:
    trains = loss.readout.targets
    read = SPIKE_TRAINS if trains else SPIKE_TIMES
    if loss.spiking and read not in engine.reads:
        why = NO_SPIKE_TRAINS if trains else NO_SPIKE_TIMES
        raise ModelError(why.format(rule.name, loss.name))
    missing = {"TAU_RISE", "TAU_DECAY"} - values.keys()
    if trains and engine is Engine.STEPS and missing:
        raise ModelError(f"loss {loss.name}: its keys lack {' and '.join(sorted(missing))}")


def _refuse_update(population: Population, rule: Rule, engine: Engine) -> None:
    neuron = population.neuron
    if neuron is not None and neuron.discrete and engine is not Engine.STEPS:
        able = " or ".join(f"rule={r.name}" for r in RULES.values() if r.discrete)
        raise ModelError(
            f"population {population.name}: neuron {neuron.name} is declared by its update in "
            f"discrete time, which has no flow between spikes; rule {rule.name} differentiates "
            f"that flow. Use {able or 'a neuron that is declared by equations'}"
        )
