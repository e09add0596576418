"""A population with what is derived for it, and the numbers that all its neurons share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import sympy as sp

from snnrun.compile.derive import FREE, HELD, Dynamics, Flow, derive, entry_symbol, offset_symbol
from snnrun.compile.discrete import StepBack, derive_step_back, numbers_of
from snnrun.compile.integrators import DT, of_nonlinear
from snnrun.compile.propagator import propagator
from snnrun.errors import ModelError
from snnrun.models.declare import Neuron
from snnrun.models.equations import internal, parse_expression, symbol
from snnrun.models.surrogates import SpikeDerivative
from snnrun.models.update import STEP
from snnrun.network.network import Layer, Population


@dataclass(frozen=True, kw_only=True)
class CompiledPopulation:
    """A population with what was derived for it.

    ``integrator`` is the one of equations that are not linear. ``per_neuron`` are the
    parameters that differ between neurons, the trained ones first. ``numbers`` is what all
    neurons share, by the symbol that stands for it in derived expressions: the other
    parameters, the entries of propagators where no parameter of the flow differs, keys of the
    regulariser and of the surrogate, NOISE and SPIKE_DROPOUT, and LEVEL_PER_STEP, the threshold
    (1 where it differs or is 0) per step. ``step_back`` is what a discrete rule needs.
    """

    population: Population
    dynamics: Dynamics
    refractory_steps: int
    integrator: str
    per_neuron: tuple[str, ...]
    numbers: Mapping[sp.Symbol, float]
    noise: float = 0.0  # standard deviation in each step of a training trial
    signals: tuple[sp.Expr | None, sp.Expr | None] = (None, None)  # of Plasticity
    step_back: StepBack | None = None

    @property
    def spiking(self) -> bool:
        """Whether the neurons have a threshold."""
        return self.dynamics.neuron.threshold is not None

    @property
    def smooth(self) -> bool:
        """Whether the equations are not linear, so that an integrator takes the steps."""
        return self.dynamics.mapped and not self.dynamics.neuron.discrete

    def fold(self, expression: sp.Expr) -> sp.Expr:
        """Return ``expression`` with all that neurons share as numbers."""
        return sp.sympify(expression).subs(self.numbers)


def compile_population(
    layer: Layer,
    dt: float,
    integrator: str,
    spikes: SpikeDerivative | None,
    shared: Mapping[sp.Symbol, float],
) -> CompiledPopulation:
    """Derive both passes of a layer's population.

    Args:
        layer: The population, and where it stands.
        dt: Length of a step (ms).
        integrator: ``exact`` or ``euler``.
        spikes: What stands for the derivative of spikes, where the steps are differentiated.
        shared: Numbers of the whole program, by the symbols of derived expressions.

    Raises:
        ModelError: Equations that cannot be differentiated in this way.
    """
    population = layer.population
    neuron = population.neuron
    if neuron is None:
        raise ModelError(f"population {population.name} has no neuron model")
    refractory_steps = population.refractory_steps(dt)
    trained = population.trained
    dynamics = derive(
        neuron, trained, refractory_steps > 0, population.spike_dropout > 0, spikes is None
    )
    others = tuple(name for name in population.per_neuron if name not in population.trained)
    per_neuron = population.trained + others
    noise = population.noise * dt**0.5
    numbers = {
        symbol(p.name): float(population.values[p.name])
        for p in neuron.parameters
        if p.name not in per_neuron
    }
    if dynamics.mapped:
        numbers[symbol(STEP) if neuron.discrete else DT] = dt
    level = abs(_level(neuron, numbers)) or 1.0
    for prefix, flow in ((FREE, dynamics.free), (HELD, dynamics.held)):
        if flow is not None:
            numbers |= _propagator_entries(prefix, flow, neuron.states, numbers, dt, integrator)
    numbers |= {
        internal("reg_size"): float(population.size),
        internal("LEVEL_PER_STEP"): level / dt,
    }
    numbers |= {
        internal("NOISE"): noise,
        internal("SPIKE_DROPOUT"): population.spike_dropout,
        **shared,
    }
    return CompiledPopulation(
        population=population,
        dynamics=dynamics,
        refractory_steps=refractory_steps,
        integrator=of_nonlinear(integrator),
        per_neuron=per_neuron,
        numbers={**numbers, **({} if spikes is None else numbers_of(spikes))},
        noise=noise,
        signals=_signals(layer, neuron),
        step_back=None if spikes is None else derive_step_back(neuron, trained, spikes),
    )


def _signals(layer: Layer, neuron: Neuron) -> tuple[sp.Expr | None, sp.Expr | None]:
    """Return what plastic projections take of the neurons, as expressions."""
    plastic = next((p.plastic for p in layer.projections if p.plastic), None)
    if plastic is None:
        return None, None
    allowed = {*neuron.states, *(p.name for p in neuron.parameters), "threshold"}

    def parsed(text: str | None) -> sp.Expr | None:
        if text is None:
            return None
        expression = parse_expression(text, allowed, f"population {layer.population.name}, signal")
        return expression.subs(symbol("threshold"), neuron.system.threshold_value)

    plus, minus = map(parsed, plastic.signals)
    return plus, minus


def _level(neuron: Neuron, numbers: Mapping[sp.Symbol, float]) -> float:
    """Return the threshold where all states are 0; 0 without one, or where neurons differ in it."""
    level = sp.sympify(neuron.system.threshold_value or 0)
    level = level.subs({symbol(s): 0 for s in neuron.states}).subs(numbers)
    return float(level) if level.is_number else 0.0


def _propagator_entries(
    prefix: str,
    flow: Flow,
    states: tuple[str, ...],
    numbers: Mapping[sp.Symbol, float],
    dt: float,
    integrator: str,
) -> dict[sp.Symbol, float]:
    if not flow.entries:
        return {}  # of an update
    A, b = flow.A.subs(numbers), flow.b.subs(numbers)
    if A.free_symbols | b.free_symbols:
        return {}  # differs from neuron to neuron: the backend computes it
    n = len(states)
    P, u = propagator(np.array(A, float), np.array(b, float).reshape(n), dt, integrator)
    entries = {entry_symbol(states[i], states[j], prefix): float(P[i, j]) for i, j in flow.entries}
    return entries | {offset_symbol(states[i], prefix): float(u[i]) for i in flow.offsets}
