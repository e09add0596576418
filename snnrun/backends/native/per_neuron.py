"""What a population has whose neurons differ: coefficients from parameters, and their gradients."""

from __future__ import annotations

import math

from snnrun.backends.native.body import Body
from snnrun.backends.native.printer import cxx_name, fill, indented, print_formula
from snnrun.compile.derive import FREE, HELD, Flow
from snnrun.models.equations import symbol


class PerNeuron:
    """Writes this part of a population; ``body`` writes its expressions."""

    def __init__(self, body: Body) -> None:
        self.body = body
        self.compiled = body.compiled
        self.steps = body.steps

    def write(self) -> str:
        """Return the functions of the coefficients, and of their gradients."""
        lowest, highest = [], []
        for p in self.compiled.population.trained:
            low, high = self.compiled.population.bounds(p)
            lowest.append(self._bound(f"LOWEST_{cxx_name(symbol(p))}", low))
            highest.append(self._bound(f"HIGHEST_{cxx_name(symbol(p))}", high))
        return fill(
            "per_neuron",
            names=", ".join(self.compiled.per_neuron),
            prepare=indented(self._prepare_lines()),
            gradient=indented(self._gradient_lines()),
            lowest=", ".join(lowest) or "0",
            highest=", ".join(highest) or "0",
        )

    def _bound(self, name: str, value: float) -> str:
        """Return a bound of a trained parameter in C++; a finite one is a number of the program."""
        if math.isinf(value):
            return "INFINITY" if value > 0 else "-INFINITY"
        self.body.numbers[name] = float(value)
        return f"n.{name}"

    def _prepare_lines(self) -> list[str]:
        own = [symbol(name) for name in self.compiled.per_neuron]
        lines = self.body.loads(
            cell
            for prefix, flow in self.steps.flows()
            if not self.steps.shared(prefix)
            for cell in self.steps.table(flow)
        )
        at = {entry: i for i, entry in enumerate(self.steps.coefficients)}
        lines += [f"k[{at[s]} * STRIDE] = Real({cxx_name(s)});" for s in own]
        n = len(self.steps.states)
        for prefix, flow in self.steps.flows():
            if self.steps.shared(prefix):
                continue
            directions: list[str | None] = [*self.compiled.population.trained] or [None]
            for number, parameter in enumerate(directions):
                lines.append("{")
                lines.append(f"    const double A[{n}][{n + 1}] = {self._table(flow, None)};")
                lines.append(f"    const double dA[{n}][{n + 1}] = {self._table(flow, parameter)};")
                lines.append(f"    const Step<{n}> step(A, dA, DT, EULER);")
                stored = []
                if number == 0:
                    stored += [
                        (self.steps.entry(prefix, i, j), f"P[{i}][{j}]") for i, j in flow.entries
                    ]
                    stored += [(self.steps.offset(prefix, i), f"P[{i}][{n}]") for i in flow.offsets]
                if parameter is not None:
                    moved = self.steps.moved(flow, parameter)
                    stored += [
                        (self.steps.slope(prefix, parameter, i, j), f"dP[{i}][{j}]")
                        for i, j in moved
                    ]
                for name, entry in stored:
                    lines.append(f"    k[{at[name]} * STRIDE] = Real(step.{entry});")
                lines.append("}")
        return lines

    def _table(self, flow: Flow, parameter: str | None) -> str:
        """Return [A, b], or its derivative by ``parameter``, as a C++ initialiser."""
        table = self.steps.table(flow)
        if parameter is not None:
            table = table.diff(symbol(parameter))
        rows = [
            "{" + ", ".join(print_formula(cell, "{}") for cell in table[i, :]) + "}"
            for i in range(table.rows)
        ]
        return "{" + ", ".join(rows) + "}"

    def _gradient_lines(self) -> list[str]:
        sums = self.steps.parameter_gradients()
        used = [e for by_flow in sums.values() for e in by_flow.values()]
        lines = self.body.lines(used, states=self.steps.states)
        for p, parameter in enumerate(self.compiled.population.trained):
            free = self.body.print(sums[parameter][FREE])
            if HELD in sums[parameter]:
                held = self.body.print(sums[parameter][HELD])
                lines.append(f"g[{p}] = held ? splat({held}) : splat({free});")
            else:
                lines.append(f"g[{p}] = splat({free});")
        return lines
