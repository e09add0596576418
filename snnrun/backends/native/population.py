"""A compiled population as a C++ struct: the functions that the runtime's passes call."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from importlib.resources import files
from string import Template

import sympy as sp

from snnrun.backends.native.printer import cxx_name, print_formula
from snnrun.compile.derive import Flow, adjoint_symbol, entry_symbol, offset_symbol
from snnrun.compile.program import CompiledPopulation
from snnrun.models.equations import internal, symbol

INDENT = " " * 8


def fill(template: str, **fields: object) -> str:
    """Fill the template file ``template``; an undefined name in it is an error."""
    text = (files(__package__) / "templates" / f"{template}.tmpl").read_text()
    return Template(text).substitute(fields)


class PopulationEmitter:
    """Writes one population. ``timed``: its spike times enter the loss."""

    def __init__(self, compiled: CompiledPopulation, *, timed: bool) -> None:
        self.compiled = compiled
        self.dynamics = compiled.dynamics
        self.neuron = compiled.dynamics.neuron
        self.states = self.neuron.states
        self.timed = timed

    @property
    def struct(self) -> str:
        """Name of the C++ struct."""
        return "".join(part.capitalize() for part in self.compiled.population.name.split("_"))

    def emit(self) -> str:
        """Return the struct's source."""
        compiled, dynamics = self.compiled, self.dynamics
        equations = [
            f"//   d{state}/dt = {rate}"
            for state, rate in zip(self.states, self.neuron.system.rates, strict=True)
        ]
        if compiled.spiking:
            equations.append(f"//   spike where {self.neuron.threshold}")
            equations += [f"//   reset {s} = {r}" for s, r in self.neuron.system.resets.items()]
        initial = {s: self.neuron.system.initial.get(s, sp.Integer(0)) for s in self.states}
        return fill(
            "population",
            title=f"{compiled.population.name}: {compiled.population.size} x {self.neuron.name}",
            equations="\n".join(equations),
            struct=self.struct,
            size=compiled.population.size,
            states=len(self.states),
            input=self.states.index(self.neuron.input),
            records=len(dynamics.jump.records) if dynamics.jump else 0,
            refractory=compiled.refractory_steps,
            per_neuron=len(compiled.per_neuron),
            trained=len(compiled.population.trained),
            arrays=len(self.arrays),
            spiking=_bool(compiled.spiking),
            timed=_bool(self.timed),
            rests=_bool(self.rests),
            start=self._assign("x", initial),
            advance=self._assign("x", self._advance("P", dynamics.free)),
            adjoint=self._assign("lam", self._adjoint("P", dynamics.free), adjoint=True),
            rate=self._return(dynamics.readout_rate, real=True),
            pull=self._return(dynamics.readout_pull, real=True),
            spiking_part=self._spiking() if compiled.spiking else "",
            refractory_part=self._refractory() if dynamics.held else "",
            per_neuron_part=self._per_neuron() if compiled.per_neuron else "",
        )

    @property
    def rests(self) -> bool:
        """Whether a trial may end once nobody can spike any more: needs a positive threshold."""
        if self.dynamics.loud is None or self.compiled.population.neuron is None:
            return False
        level = self.compiled.fold(self._threshold_level)
        if not level.is_number or float(level) <= 0:
            return False
        if self.dynamics.held is None or level == self.compiled.fold(self._threshold):
            return True
        # a potential that is held while the threshold falls must stay below its lowest value
        state = str(self._threshold_state)
        reset = self.compiled.fold(self.neuron.system.resets.get(state, symbol(state)))
        return bool(reset.is_number and float(reset) < float(level))

    @property
    def _threshold_state(self) -> sp.Symbol:
        return symbol(str(self.neuron.system.threshold_state))

    @property
    def _threshold(self) -> sp.Expr:
        return sp.sympify(self.neuron.system.threshold_value)

    @property
    def _threshold_level(self) -> sp.Expr:
        return self._threshold.subs({symbol(s): 0 for s in self.states})

    @cached_property
    def arrays(self) -> tuple[sp.Symbol, ...]:
        """The coefficients that differ from neuron to neuron."""
        if not self.compiled.per_neuron:
            return ()
        found = [symbol(name) for name in self.compiled.per_neuron]
        for prefix, flow in self._flows():
            if self._given(prefix):
                continue
            found += [internal(self._entry(prefix, i, j)) for i, j in flow.entries]
            found += [internal(f"{prefix}u_{self.states[i]}") for i in flow.offsets]
            for parameter in self.compiled.population.trained:
                found += [
                    internal(self._slope(prefix, parameter, i, j))
                    for i, j in self._moved(flow, parameter)
                ]
        return tuple(found)

    def _flows(self) -> list[tuple[str, Flow]]:
        held = self.dynamics.held
        return [("P", self.dynamics.free)] + ([("H", held)] if held is not None else [])

    def _given(self, prefix: str) -> Mapping[sp.Symbol, float]:
        return self.compiled.numbers if prefix == "P" else self.compiled.held_numbers

    def _entry(self, prefix: str, i: int, j: int) -> str:
        return f"{prefix}_{self.states[i]}_{self.states[j]}"

    def _slope(self, prefix: str, parameter: str, i: int, j: int) -> str:
        column = self.states[j] if j < len(self.states) else "1"
        return f"d{prefix}_{parameter}_{self.states[i]}_{column}"

    def _moved(self, flow: Flow, parameter: str) -> list[tuple[int, int]]:
        """Return the entries of [P, u] that change with ``parameter`` (u: column len(states))."""
        n = len(self.states)
        p = symbol(parameter)
        direct = [(k, m) for k in range(n) for m in range(n) if flow.A[k, m].diff(p) != 0]
        direct += [(k, n) for k in range(n) if flow.b[k].diff(p) != 0]
        found = set()
        for k, m in direct:
            for i in range(n):
                if (i, k) not in flow.entries:
                    continue
                found |= {(i, j) for j in range(n) if m < n and (m, j) in flow.entries}
                if m == n or m in flow.offsets:
                    found.add((i, n))
        return sorted(found)

    def _coefficient(self, prefix: str, i: int, j: int) -> sp.Expr:
        given = self._given(prefix)
        if given:
            return sp.Float(given[entry_symbol(self.states[i], self.states[j])], 17)
        return internal(self._entry(prefix, i, j))

    def _offset(self, prefix: str, i: int) -> sp.Expr:
        given = self._given(prefix)
        if given:
            return sp.Float(given[offset_symbol(self.states[i])], 17)
        return internal(f"{prefix}u_{self.states[i]}")

    # Each linear step is written out term by term in the order of the states, as the reference
    # does.
    def _advance(self, prefix: str, flow: Flow) -> dict[str, list[sp.Expr]]:
        new: dict[str, list[sp.Expr]] = {}
        for i, state in enumerate(self.states):
            new[state] = [
                sp.Mul(self._coefficient(prefix, i, j), symbol(self.states[j]), evaluate=False)
                for r, j in flow.entries
                if r == i
            ]
            if i in flow.offsets:
                new[state].append(self._offset(prefix, i))
        return new

    def _adjoint(self, prefix: str, flow: Flow) -> dict[str, list[sp.Expr]]:
        return {
            state: [
                sp.Mul(
                    self._coefficient(prefix, i, j), adjoint_symbol(self.states[i]), evaluate=False
                )
                for i, c in flow.entries
                if c == j
            ]
            for j, state in enumerate(self.states)
        }

    def _spiking(self) -> str:
        jump, loud = self.dynamics.jump, self.dynamics.loud
        assert jump is not None
        system = self.neuron.system
        state, threshold = self._threshold_state, self.compiled.fold(self._threshold)
        crosses = [
            *self._lines([state, threshold]),
            f"return {cxx_name(state)} >= splat({print_formula(threshold)});",
        ]
        resets = {s: self.compiled.fold(e) for s, e in system.resets.items()}
        reset = self._lines([*resets.values(), *(symbol(s) for s in resets)])
        for name, value in resets.items():
            i = self.states.index(name)
            reset.append(
                f"x[{i}] = spiking ? splat({print_formula(value)}) : {cxx_name(symbol(name))};"
            )
        keep = []
        for r, name in enumerate(jump.records):
            source = "input" if name == self.neuron.input else f"x[{self.states.index(name)}]"
            keep.append(f"kept[{r}][v] = {source};")
        return fill(
            "spiking",
            crosses=_join(crosses),
            reset=_join(reset),
            keep=_join(keep),
            loud=_join(self._loud_lines(loud)),
            slope=self._return(jump.slope, real=True, states=jump.records),
            jump=_join(self._jump_lines()),
        )

    def _loud_lines(self, loud: sp.Expr | None) -> list[str]:
        if loud is None or not self.rests:
            return ["return vi{} - 1;"]
        values = {
            entry_symbol(self.states[i], self.states[j]): self._coefficient("P", i, j)
            for i, j in self.dynamics.free.entries
        }
        expression = self.compiled.fold(loud).subs(values)
        level = float(self.compiled.fold(self._threshold_level)) * 0.999  # margin for rounding
        return [
            *self._lines([expression]),
            f"const vi rises = splat({print_formula(expression)}) >= splat(Real({level!r}));",
            "return rises | crosses(x, k);  // a reset may leave it above the threshold",
        ]

    def _jump_lines(self) -> list[str]:
        jump = self.dynamics.jump
        assert jump is not None
        drive = self.compiled.fold(jump.drive)
        adjoint = {s: self.compiled.fold(e) for s, e in jump.adjoint.items()}
        gradients = {p: self.compiled.fold(e) for p, e in jump.parameters.items()}
        used = [drive, *adjoint.values(), *gradients.values()]
        lines = self._lines(used, real=True, states=jump.records)
        lines.append(f"const Real drive = ({print_formula(drive)}) * inverse_slope;")
        for name, value in gradients.items():
            index = self.compiled.per_neuron.index(name)
            lines.append(f"gradient[{index} * STRIDE] += {print_formula(value)};")
        for name, value in adjoint.items():
            lines.append(f"lam[{self.states.index(name)}] = {print_formula(value)};")
        return lines

    def _refractory(self) -> str:
        held, jump = self.dynamics.held, self.dynamics.jump
        assert held is not None
        assert jump is not None
        assert jump.release is not None
        return fill(
            "refractory",
            held=", ".join(self.neuron.held),
            advance=self._assign("x", self._advance("H", held)),
            adjoint=self._assign("lam", self._adjoint("H", held), adjoint=True),
            release=self._return(jump.release, real=True),
        )

    def _per_neuron(self) -> str:
        trained = self.compiled.population.trained
        floors = [self.compiled.population.floors.get(p, float("-inf")) for p in trained]
        lowest = ", ".join("-INFINITY" if f == float("-inf") else repr(float(f)) for f in floors)
        return fill(
            "per_neuron",
            names=", ".join(self.compiled.per_neuron),
            prepare=_join(self._prepare_lines()),
            gradient=_join(self._gradient_lines()),
            lowest=lowest or "0",
        )

    def _prepare_lines(self) -> list[str]:
        own = [symbol(name) for name in self.compiled.per_neuron]
        lines = [f"const double {cxx_name(s)} = value[{i}];" for i, s in enumerate(own)]
        at = {entry: i for i, entry in enumerate(self.arrays)}
        lines += [f"k[{at[s]} * STRIDE] = Real({cxx_name(s)});" for s in own]
        n = len(self.states)
        for prefix, flow in self._flows():
            if self._given(prefix):
                continue
            directions: list[str | None] = [*self.compiled.population.trained] or [None]
            for number, parameter in enumerate(directions):
                lines.append("{")
                lines.append(f"    const double A[{n}][{n + 1}] = {self._table(flow, None)};")
                lines.append(f"    const double dA[{n}][{n + 1}] = {self._table(flow, parameter)};")
                lines.append(f"    const Step<{n}> step(A, dA, DT, EULER);")
                stored = []
                if number == 0:
                    stored += [(self._entry(prefix, i, j), f"P[{i}][{j}]") for i, j in flow.entries]
                    stored += [
                        (f"{prefix}u_{self.states[i]}", f"P[{i}][{n}]") for i in flow.offsets
                    ]
                if parameter is not None:
                    moved = self._moved(flow, parameter)
                    stored += [
                        (self._slope(prefix, parameter, i, j), f"dP[{i}][{j}]") for i, j in moved
                    ]
                for name, entry in stored:
                    lines.append(f"    k[{at[internal(name)]} * STRIDE] = Real(step.{entry});")
                lines.append("}")
        return lines

    def _table(self, flow: Flow, parameter: str | None) -> str:
        """Return [A, b], or its derivative by ``parameter``, as a C++ initialiser."""
        rows = []
        for i in range(len(self.states)):
            row = [*flow.A[i, :], flow.b[i]]
            if parameter is not None:
                row = [sp.sympify(e).diff(symbol(parameter)) for e in row]
            cells = [print_formula(self.compiled.fold(e), "{}") for e in row]
            rows.append("{" + ", ".join(cells) + "}")
        if parameter is None and not self.compiled.per_neuron:
            return "{}"
        return "{" + ", ".join(rows) + "}"

    def _gradient_lines(self) -> list[str]:
        sums: dict[str, dict[str, sp.Expr]] = {}
        n = len(self.states)
        for prefix, flow in self._flows():
            for parameter in self.compiled.population.trained:
                total = sp.Integer(0)
                for i, j in () if self._given(prefix) else self._moved(flow, parameter):
                    factor = symbol(self.states[j]) if j < n else sp.Integer(1)
                    slope = internal(self._slope(prefix, parameter, i, j))
                    total += adjoint_symbol(self.states[i]) * slope * factor
                sums.setdefault(parameter, {})[prefix] = total
        used = [e for by_flow in sums.values() for e in by_flow.values()]
        lines = self._lines(used, states=self.states)
        for p, parameter in enumerate(self.compiled.population.trained):
            free = print_formula(sums[parameter]["P"])
            if "H" in sums[parameter]:
                held = print_formula(sums[parameter]["H"])
                lines.append(f"g[{p}] = held ? splat({held}) : splat({free});")
            else:
                lines.append(f"g[{p}] = splat({free});")
        return lines

    # Bodies of functions: the names that an expression uses are loaded first.
    def _lines(
        self, used: list[sp.Expr], *, real: bool = False, states: tuple[str, ...] | None = None
    ) -> list[str]:
        kind = "Real" if real else "vf"
        found = {s for e in used for s in sp.sympify(e).free_symbols}
        lines = []
        for i, name in enumerate(self.states if states is None else states):
            if symbol(name) in found:
                lines.append(f"const {kind} {cxx_name(symbol(name))} = x[{i}];")
        for i, name in enumerate(self.states):
            if adjoint_symbol(name) in found:
                lines.append(f"const {kind} {cxx_name(adjoint_symbol(name))} = lam[{i}];")
        for i, entry in enumerate(self.arrays):
            if entry in found:
                load = f"k[{i} * STRIDE]" if real else f"*vectors(k + {i} * STRIDE)"
                lines.append(f"const {kind} {cxx_name(entry)} = {load};")
        return lines

    def _assign(self, target: str, values: Mapping[str, object], *, adjoint: bool = False) -> str:
        terms = {
            name: value if isinstance(value, list) else [self.compiled.fold(value)]
            for name, value in values.items()
        }
        if all(t == [adjoint_symbol(n) if adjoint else symbol(n)] for n, t in terms.items()):
            return ""
        lines = self._lines([term for value in terms.values() for term in value])
        for i, name in enumerate(self.states):
            text = " + ".join(print_formula(term) for term in terms[name]) or "Real(0.0)"
            lines.append(f"{target}[{i}] = splat({text});")
        return _join(lines)

    def _return(
        self, expression: sp.Expr, *, real: bool = False, states: tuple[str, ...] | None = None
    ) -> str:
        folded = self.compiled.fold(expression)
        lines = self._lines([folded], real=real, states=states)
        text = print_formula(folded)
        return _join([*lines, f"return {text};" if real else f"return splat({text});"])


def _join(lines: list[str]) -> str:
    return "\n".join(INDENT + line for line in lines)


def _bool(value: bool) -> str:
    return "true" if value else "false"
