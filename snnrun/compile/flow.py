"""What a population does in one step, where its equations are not linear in the states."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

import sympy as sp

from snnrun.compile.derive import FREE, HELD, held_rates
from snnrun.compile.integrators import one_step
from snnrun.compile.population import CompiledPopulation
from snnrun.compile.steps import Steps
from snnrun.compile.update import UpdateSteps


class FlowSteps(UpdateSteps):
    """The steps of one population: an integrator's map in place of the lines of an update."""

    @cached_property
    def _maps(self) -> Mapping[str, tuple[sp.Expr, ...]]:
        rates = {FREE: tuple(self.neuron.system.rates)}
        if self.dynamics.held is not None:
            rates[HELD] = tuple(held_rates(self.neuron))
        integrator = self.compiled.integrator
        return {
            prefix: tuple(map(self._hoist, one_step(values, self.states, integrator)))
            for prefix, values in rates.items()
        }


def steps_of(compiled: CompiledPopulation) -> Steps:
    """Return the steps of a population, whichever way its neuron is declared."""
    if not compiled.dynamics.mapped:
        return Steps(compiled)
    return (FlowSteps if compiled.smooth else UpdateSteps)(compiled)
