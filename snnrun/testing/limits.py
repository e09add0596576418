"""What must not depend on how a parameter is given: equal time constants, and constants."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import combinations

import numpy as np

from snnrun.backends.interpreter.halving import halved
from snnrun.compile.propagator import propagator
from snnrun.errors import ModelError
from snnrun.models.declare import Neuron
from snnrun.testing.comparison import Comparison
from snnrun.testing.declaration import Finding, time_constants
from snnrun.testing.equations import Array, Equations, LinearFlow, fastest_rate
from snnrun.testing.grid import BuildOptions, GridResult, build_grids, constant

APART = 1e-9  # relative distance of two time constants that are nearly equal
PROPAGATOR_CHANGE = (
    1e-7  # that this may cause; forms that divide by the difference change by 1e-7 / 1e-16
)
GRADIENT_CHANGE = 1e-6
SAME = 1e-9  # relative difference of the gradient by propagators of Python and of C++


def propagator_findings(neuron: Neuron, values: Mapping[str, float]) -> list[Finding]:
    """Compare propagators of equal, nearly equal, and given time constants with a plain series.

    Equations that are not linear have none.
    """
    findings: list[Finding] = []
    if not Equations(neuron).linear:
        return findings
    for first, second in combinations(time_constants(neuron), 2):
        shared = values[first]
        near = shared * (1 + APART)
        try:
            neuron.parameter(second).check(near, "")
        except ModelError:
            continue  # its bounds keep the two apart
        equal = _step(neuron, {**values, second: shared})
        change = float(np.abs(_step(neuron, {**values, second: near}) - equal).max())
        relative = change / float(np.abs(equal).max())
        findings.append(
            Finding(
                name=f"{first} = {second}",
                passed=bool(relative <= PROPAGATOR_CHANGE),
                text=f"propagators of equal values and of {APART:g} apart differ by {relative:.1e}",
            )
        )
    wrong = float(np.abs(_step(neuron, values) - _series(neuron, values)).max())
    wrong /= float(np.abs(_series(neuron, values)).max())
    text = f"differs from the series of the matrix exponential by {wrong:.1e}"
    return [*findings, Finding(name="propagator", passed=bool(wrong <= 1e-12), text=text)]


def equality_findings(neuron: Neuron, comparison: Comparison) -> list[Finding]:
    """Compare the gradients of equal and nearly equal time constants, on the coarsest grid."""
    grid, problem, findings = comparison.grids[0], comparison.problem, []
    own = [x.population for x in problem.network.layers if x.population.neuron is neuron]
    known = set(neuron.trainable)
    for first, second in combinations(time_constants(neuron), 2):
        if not {first, second} <= known:
            continue
        results = []
        for factor in (1.0, 1 + APART):
            values: dict[str, float] = {}
            for population in own:
                shared = float(np.mean(population.values[first]))
                values[f"{population.name}.{first}"] = shared
                values[f"{population.name}.{second}"] = shared * factor
            results.append(grid.run(problem, values))
        change = distance(*results)
        text = f"gradients of equal values and of {APART:g} apart differ by {change:.1e}"
        passed = bool(change <= GRADIENT_CHANGE)
        findings.append(Finding(name=f"{first} = {second}", passed=passed, text=text))
    return findings


def constant_finding(comparison: Comparison, integrator: str, options: BuildOptions) -> Finding:
    """Compare the weights' gradients with parameters as constants and as one value per neuron.

    Constants are folded into the program and their propagators computed in advance; values that
    differ from neuron to neuron have theirs computed by the program.
    """
    coarse, problem = comparison.grids[0], comparison.problem
    folded = replace(problem, network=constant(problem.network))
    means = {
        f"{layer.population.name}.{name}": value
        for layer in folded.network.layers
        for name, value in layer.population.values.items()
    }
    (grid,) = build_grids(folded, [coarse.dt], integrator, options)
    change = distance(grid.run(folded), coarse.run(problem, means))
    text = (
        f"constant and per neuron, parameters give weights' gradients that differ by {change:.1e}"
    )
    return Finding(name="constants", passed=bool(change <= SAME), text=text)


def step_findings(
    neuron: Neuron, comparison: Comparison, integrator: str = "exact"
) -> list[Finding]:
    """Compare the steps with half steps, where the neuron is not linear; the finest must do."""
    index = [x.population.neuron is neuron for x in comparison.problem.network.layers].index(True)
    program, findings = comparison.grids[0].backend.program, []
    for dt in comparison.dts:
        if halves := halved(program, index, dt, integrator):
            last, verdict = dt == comparison.dts[-1], ", too long" if halves.too_long else ""
            passed = not (last and halves.too_long)
            findings.append(
                Finding(name=f"step {dt:g} ms", passed=passed, text=f"{halves}{verdict}")
            )
    return findings


def distance(a: GridResult, b: GridResult) -> float:
    """Return the largest relative difference of the gradients that ``a`` has."""
    largest = max(float(np.linalg.norm(gradient)) for gradient in a.gradients.values())
    smallest = max(1e-6 * largest, 1e-300)  # a gradient that is 0 next to the others
    return max(
        float(np.linalg.norm(b.gradients[name] - gradient))
        / max(float(np.linalg.norm(gradient)), smallest)
        for name, gradient in a.gradients.items()
    )


def _matrices(neuron: Neuron, values: Mapping[str, float]) -> tuple[Array, Array]:
    found = Equations(neuron).flow({name: np.full((1, 1), v) for name, v in values.items()})
    assert isinstance(found, LinearFlow)
    return found.A[0, 0], found.b[0, 0]


def _step(neuron: Neuron, values: Mapping[str, float]) -> Array:
    """Propagator and offset [P, u] of a step as long as the shortest time constant."""
    A, b = _matrices(neuron, values)
    P, u = propagator(A, b, 1 / max(fastest_rate(A), 1e-9), "exact")
    return np.column_stack([P, u])


def _series(neuron: Neuron, values: Mapping[str, float]) -> Array:
    A, b = _matrices(neuron, values)
    s, n = np.array([1 / max(fastest_rate(A), 1e-9)]), len(b)
    columns = [LinearFlow(A[None], 0 * b[None]).path(unit[None]).at(s)[0] for unit in np.eye(n)]
    offset = LinearFlow(A[None], b[None]).path(np.zeros((1, n))).at(s)[0]
    return np.column_stack([*columns, offset])
