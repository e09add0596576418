"""A neuron's step in discrete time: assignments carried out in order, once a step.

    I = I + dt / tau_syn * (input - I)    # input: what arrived in this step
    V = V + dt / tau_mem * (I - V)        # with the new I

A name that is assigned is a state and keeps its value until the next step; a line reads what the
lines before it have assigned, and what the step before has left of the others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from snnrun.errors import ModelError
from snnrun.models.equations import parse_assignments, parse_expression, pointed_error, symbol

if TYPE_CHECKING:
    import sympy as sp

ARRIVED = "input"  # sum of the weights of the spikes that arrived in this step
STEP = "dt"  # length of the step, ms
SPIKES = "spikes"  # of the neuron, in this step
GIVEN = {
    ARRIVED: "what arrives in a step",
    STEP: "the length of a step",
    SPIKES: "the spikes of a step",
}


@dataclass(frozen=True, kw_only=True)
class Assignment:
    """A line ``state = value``."""

    state: str
    value: sp.Expr


def assigned_names(text: str, where: str) -> tuple[str, ...]:
    """Return the names that ``text`` assigns, each once, in order."""
    found = (name for name, *_ in parse_assignments(text, where))
    return tuple(dict.fromkeys(found))


def parse_update(
    text: str, parameters: set[str], where: str, parse: Callable[..., Any] = parse_expression
) -> tuple[Assignment, ...]:
    """Return the lines of ``text``, their values as ``parse`` makes them.

    Raises:
        ModelError: A line cannot be read, assigns a parameter or a given name, or uses names that
        are neither states nor parameters.
    """
    names = {*assigned_names(text, where), *parameters, ARRIVED, STEP}
    lines = []
    for name, value, line, at in parse_assignments(text, where):
        start = len(line) - len(line.lstrip())
        if name in parameters:
            raise pointed_error(
                f"{name!r} is a parameter; a step assigns states", where, line, start
            )
        if name in GIVEN:
            raise pointed_error(
                f"{name!r} stands for {GIVEN[name]} and cannot be assigned", where, line, start
            )
        lines.append(Assignment(state=name, value=parse(value, names, where, line, at)))
    return tuple(lines)


def refuse_given_names(names: tuple[str, ...], where: str) -> None:
    """Raise ModelError where a parameter has a name that the update gives a meaning."""
    for name in names:
        if name in GIVEN:
            raise ModelError(
                f"{where}: a parameter is called {name!r}, which stands for {GIVEN[name]} in an "
                "update; choose another name"
            )


def step_map(
    lines: tuple[Assignment, ...], states: tuple[str, ...], held: tuple[str, ...] = ()
) -> tuple[sp.Expr, ...]:
    """Return F(x), the values of ``states`` after the step, in terms of those before it.

    The state ``input``, to which arrivals were added, is 0 afterwards. Lines that assign a state
    of ``held`` are left out.
    """
    now: dict[sp.Symbol, sp.Expr] = {}
    for line in lines:
        if line.state not in held:
            now[symbol(line.state)] = with_values(line.value, now)
    now[symbol(ARRIVED)] = parse_expression("0", set(), ARRIVED)
    return tuple(now.get(symbol(s), symbol(s)) for s in states)


def with_values(expression: sp.Expr, values: Mapping[sp.Symbol, sp.Expr]) -> sp.Expr:
    """Return ``expression`` with all ``values`` put in at once."""
    return expression.xreplace(dict(values))
