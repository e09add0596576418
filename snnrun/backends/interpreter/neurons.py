"""The derived expressions of one population, as functions of arrays [B, N].

B examples, N neurons, S states. States x and adjoints lam are arrays [S, B, N].
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np
import sympy as sp

from snnrun.backends.interpreter.functions import Array, Expressions, Named
from snnrun.compile.derive import ARRIVAL, DRIVE, FREE, RELEASE, SPIKE_TIME_GRADIENT, adjoint_symbol
from snnrun.compile.discrete import CHANGE, COUNT, DISTANCE, REACH
from snnrun.compile.flow import steps_of
from snnrun.compile.population import CompiledPopulation
from snnrun.compile.program import Program
from snnrun.models.equations import internal, symbol

# A crossing that is flatter than a rounding error of the threshold in a step has no derivative.
ROUNDING = float(np.finfo(np.float64).eps)


class Neurons:
    """What the neurons of a population do in each moment of both passes."""

    def __init__(self, program: Program, compiled: CompiledPopulation) -> None:
        self.compiled = compiled
        self.steps = steps_of(compiled)
        self.states = self.steps.states
        self._state_symbols = [symbol(s) for s in self.states]
        self._adjoint_symbols = [adjoint_symbol(s) for s in self.states]
        self.size = compiled.population.size
        self.ports = [self.states.index(port) for port in compiled.dynamics.neuron.ports]
        self.trained = compiled.population.trained
        self.refractory = compiled.refractory_steps
        self.push = program.push(compiled)
        self._dt, self._integrator = program.dt, program.integrator
        self.shared = {s: float(v) for s, v in self.steps.numbers.items()}
        self.level_per_step = self.shared[internal("LEVEL_PER_STEP")]
        if compiled.spiking:
            self.threshold_state = self.states.index(str(self.steps.threshold_state))
        prefixes = [prefix for prefix, _ in self.steps.flows()]
        self._advance = {p: Named(self.steps.advance(p), self.steps) for p in prefixes}
        self._adjoint = {p: Named(self.steps.adjoint(p), self.steps) for p in prefixes}
        sums = self.steps.parameter_gradients()
        self._sums = {
            p: Named({q: flows[p] for q, flows in sums.items()}, self.steps) for p in prefixes
        }

    def set_parameters(self, parameters: Array) -> None:
        """Compute what follows from the parameters [per_neuron, N] that differ."""
        found = {}
        if self.compiled.per_neuron:
            found = self.steps.coefficient_values(parameters, self._dt, self._integrator)
        self._constants = {**self.shared, **found}

    def _values(self, x: Array | None = None, lam: Array | None = None) -> dict[sp.Symbol, Any]:
        """Return what symbols stand for."""
        found: dict[sp.Symbol, Any] = dict(self._constants)
        if x is not None:
            found.update(zip(self._state_symbols, x, strict=True))
        if lam is not None:
            found.update(zip(self._adjoint_symbols, lam, strict=True))
        return found

    def _changed(self, array: Array, new: Mapping[str, Array], where: Array | None = None) -> Array:
        """Return states or adjoints with some of them replaced, where ``where`` is true."""
        result = array.copy()
        for name, value in new.items():
            i = self.states.index(name)
            result[i] = value if where is None else np.where(where, value, array[i])
        return result

    # Forward
    def start(self, examples: int) -> Array:
        """Return the states at the start of a trial."""
        x = np.zeros((len(self.states), examples, self.size))
        return self._changed(x, Named(self.steps.initial)(self._values()))

    def advance(self, x: Array, prefix: str = FREE) -> Array:
        """Return the states after a step, whatever arrived being added before."""
        return self._changed(x, self._advance[prefix](self._values(x)))

    @cached_property
    def _threshold(self) -> Expressions:
        return Expressions([self.steps.threshold])

    def threshold(self, x: Array) -> Array:
        """Return the value on which a neuron spikes."""
        [value] = self._threshold(self._values(x))
        return value

    def crosses(self, x: Array) -> Array:
        """Return which neurons are on their threshold or above."""
        return np.asarray(x[self.threshold_state] >= self.threshold(x))

    @cached_property
    def _count(self) -> Expressions | None:
        count = self.compiled.dynamics.neuron.system.count
        return None if count is None else Expressions([count])

    def count(self, x: Array) -> Array:
        """Return how often a neuron on its threshold spikes in this step."""
        if self._count is None:
            return np.ones(x.shape[1:])
        [count] = self._count(self._values(x))
        return np.clip(count, 1, self.compiled.population.most_spikes)

    @cached_property
    def _resets(self) -> Named:
        return Named(self.steps.resets)

    def reset(self, x: Array, spikes: Array) -> Array:
        """Return the states after the spikes of a step."""
        values = self._values(x) | {COUNT: spikes}
        return self._changed(x, self._resets(values), spikes > 0)

    # Backward
    def adjoint(self, lam: Array, x: Array, prefix: str = FREE) -> Array:
        """Return lam at the start of a step; x are the states before it."""
        return self._changed(lam, self._adjoint[prefix](self._values(x, lam)))

    def step_gradients(self, lam: Array, x: Array, prefix: str = FREE) -> dict[str, Array]:
        """Return what a step adds to the gradients of parameters."""
        return self._sums[prefix](self._values(x, lam))

    @cached_property
    def _readout(self) -> Expressions:
        dynamics = self.compiled.dynamics
        return Expressions([dynamics.readout_rate, *dynamics.readout_pulls])

    def readout(self, x: Array) -> tuple[Array, list[Array]]:
        """Return the rate of the state that is read out, and how it changes with each port's."""
        rate, *pulls = (np.broadcast_to(v, x.shape[1:]) for v in self._readout(self._values(x)))
        return rate, pulls

    @cached_property
    def _push(self) -> Expressions:
        return Expressions([self.push])

    def pushed(self, n: Array, total: Array) -> Array:
        """Return what the regulariser adds, for n spikes of a neuron and all of its population."""
        [value] = self._push(self._values() | {internal("n"): n, internal("total"): total})
        return value


class JumpingNeurons(Neurons):
    """Neurons whose adjoint jumps at their spikes; see compile/derive.py."""

    @cached_property
    def _slope_and_drive(self) -> tuple[Expressions, Expressions]:
        jump = self.compiled.dynamics.jump
        assert jump is not None
        return Expressions([jump.slope]), Expressions([jump.strength])

    @cached_property
    def _moves(self) -> dict[str, tuple[Named, Named]]:
        jump = self.compiled.dynamics.jump
        assert jump is not None
        return {
            "spike": (Named(jump.adjoint), Named(jump.parameters)),
            "crossing": (Named(jump.crossing), Named(jump.crossing_parameters)),
        }

    @cached_property
    def _release(self) -> Expressions | None:
        jump = self.compiled.dynamics.jump
        return Expressions([jump.release]) if jump and jump.release is not None else None

    def release(self, lam: Array, x: Array) -> Array:
        """Return lam . (f_held - f) at the end of a refractory period."""
        if self._release is None:
            return np.zeros(x.shape[1:])
        [value] = self._release(self._values(x, lam))
        return value

    def on_threshold(self, x: Array) -> Array:
        """Return the states with that of the threshold on it."""
        found = x.copy()
        found[self.threshold_state] = self.threshold(x)
        return found

    def strength(self, lam: Array, x: Array, R: Array, dl_dt: Array, release: Array) -> Array:
        """Return S of a spike."""
        values = self._values(x, lam)
        values |= {ARRIVAL: R, SPIKE_TIME_GRADIENT: dl_dt, RELEASE: release}
        [strength] = self._slope_and_drive[1](values)
        return strength

    def drive(self, x: Array, strength: Array) -> Array:
        """Return S / D, or 0 where the threshold is not crossed by the flow."""
        [slope] = self._slope_and_drive[0](self._values(x))
        moves = slope > ROUNDING * self.level_per_step
        return np.where(moves, strength / np.where(moves, slope, 1.0), 0.0)

    def jump(
        self, lam: Array, x: Array, drive: Array, where: Array, at: str = "spike"
    ) -> tuple[Array, dict[str, Array]]:
        """Return lam before a spike, or a crossing, and what it adds to gradients."""
        values = self._values(x, lam) | {DRIVE: drive}
        adjoint, parameters = self._moves[at]
        added = {p: np.where(where, value, 0.0) for p, value in parameters(values).items()}
        return self._changed(lam, adjoint(values), where), added


class SteppedNeurons(Neurons):
    """Neurons whose steps are differentiated; see compile/discrete.py."""

    @cached_property
    def _back(self) -> dict[str, Named]:
        step = self.compiled.step_back
        assert step is not None
        slope = {"distance": step.distance, "reach": step.reach}
        bounds = {"low": step.low, "high": step.high}
        return {
            "change": Named({"dl_ds": step.reset_change or sp.Integer(0)}),
            "slope": Named(slope),
            "derivative": Named(
                {"slope": step.slope, **{n: e for n, e in bounds.items() if e is not None}}
            ),
            "reset": Named(step.reset),
            "pull": Named(step.pull),
            "at_spike": Named(step.reset_parameters),
            "always": Named(step.parameters),
        }

    def surrogate(self, x: Array) -> Array:
        """Return what stands for the derivative of a spike by the distance from the threshold."""
        found = self._back["slope"](self._values(x))
        distance = found["distance"]
        values = self._values(x) | {DISTANCE: distance, REACH: found["reach"]}
        bounds = self._back["derivative"](values)
        inside = (distance >= bounds.get("low", -np.inf)) & (distance <= bounds.get("high", np.inf))
        return np.where(inside, bounds["slope"], 0.0)

    def through_spike(
        self, lam: Array, x: Array, spikes: Array, dl_ds: Array, active: Array
    ) -> tuple[Array, dict[str, Array]]:
        """Return lam before threshold and reset, and what they add to gradients.

        ``active``: the neuron was free to spike. ``dl_ds`` is what the spikes' targets send back.
        """
        values = self._values(x, lam) | {COUNT: spikes}
        dl_ds = dl_ds + self._back["change"](values)["dl_ds"]
        values[CHANGE] = np.where(active, dl_ds * self.surrogate(x), 0.0)
        gradients = self._back["always"](values)
        for p, value in self._back["at_spike"](values).items():
            gradients[p] = gradients.get(p, 0.0) + np.where(spikes > 0, value, 0.0)
        result = self._changed(lam, self._back["reset"](values), spikes > 0)
        for name, value in self._back["pull"](values).items():
            result[self.states.index(name)] += value
        return result, gradients
