"""The bodies of a population's C++ functions: the names that expressions use are loaded first."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import sympy as sp

from snnrun.backends.native.printer import cxx_name, indented, print_formula
from snnrun.compile.derive import adjoint_symbol
from snnrun.compile.population import CompiledPopulation
from snnrun.compile.steps import Steps
from snnrun.models.equations import symbol


class Body:
    """Writes expressions of one population.

    ``numbers``: C++ name -> value of what all neurons share, of those that were used so far.
    """

    def __init__(self, compiled: CompiledPopulation, steps: Steps) -> None:
        self.compiled = compiled
        self.steps = steps
        self.states = steps.states
        self.numbers: dict[str, float] = {}

    def print(self, expression: sp.Expr) -> str:
        """Return an expression as C++."""
        return print_formula(self.steps.in_code(expression))

    def use(self, found: set[sp.Symbol]) -> list[str]:
        """Return the names of what all neurons share in ``found``, and enter it into numbers."""
        shared = self.steps.constants
        used = [s for s in shared if s in found]
        self.numbers |= {cxx_name(s): float(shared[s]) for s in used}
        return [cxx_name(s) for s in used]

    def loads(self, used: Iterable[sp.Expr]) -> list[str]:
        """Return lines that load parameters of one neuron, and numbers, as doubles."""
        own = [symbol(name) for name in self.compiled.per_neuron]
        lines = [f"const double {cxx_name(s)} = value[{i}];" for i, s in enumerate(own)]
        found = {s for e in used for s in sp.sympify(e).free_symbols}
        return [*lines, *(f"const double {name} = n.{name};" for name in self.use(found))]

    def lines(
        self, used: list[sp.Expr], *, real: bool = False, states: tuple[str, ...] | None = None
    ) -> list[str]:
        """Return lines that load what expressions use, of one neuron (``real``) or a register.

        ``states`` are those in the array x, in its order; without them all.
        """
        kind = "Real" if real else "vf"
        defined = self.steps.defined(used)
        found = {s for e in [*used, *defined.values()] for s in self.steps.in_code(e).free_symbols}
        lines = []
        for i, name in enumerate(self.states if states is None else states):
            if symbol(name) in found:
                lines.append(f"const {kind} {cxx_name(symbol(name))} = x[{i}];")
        for i, name in enumerate(self.states):
            if adjoint_symbol(name) in found:
                lines.append(f"const {kind} {cxx_name(adjoint_symbol(name))} = lam[{i}];")
        for i, entry in enumerate(self.steps.coefficients):
            if entry in found:
                load = f"k.own[{i} * STRIDE]" if real else f"*vectors(k.own + {i} * STRIDE)"
                lines.append(f"const {kind} {cxx_name(entry)} = {load};")
        lines += [f"const {kind} {name} = k.shared.{name};" for name in self.use(found)]
        for name, value in defined.items():
            text = self.print(value)
            text = text if real else f"splat({text})"
            lines.append(f"const {kind} {cxx_name(name)} = {text};")
        return lines

    def assign(self, target: str, values: Mapping[str, object], *, adjoint: bool = False) -> str:
        """Return lines that set the states in the array ``target``: state -> term, or terms."""
        terms = {
            name: value if isinstance(value, list) else [sp.sympify(value)]
            for name, value in values.items()
        }
        if all(t == [adjoint_symbol(n) if adjoint else symbol(n)] for n, t in terms.items()):
            return ""
        lines = self.lines([term for value in terms.values() for term in value])
        for i, name in enumerate(self.states):
            text = " + ".join(self.print(term) for term in terms[name]) or "Real(0.0)"
            lines.append(f"{target}[{i}] = splat({text});")
        return indented(lines)

    def returned(
        self, expression: sp.Expr, *, real: bool = False, states: tuple[str, ...] | None = None
    ) -> str:
        """Return lines that return an expression; the options are those of ``lines``."""
        lines = self.lines([expression], real=real, states=states)
        text = self.print(expression)
        return indented([*lines, f"return {text};" if real else f"return splat({text});"])
