"""The measures of a network in some trials, from counts of its activations."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import prod

import numpy as np
import sympy as sp

from snnrun.compile.flow import steps_of
from snnrun.compile.population import CompiledPopulation
from snnrun.compile.program import WEIGHTS, Program
from snnrun.costs.energy import Energy
from snnrun.costs.operations import Values, dense_operations, operations_of

PJ_PER_NJ = 1000.0
OF_SYNAPSE = 3  # numbers that an operation moves: the weight; the target's state in and out

# What follows from the network alone, and not from what was shown to it
STATIC = ("footprint", "connection_sparsity")


@dataclass(frozen=True, kw_only=True)
class Costs:
    """What a program costs, by a model of energy."""

    program: Program
    energy: Energy

    @cached_property
    def _updates(self) -> list[tuple[int, int]]:
        return [update_operations(compiled) for compiled in self.program.populations]

    def measure(
        self, values: Values, activations: np.ndarray, trials: int, width: float = 0.0
    ) -> dict[str, float]:
        """Return the measures by the names of their columns (snnrun.record.columns).

        Counts, traffic and energy are means over the trials.

        Args:
            values: Of all tensors of the program, in the precision that it runs in.
            activations: Counts of all ``trials`` of snnrun.backends.base.Backend.
            width: Steps to each side over which delayed spikes were spread.
        """
        program, energy = self.program, self.energy
        steps, real = program.steps, max(array.itemsize for array in values.values())
        sizes = {p.name: p.size for p in program.network.populations}
        parts = np.split(activations, np.cumsum([*sizes.values()])[:-1], axis=2)
        of_population = dict(zip(sizes, parts, strict=True))
        figures: dict[str, float] = {
            "footprint": footprint(program, real),
            "connection_sparsity": connection_sparsity(program, values),
            **_activation_sparsity(program, of_population, trials),
            "dense_operations": 0.0,
            "effective_macs": 0.0,
            "effective_acs": 0.0,
        }
        for p in program.network.projections:
            found = operations_of(program, p, values, of_population[p.source], width)
            figures["dense_operations"] += dense_operations(
                p, sizes[p.source] * sizes[p.target], steps
            )
            figures["effective_macs"] += found.macs
            figures["effective_acs"] += found.acs
            figures[f"effective_operations/{p.name}"] = (found.macs + found.acs) / trials
        macs, acs = (figures[name] / trials for name in ("effective_macs", "effective_acs"))
        figures |= {"effective_macs": macs, "effective_acs": acs}
        traffic = OF_SYNAPSE * real * (macs + acs)
        updates = 0
        for compiled, (products, sums) in zip(program.populations, self._updates, strict=True):
            moved = compiled.population.size * steps
            macs, acs, updates = macs + products * moved, acs + sums * moved, updates + moved
            numbers = 2 * len(compiled.dynamics.neuron.states) + len(compiled.per_neuron)
            traffic += numbers * real * moved
        memory = energy.of_traffic(traffic, figures["footprint"])
        return {
            **figures,
            "membrane_updates": float(updates),
            "memory_traffic": traffic,
            "energy": (energy.of_arithmetic(macs, acs) + memory) / PJ_PER_NJ,
            "memory_energy": memory / PJ_PER_NJ,
        }


def footprint(program: Program, real: int) -> float:
    """Return the bytes of what a network is made of, each number having ``real`` bytes.

    Weights, those that are 0 too; delays; parameters, and states of all neurons; and what is on
    its way where there are delays.
    """
    numbers = sum(prod(t.shape) for t in program.tensors)
    for layer, compiled in zip(program.network.layers, program.populations, strict=True):
        neuron, size = compiled.dynamics.neuron, compiled.population.size
        numbers += len(neuron.parameters) - len(compiled.per_neuron) + len(neuron.states) * size
        longest: dict[str, int] = {}  # by port, in steps
        for p in layer.projections:
            if p.delays is not None:
                longest[p.port] = max(longest.get(p.port, 0), p.delays.steps(program.dt) + 1)
        numbers += sum(longest.values()) * size
    return float(real * numbers)


def connection_sparsity(program: Program, values: Values) -> float:
    """Return the share of weights that are 0, those of pairs that are not connected among them."""
    weights = [values[t.name] for t in program.tensors if t.kind == WEIGHTS]
    return 1.0 - sum(map(np.count_nonzero, weights)) / sum(w.size for w in weights)


def _activation_sparsity(
    program: Program, of_population: dict[str, np.ndarray], trials: int
) -> dict[str, float]:
    """Return the share of neurons and steps without a spike, of all that spike and of each."""
    found, active, possible = {}, 0, 0
    for compiled in program.populations:
        if compiled.spiking:
            name, all_steps = compiled.population.name, compiled.population.size * program.steps
            own = int(of_population[name].sum())
            found[f"activation_sparsity_by_population/{name}"] = 1.0 - own / (all_steps * trials)
            active, possible = active + own, possible + all_steps * trials
    return {"activation_sparsity": 1.0 - active / possible, **found} if possible else {}


def update_operations(compiled: CompiledPopulation) -> tuple[int, int]:
    """Return the multiplications and the bare additions of a step of one neuron between spikes."""
    terms = [term for row in steps_of(compiled).advance().values() for term in row]
    products = [int(sp.count_ops(term)) for term in terms]
    return sum(products), products.count(0)
