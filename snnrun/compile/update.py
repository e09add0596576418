"""What a population does in one step, where its neuron is declared by an update.

F(x) is the step's map, x the states before it, arrivals already added to the state ``input``:

    forward      x  <- F(x)
    adjoint      lam <- F_x^T lam                     F_x: ``jacobian``
    parameters   dL/dp += lam . F_p                   F_p: ``parameter_slopes``

What F contains of parameters only, such as exp(-dt / tau), is computed once and not in every step;
for each neuron, where the parameter differs from neuron to neuron:

    P_0              a part of F without states
    dP_tau_mem_0     its derivative by a trained parameter
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

import numpy as np
import sympy as sp

from snnrun.compile.derive import adjoint_symbol
from snnrun.compile.population import CompiledPopulation
from snnrun.compile.steps import FREE, HELD, Steps
from snnrun.models.equations import internal, symbol
from snnrun.models.update import step_map


class UpdateSteps(Steps):
    """The steps of one population whose neuron is declared by an update."""

    step, back = "F(x)", "F_x^T lam"

    def __init__(self, compiled: CompiledPopulation) -> None:
        super().__init__(compiled)
        self._hoisted: dict[sp.Expr, sp.Symbol] = {}  # what holds parameters only -> coefficient

    @property
    def rests(self) -> bool:
        """No trial ends early: a bias may cause spikes without an arrival."""
        return False

    def advance(self, prefix: str = FREE) -> dict[str, list[sp.Expr]]:
        """Return x <- F(x): state -> its new value, of the values before the step."""
        return {s: [e] for s, e in zip(self.states, self._differentiated[prefix], strict=True)}

    @cached_property
    def linear(self) -> bool:  # type: ignore[override]
        """Whether F_x is the same in all states."""
        states = {symbol(s) for s in self.states}
        return not any(
            entry.free_symbols & states
            for prefix in self._differentiated
            for entry in self.jacobian(prefix).values()
        )

    def adjoint(self, prefix: str = FREE) -> dict[str, list[sp.Expr]]:
        """Return lam <- F_x^T lam: state -> terms, of the states before the step."""
        terms: dict[str, list[sp.Expr]] = {state: [] for state in self.states}
        for (i, j), entry in self.jacobian(prefix).items():
            terms[self.states[j]].append(entry * adjoint_symbol(self.states[i]))
        return terms

    def parameter_gradients(self) -> dict[str, dict[str, sp.Expr]]:
        """Return lam . F_p: trained parameter -> prefix of the step -> expression."""
        sums: dict[str, dict[str, sp.Expr]] = {p: {} for p in self.compiled.population.trained}
        for prefix in self._differentiated:
            for p, rows in self.parameter_slopes(prefix).items():
                terms = (adjoint_symbol(self.states[i]) * slope for i, slope in rows.items())
                sums[p][prefix] = sp.Add(*terms)
        return sums

    def jacobian(self, prefix: str = FREE) -> dict[tuple[int, int], sp.Expr]:
        """Return the entries of F_x that are not 0: (row, column) -> expression of x."""
        found = {}
        for i, value in enumerate(self._differentiated[prefix]):
            for j, state in enumerate(self.states):
                slope = self._slope(value, symbol(state))
                if slope != 0:
                    found[i, j] = slope
        return found

    def parameter_slopes(self, prefix: str = FREE) -> dict[str, dict[int, sp.Expr]]:
        """Return F_p: trained parameter -> row -> expression of x, where it is not 0."""
        slopes: dict[str, dict[int, sp.Expr]] = {}
        for p in self.compiled.population.trained:
            rows = {}
            for i, value in enumerate(self._differentiated[prefix]):
                total = self._slope(value, symbol(p))
                for part, by in self._moved(p).items():
                    total += self._slope(value, part) * by
                if total != 0:
                    rows[i] = total
            slopes[p] = rows
        return slopes

    @cached_property
    def coefficients(self) -> tuple[sp.Symbol, ...]:
        """What differs from neuron to neuron, in the order in which backends store it."""
        return (*(symbol(name) for name in self.compiled.per_neuron), *self.parts)

    @cached_property
    def numbers(self) -> dict[sp.Symbol, float]:
        """What all neurons share, parts of F among it."""
        assert self._differentiated
        found = {part: self.compiled.fold(value) for value, part in self._hoisted.items()}
        return {**self.compiled.numbers, **{p: float(v) for p, v in found.items() if v.is_number}}

    @cached_property
    def parts(self) -> dict[sp.Symbol, sp.Expr]:
        """Coefficient -> what it is, in terms of the parameters that differ."""
        assert self._differentiated
        own = {symbol(name) for name in self.compiled.per_neuron}
        parts = {part: value for value, part in self._hoisted.items() if value.free_symbols & own}
        for p in self.compiled.population.trained:
            parts |= {by: parts[part].diff(symbol(p)) for part, by in self._moved(p).items()}
        return parts

    def coefficient_values(
        self, parameters: np.ndarray, dt: float, integrator: str
    ) -> dict[sp.Symbol, np.ndarray]:
        """Return every coefficient [N] for ``parameters`` [per_neuron, N], in float64."""
        own = [symbol(name) for name in self.compiled.per_neuron]
        values: dict[sp.Symbol, np.ndarray] = dict(zip(own, parameters, strict=True))
        for part, value in self.parts.items():
            found = sp.lambdify(own, self.compiled.fold(value), "numpy")(*parameters)
            values[part] = np.broadcast_to(found, parameters.shape[1:])
        return values

    @cached_property
    def _differentiated(self) -> Mapping[str, tuple[sp.Expr, ...]]:
        """F, one expression a state: prefix of the step -> expressions."""
        system, held = self.neuron.system, self.neuron.held
        maps = {FREE: step_map(system.update, self.states)}
        if self.dynamics.held is not None:
            maps[HELD] = step_map(system.update, self.states, held)
        return {
            prefix: tuple(self._hoist(sp.sympify(value)) for value in values)
            for prefix, values in maps.items()
        }

    def _hoist(self, value: sp.Expr) -> sp.Expr:
        """Return ``value`` with its parts that hold parameters only as coefficients."""
        states = {symbol(s) for s in self.states}
        if not value.free_symbols & states:
            return self._coefficient_of(value)
        if not isinstance(value, sp.Add | sp.Mul):
            return value.func(*(self._hoist(a) for a in value.args)) if value.args else value
        alone = [a for a in value.args if not a.free_symbols & states]
        rest = [self._hoist(a) for a in value.args if a.free_symbols & states]
        return value.func(self._coefficient_of(value.func(*alone)), *rest)

    def _coefficient_of(self, value: sp.Expr) -> sp.Expr:
        if value.is_number or value.is_Symbol:
            return value
        return self._hoisted.setdefault(value, internal(f"P_{len(self._hoisted)}"))

    def _slope(self, value: sp.Expr, name: sp.Symbol) -> sp.Expr:
        """Return the derivative by ``name``; coefficients are real, as abs needs to know."""
        real = {part: sp.Dummy(real=True) for part in self._hoisted.values()}
        slope = value.xreplace(real).diff(real.get(name, name))
        return slope.xreplace({dummy: part for part, dummy in real.items()})

    def _moved(self, parameter: str) -> dict[sp.Symbol, sp.Symbol]:
        """Return coefficient -> its derivative by ``parameter``, where that is not 0."""
        return {
            part: internal(f"d{part.name.replace('_', f'_{parameter}_')}")
            for value, part in self._hoisted.items()
            if value.diff(symbol(parameter)) != 0
        }
