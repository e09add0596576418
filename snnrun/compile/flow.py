"""What a population does in one step, where its equations are not linear in the states.

A Runge-Kutta method looks at the rates f in stages, on whose states X_s, along the rate of the
stage before, the step x + dt sum_s b_s f(X_s) depends. With k_s the adjoint of a stage's rate and A
the Jacobian of f, walking back from the last stage to the first,

    stage        X_s = x + a_s dt f(X_(s-1))             X_1 = x
    its rate     k_s = b_s dt lam + a_(s+1) dt A(X_(s+1))^T k_(s+1)
    adjoint      lam <- lam + sum_s A(X_s)^T k_s
    parameters   dL/dp += sum_s k_s . f_p(X_s)

which is the derivative of the step. States of stages and adjoints of rates are definitions:

    P_2_V            state V in stage 2; H_2_V in the refractory period
    P_back_2_V       the adjoint of its rate in stage 2
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

import sympy as sp

from snnrun.compile.derive import FREE, HELD, adjoint_symbol, held_rates
from snnrun.compile.integrators import DT, EXPONENTIAL, RUNGE_KUTTA, exponential_euler
from snnrun.compile.population import CompiledPopulation
from snnrun.compile.steps import Steps
from snnrun.compile.update import UpdateSteps
from snnrun.models.equations import internal, symbol

Row = tuple[sp.Expr, ...]  # one expression a state


class FlowSteps(UpdateSteps):
    """The steps by exponential Euler: a map, in place of the lines of an update."""

    linear = False

    @cached_property
    def _rates(self) -> Mapping[str, Row]:
        rates = {FREE: tuple(self.neuron.system.rates)}
        if self.dynamics.held is not None:
            rates[HELD] = tuple(held_rates(self.neuron))
        return rates

    @cached_property
    def _differentiated(self) -> Mapping[str, Row]:
        return {
            prefix: tuple(map(self._hoist, exponential_euler(rates, self.states)))
            for prefix, rates in self._rates.items()
        }


class StagedSteps(FlowSteps):
    """The steps by a Runge-Kutta method."""

    def __init__(self, compiled: CompiledPopulation) -> None:
        super().__init__(compiled)
        self._ahead, self._weights = RUNGE_KUTTA[compiled.integrator]

    @cached_property
    def _differentiated(self) -> Mapping[str, Row]:
        """The rates f, by prefix: F is differentiated stage by stage."""
        return {p: tuple(map(self._hoist, rates)) for p, rates in self._rates.items()}

    @cached_property
    def definitions(self) -> Mapping[sp.Symbol, sp.Expr]:  # type: ignore[override]
        """States of the stages and adjoints of their rates, in the order of their use."""
        found: dict[sp.Symbol, sp.Expr] = {}
        for prefix, rates in self._differentiated.items():
            for stage, part in enumerate(self._ahead, 1):
                for i, state in enumerate(self.states):
                    moved = DT * part * self._in_stage(prefix, stage, rates[i])
                    found[self._state(prefix, stage + 1, state)] = symbol(state) + moved
            stages = range(1, len(self._weights) + 1)
            for stage in reversed(stages):
                for state in self.states:
                    total = DT * self._weights[stage - 1] * adjoint_symbol(state)
                    if stage < len(self._weights):
                        pulled = sp.Add(*self._pulled(prefix, stage + 1, state))
                        total += DT * self._ahead[stage - 1] * pulled
                    found[self._back(prefix, stage, state)] = total
        return found

    def advance(self, prefix: str = FREE) -> dict[str, list[sp.Expr]]:
        """Return the step: state -> terms."""
        return {
            state: [
                symbol(state),
                *(
                    DT * weight * self._in_stage(prefix, stage, rate)
                    for stage, weight in enumerate(self._weights, 1)
                    if weight and rate != 0
                ),
            ]
            for state, rate in zip(self.states, self._differentiated[prefix], strict=True)
        }

    def adjoint(self, prefix: str = FREE) -> dict[str, list[sp.Expr]]:
        """Return the step back: state -> terms, of the states before the step."""
        stages = range(1, len(self._weights) + 1)
        return {
            state: [
                adjoint_symbol(state),
                *(term for stage in stages for term in self._pulled(prefix, stage, state)),
            ]
            for state in self.states
        }

    def parameter_gradients(self) -> dict[str, dict[str, sp.Expr]]:
        """Return the sum of k_s . f_p(X_s): trained parameter -> prefix -> expression."""
        stages = range(1, len(self._weights) + 1)
        return {
            p: {
                prefix: sp.Add(
                    *(
                        self._back(prefix, stage, self.states[i])
                        * self._in_stage(prefix, stage, slope)
                        for i, slope in self.parameter_slopes(prefix)[p].items()
                        for stage in stages
                    )
                )
                for prefix in self._differentiated
            }
            for p in self.compiled.population.trained
        }

    def _pulled(self, prefix: str, stage: int, state: str) -> list[sp.Expr]:
        """Return the terms of A(X_s)^T k_s for a state."""
        column = self.states.index(state)
        return [
            self._back(prefix, stage, self.states[i]) * self._in_stage(prefix, stage, entry)
            for (i, j), entry in self._jacobians[prefix].items()
            if j == column
        ]

    @cached_property
    def _jacobians(self) -> Mapping[str, Mapping[tuple[int, int], sp.Expr]]:
        return {prefix: self.jacobian(prefix) for prefix in self._differentiated}

    def _in_stage(self, prefix: str, stage: int, expression: sp.Expr) -> sp.Expr:
        """Return an expression of the states as it is in a stage."""
        there = {symbol(s): self._state(prefix, stage, s) for s in self.states}
        return sp.sympify(expression).xreplace(there)

    def _state(self, prefix: str, stage: int, state: str) -> sp.Symbol:
        return symbol(state) if stage == 1 else internal(f"{prefix}_{stage}_{state}")

    def _back(self, prefix: str, stage: int, state: str) -> sp.Symbol:
        return internal(f"{prefix}_back_{stage}_{state}")


def steps_of(compiled: CompiledPopulation) -> Steps:
    """Return the steps of a population, whichever way its neuron is declared."""
    if not compiled.dynamics.mapped:
        return Steps(compiled)
    if not compiled.smooth:
        return UpdateSteps(compiled)
    return (FlowSteps if compiled.integrator == EXPONENTIAL else StagedSteps)(compiled)
