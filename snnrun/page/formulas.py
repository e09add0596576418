"""Derived equations as formulas, in MathML: browsers draw it without a script."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import sympy as sp
from sympy.printing.mathml import MathMLPresentationPrinter

from snnrun.compile.derive import SPIKE_TIME_GRADIENT, Dynamics, Flow, adjoint_symbol
from snnrun.compile.discrete import DISTANCE, REACH, StepBack
from snnrun.compile.population import CompiledPopulation
from snnrun.compile.program import Program
from snnrun.models.declare import Neuron
from snnrun.models.equations import symbol
from snnrun.page.parts import Markup, Text, element

_SIGNS = {"=": "=", ">=": "≥", "<-": "←", "+=": "+="}
_PRINTED = {  # a name, or what it begins with
    "lam": "lambda",
    SPIKE_TIME_GRADIENT.name: "l′",
    DISTANCE.name: "g",
    REACH.name: "threshold",
}
_ADJOINT = "λ is the derivative of the loss by a state, taken back in time"
_NO_ADJOINT = "The rule learns while the network runs, and needs no adjoint"
_OF_SPIKES = """\
; R is minus its derivative by the time at which the spike arrives at its targets, and l′ that by
the time of the spike itself"""
_OF_STEPS = "; change is what the targets of a spike send back, times σ′"


def equations(program: Program) -> Iterator[Text]:
    """Yield for each kind of neuron its equations and what is derived from them."""
    gradient = program.engine.has_gradient
    alike: dict[str, list[CompiledPopulation]] = {}
    for compiled in program.populations:
        alike.setdefault(_formulas(compiled, gradient), []).append(compiled)
    for formulas, populations in alike.items():
        neuron = populations[0].dynamics.neuron
        names = ", ".join(compiled.population.name for compiled in populations)
        meaning = _ADJOINT if gradient else _NO_ADJOINT
        if gradient and populations[0].spiking:
            meaning += _OF_SPIKES if populations[0].step_back is None else _OF_STEPS
        yield Text(
            element(
                "div",
                element("h3", f"{names}: {neuron.name}, {neuron.meaning}".rstrip(", ")),
                formulas,
                element("p", f"{meaning}.", class_="note"),
                class_="wide",
            )
        )


def _formulas(compiled: CompiledPopulation, gradient: bool) -> Markup:
    """Return the equations of a population, each with what it is."""
    dynamics = compiled.dynamics
    back = _backward(dynamics, compiled.step_back) if gradient else ()
    lines = [*_forward(dynamics.neuron), *back]
    rows = [element("div", element("span", what), one, class_="line") for what, one in lines]
    return element("div", *rows, class_="formulas")


def _forward(neuron: Neuron) -> Iterator[tuple[str, Markup]]:
    """Yield what happens between spikes and at one."""
    system = neuron.system
    for line in system.update:
        yield "each step", _formula(symbol(line.state), "<-", sp.sympify(line.value))
    if not system.update:
        for state, rate in zip(system.states, system.rates, strict=True):
            yield "between spikes", _formula((state, "t"), "=", rate)
    if system.threshold_value is None:
        yield "read out", _block(_mathml(symbol(system.states[0])))
        return
    yield "spike where", _formula(symbol(str(system.threshold_state)), ">=", system.threshold_value)
    for state, value in system.resets.items():
        yield "then", _formula(symbol(state), "<-", value)


def _backward(dynamics: Dynamics, back: StepBack | None) -> Iterator[tuple[str, Markup]]:
    """Yield what happens to the adjoints, walking back."""
    if dynamics.free.A.shape[0]:
        yield from _adjoint(dynamics.neuron, dynamics.free)
    if back is not None:
        yield "distance to threshold", _formula(symbol("g"), "=", back.distance)
        yield "surrogate derivative", _formula(sp.Symbol("σ′"), "=", back.slope)
        for state, value in back.reset.items():
            yield "back through a reset", _formula(adjoint_symbol(state), "<-", value)
        for state, value in back.pull.items():
            yield "back through threshold", _formula(adjoint_symbol(state), "+=", value)
    elif dynamics.jump is not None:
        jump = dynamics.jump
        yield "slope at a spike", _formula(sp.Symbol("D"), "=", jump.slope)
        yield (
            "drive of a spike",
            _formula(
                sp.Symbol("drive"), "=", sp.Mul(jump.strength, 1 / sp.Symbol("D"), evaluate=False)
            ),
        )
        for state, value in jump.adjoint.items():
            yield "back through a spike", _formula(adjoint_symbol(state), "<-", value)
        for name, value in jump.parameters.items():
            yield "gradient at a spike", _formula(("L", name), "+=", value)


def _adjoint(neuron: Neuron, flow: Flow) -> Iterator[tuple[str, Markup]]:
    """Yield d lam/dt = -A^T lam, of the flow x' = A x + b."""
    lam = sp.Matrix([adjoint_symbol(state) for state in neuron.states])
    rates = -(flow.A.T * lam)
    for state, rate in zip(neuron.states, rates, strict=True):
        yield "adjoint between spikes", _formula((f"lam_{state}", "t"), "=", rate)


def _formula(left: sp.Symbol | tuple[str, str], sign: str, right: Any) -> Markup:
    """Return an equation or an assignment as MathML; (X, t) on the left is dX/dt."""
    shown = _derivative(*left) if isinstance(left, tuple) else _mathml(left)
    return _block(f"{shown}<mo>{_SIGNS[sign]}</mo>{_mathml(sp.sympify(right))}")


def _block(mathml: str) -> Markup:
    return Markup(f'<math display="block"><mrow>{mathml}</mrow></math>')


def _derivative(of: str, by: str) -> str:
    top, below = (f"<mrow><mi>d</mi>{_mathml(sp.Symbol(name))}</mrow>" for name in (of, by))
    return f"<mfrac>{top}{below}</mfrac>"


def _mathml(expression: sp.Expr) -> str:
    named = {one: sp.Symbol(_printed(one.name)) for one in expression.free_symbols}
    return str(
        MathMLPresentationPrinter({"mul_symbol": "&#xB7;"}).doprint(expression.xreplace(named))
    )


def _printed(name: str) -> str:
    """Return what a symbol is called in a formula: of lam_V the first part is the Greek letter."""
    first, underscore, rest = name.removeprefix("surrogate_").partition("_")
    return _PRINTED.get(name) or f"{_PRINTED.get(first, first)}{underscore}{rest}"
