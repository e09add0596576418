"""A compiled population as a C++ struct: the functions that the runtime's passes call."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from functools import cached_property

import sympy as sp

from snnrun.backends.native.printer import (
    boolean,
    cxx_name,
    fill,
    indented,
    print_formula,
    wrapped,
)
from snnrun.compile.derive import Flow, adjoint_symbol
from snnrun.compile.discrete import REACH, StepBack
from snnrun.compile.program import CompiledPopulation
from snnrun.compile.steps import FREE, HELD
from snnrun.compile.update import steps_of
from snnrun.models.equations import internal, symbol

USUAL_NAME = re.compile(r"hidden\d*|output")


class PopulationEmitter:
    """Writes one population.

    ``timed``: its spike times enter the loss. ``push``: of the regulariser at each spike, or None;
    ``averaged``: it sees means over the mini-batch.
    """

    def __init__(
        self,
        compiled: CompiledPopulation,
        *,
        timed: bool,
        push: sp.Expr | None = None,
        averaged: bool = False,
    ) -> None:
        self.compiled = compiled
        self.steps = steps_of(compiled)
        self.dynamics = compiled.dynamics
        self.neuron = compiled.dynamics.neuron
        self.states = self.neuron.states
        self.arrays = self.steps.coefficients
        self.name = compiled.population.name
        self.timed = timed
        self.push = push
        self.averaged = averaged
        self.step_back = compiled.step_back
        self.numbers: dict[str, float] = {}  # C++ name -> value, of those that emit() has used

    @property
    def struct(self) -> str:
        """Name of the C++ struct; a name of the user's gets a prefix that the runtime has not."""
        usual = USUAL_NAME.fullmatch(self.name)
        return self.name.capitalize() if usual else f"Population_{self.name}"

    def emit(self) -> str:
        """Return the struct's source."""
        compiled, dynamics = self.compiled, self.dynamics
        parts: dict[str, object] = {
            "title": f"{self.name}: {compiled.population.size} x {self.neuron.name}",
            "equations": self._equations(),
            "struct": self.struct,
            "size": compiled.population.size,
            "states": len(self.states),
            "input": self.states.index(self.neuron.input),
            "records": len(dynamics.jump.records) if dynamics.jump else 0,
            "refractory": compiled.refractory_steps,
            "per_neuron": len(compiled.per_neuron),
            "trained": len(compiled.population.trained),
            "arrays": len(self.arrays),
            "spiking": boolean(compiled.spiking),
            "timed": boolean(self.timed),
            "regularised": boolean(self.push is not None),
            "step": self.steps.step,
            "back": self.steps.back,
            "before": self._before,
            "rests": boolean(self.steps.rests and self.step_back is None),
            "start": self._assign("x", self.steps.initial),
            "advance": self._assign("x", self.steps.advance()),
            "adjoint": self._assign("lam", self.steps.adjoint(), adjoint=True),
            "rate": self._return(dynamics.readout_rate, real=True),
            "pull": self._return(dynamics.readout_pull, real=True),
            "spiking_part": self._spiking() if compiled.spiking else "",
            "refractory_part": self._refractory() if dynamics.held else "",
            "regularised_part": self._regularised() if self.push is not None else "",
            "disturbed_part": self._disturbed(),
            "per_neuron_part": self._per_neuron() if compiled.per_neuron else "",
        }
        names = wrapped(self.numbers)
        return fill(
            "population",
            numbers=len(self.numbers),
            declared=f"        X {names};\n" if names else "",
            values=wrapped(f"number<X>(v[{i}])" for i in range(len(self.numbers))),
            **parts,
        )

    def _print(self, expression: sp.Expr) -> str:
        return print_formula(self._in_code(expression))

    def _in_code(self, expression: sp.Expr) -> sp.Expr:
        """Return an expression that multiplies by inverses of numbers, and does not divide by them.

        A number that is 0 takes its term out of the code, and a factor of 1 itself.
        """
        found, numbers = sp.sympify(expression), self.steps.numbers
        structure = {s: sp.Integer(int(numbers[s])) for s in found.free_symbols & self._structural}
        return (found.xreplace(structure) if structure else found).replace(
            lambda e: e.is_Pow and e.base in numbers and e.exp.is_negative,
            lambda e: self._inverse(e.base) ** -e.exp,
        )

    @cached_property
    def _structural(self) -> set[sp.Symbol]:
        """What all neurons share and is part of the code: zeros, and ones of propagators."""
        entries = {
            self.steps.entry(prefix, *place)
            for prefix, flow in self.steps.flows()
            for place in flow.entries
        }
        numbers = self.steps.numbers.items()
        return {s for s, value in numbers if value == 0 or (value == 1 and s in entries)}

    @staticmethod
    def _inverse(number: sp.Symbol) -> sp.Symbol:
        return internal(f"inverse_{number.name}")

    def _use(self, found: set[sp.Symbol]) -> list[str]:
        """Return the names of what all neurons share in ``found``, and enter it into numbers."""
        shared = {**self.steps.numbers}
        shared |= {self._inverse(s): 1 / value for s, value in shared.items() if value}
        used = [s for s in shared if s in found]
        self.numbers |= {cxx_name(s): float(shared[s]) for s in used}
        return [cxx_name(s) for s in used]

    @property
    def _before(self) -> str:
        """A parameter for the states before the step, where the adjoint needs them."""
        return "" if self.steps.linear else "const vf* x, "

    def _equations(self) -> str:
        lines = list(self.neuron.system.lines)
        if self.compiled.spiking:
            lines.append(f"spike where {self.neuron.threshold}")
            if self.neuron.count is not None:
                lines.append(f"spikes = {self.neuron.count}, at most {self.neuron.max_spikes}")
            lines += [f"reset {s} = {r}" for s, r in self.neuron.system.resets.items()]
        return "\n".join(f"//   {line}" for line in lines)

    def _spiking(self) -> str:
        state, threshold = self.steps.threshold_state, self.steps.threshold
        crosses = [
            *self._lines([state, threshold]),
            f"return {cxx_name(state)} >= splat({self._print(threshold)});",
        ]
        resets = self.steps.resets
        reset = self._lines([*resets.values(), *(symbol(s) for s in resets)])
        for name, value in resets.items():
            i = self.states.index(name)
            reset.append(
                f"x[{i}] = spiking ? splat({self._print(value)}) : {cxx_name(symbol(name))};"
            )
        jump, keep = self.dynamics.jump, []
        for r, name in enumerate(jump.records if jump else ()):
            source = "input" if name == self.neuron.input else f"x[{self.states.index(name)}]"
            keep.append(f"kept[{r}][v] = {source};")
        return fill(
            "spiking",
            crosses=indented(crosses),
            reset=indented(reset),
            keep=indented(keep),
            can_spike=indented(self._can_spike_lines()),
            spikes="vf spikes, " if self.neuron.count is not None else "",
            count_part=self._count(),
            jump_part=self._jump() if jump else self._step_back(),
        )

    def _count(self) -> str:
        """Return what neurons have that may spike several times in a step."""
        return ""

    def _jump(self) -> str:
        jump = self.dynamics.jump
        assert jump is not None
        self._use({internal("LEVEL_PER_STEP")})
        return fill(
            "jump",
            slope=self._return(jump.slope, real=True, states=jump.records),
            jump=indented(self._jump_lines()),
        )

    def _step_back(self) -> str:
        """Return the way back of a discrete rule (see compile/discrete.py)."""
        step = self.step_back
        assert step is not None
        taped = step.taped
        tape = [f"kept[{i}] = x[{self.states.index(name)}];" for i, name in enumerate(taped)]
        distance, reach = sp.sympify(step.distance), sp.sympify(step.reach)
        inner = [f"const vf distance = {self._print(distance)};"]
        if REACH in step.slope.free_symbols:
            inner.append(f"const vf reach = splat({self._print(reach)});")
        value = f"splat({self._print(step.slope)})"
        used = [distance, reach, *(e for e in (step.slope, step.low, step.high) if e is not None)]
        bounds = [
            f"(distance {sign} splat({self._print(bound)}))"
            for sign, bound in ((">=", step.low), ("<=", step.high))
            if bound is not None
        ]
        if bounds:
            value = f"{' & '.join(bounds)} ? {value} : vf{{}}"
        return fill(
            "discrete",
            taped=len(taped),
            tape=indented(tape),
            surrogate=indented([*self._lines(used, states=taped), *inner, f"return {value};"]),
            reset="its reset counts as a constant" if step.reset_change is None else "all of it",
            step_back=indented(self._step_back_lines(step)),
        )

    def _step_back_lines(self, step: StepBack) -> list[str]:
        def folded(expressions: Mapping[str, sp.Expr]) -> dict[str, sp.Expr]:
            return {name: sp.sympify(value) for name, value in expressions.items()}

        change = sp.sympify(step.reset_change or 0)
        reset, pull = folded(step.reset), folded(step.pull)
        at_spike, always = folded(step.reset_parameters), folded(step.parameters)
        used = [change, *reset.values(), *pull.values(), *at_spike.values(), *always.values()]
        lines = self._lines(used, states=step.taped)
        if change != 0:
            lines.append(f"dl_ds += {self._print(change)};")
        lines.append("const vf change = dl_ds * slope;")
        for p, parameter in enumerate(self.compiled.population.trained):
            terms = [self._print(always[parameter])] if parameter in always else []
            if parameter in at_spike:
                terms.append(f"(spiking ? splat({self._print(at_spike[parameter])}) : vf{{}})")
            lines.append(f"g[{p}] = {' + '.join(terms) or 'vf{}'};")
        for name, value in reset.items():
            i = self.states.index(name)
            lines.append(f"lam[{i}] = spiking ? splat({self._print(value)}) : lam[{i}];")
        for name, value in pull.items():
            lines.append(f"lam[{self.states.index(name)}] += {self._print(value)};")
        return lines

    def _can_spike_lines(self) -> list[str]:
        if not self.steps.rests or self.step_back is not None:
            return ["return vi{} - 1;"]
        bound, level = self.steps.spike_bound, self.steps.threshold_level
        terms = [f"bound += {self._print(term)};" for term in sp.Add.make_args(bound)]
        return [
            *self._lines([bound, level]),
            "vf bound = {};",
            *terms,
            f"const vi rises = bound >= splat({self._print(level)});",
            "return rises | crosses(x, k);  // a reset may leave it above the threshold",
        ]

    def _jump_lines(self) -> list[str]:
        jump = self.dynamics.jump
        assert jump is not None
        drive = sp.sympify(jump.drive)
        adjoint = {s: sp.sympify(e) for s, e in jump.adjoint.items()}
        gradients = {p: sp.sympify(e) for p, e in jump.parameters.items()}
        used = [drive, *adjoint.values(), *gradients.values()]
        lines = self._lines(used, real=True, states=jump.records)
        lines.append(f"const Real drive = ({self._print(drive)}) * inverse_slope;")
        return [*lines, *self._changes(adjoint, gradients)]

    def _changes(
        self, adjoint: Mapping[str, sp.Expr], gradients: Mapping[str, sp.Expr]
    ) -> list[str]:
        lines = []
        for name, value in gradients.items():
            index = self.compiled.per_neuron.index(name)
            lines.append(f"gradient[{index} * STRIDE] += {self._print(value)};")
        for name, value in adjoint.items():
            lines.append(f"lam[{self.states.index(name)}] = {self._print(value)};")
        return lines

    def _disturbed(self) -> str:
        """Return noise and vetoes, and what spikes need that come steps after the crossing."""
        noise, veto = self.compiled.noise, self.compiled.population.veto
        if not noise and not veto:
            return ""
        state = self.states.index(str(self.steps.threshold_state))
        self._use({internal("NOISE"), internal("VETO")})
        text = fill("disturbed", state=state, noisy=boolean(noise > 0), vetoed=boolean(veto > 0))
        if not veto:
            return text
        text += fill("level", level=self._return(self.steps.threshold))
        jump = self.dynamics.jump
        if jump is None:
            return text
        adjoint = {s: sp.sympify(e) for s, e in jump.crossing.items()}
        gradients = {p: sp.sympify(e) for p, e in jump.crossing_parameters.items()}
        used = [*adjoint.values(), *gradients.values()]
        cross = self._lines(used, real=True, states=jump.records)
        return text + fill(
            "late",
            late_drive=self._return(jump.drive, real=True, states=jump.records),
            cross=indented([*cross, *self._changes(adjoint, gradients)]),
        )

    def _regularised(self) -> str:
        assert self.push is not None
        lines = self._lines([self.push], real=True, states=())
        push = indented([*lines, f"return {self._print(self.push)};"])
        if self.step_back is not None:
            return fill("penalised", push=push, averaged=boolean(self.averaged))
        return fill(
            "regularised",
            push=push,
            averaged=boolean(self.averaged),
            state=self.states.index(str(self.steps.threshold_state)),
        )

    def _refractory(self) -> str:
        jump, release = self.dynamics.jump, ""
        if jump is not None and jump.release is not None:
            release = fill("release", release=self._return(jump.release, real=True))
        return fill(
            "refractory",
            held=", ".join(self.neuron.held),
            advance=self._assign("x", self.steps.advance(HELD)),
            adjoint=self._assign("lam", self.steps.adjoint(HELD), adjoint=True),
            before=self._before,
            release_part=release,
        )

    def _per_neuron(self) -> str:
        trained = self.compiled.population.trained
        lowest = []
        for p in trained:
            floor = self.compiled.population.floors.get(p, -math.inf)
            lowest.append("-INFINITY" if floor == -math.inf else f"n.LOWEST_{cxx_name(symbol(p))}")
            if floor != -math.inf:
                self.numbers[f"LOWEST_{cxx_name(symbol(p))}"] = float(floor)
        return fill(
            "per_neuron",
            names=", ".join(self.compiled.per_neuron),
            prepare=indented(self._prepare_lines()),
            gradient=indented(self._gradient_lines()),
            lowest=", ".join(lowest) or "0",
        )

    def _loads(self, used: Iterable[sp.Expr]) -> list[str]:
        """Return lines that load parameters of one neuron, and numbers, as doubles."""
        own = [symbol(name) for name in self.compiled.per_neuron]
        lines = [f"const double {cxx_name(s)} = value[{i}];" for i, s in enumerate(own)]
        found = {s for e in used for s in sp.sympify(e).free_symbols}
        return [*lines, *(f"const double {name} = n.{name};" for name in self._use(found))]

    def _prepare_lines(self) -> list[str]:
        own = [symbol(name) for name in self.compiled.per_neuron]
        lines = self._loads(
            cell
            for prefix, flow in self.steps.flows()
            if not self.steps.shared(prefix)
            for cell in self.steps.table(flow)
        )
        at = {entry: i for i, entry in enumerate(self.arrays)}
        lines += [f"k[{at[s]} * STRIDE] = Real({cxx_name(s)});" for s in own]
        n = len(self.states)
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
        if parameter is None and not self.compiled.per_neuron:
            return "{}"
        return "{" + ", ".join(rows) + "}"

    def _gradient_lines(self) -> list[str]:
        sums = self.steps.parameter_gradients()
        used = [e for by_flow in sums.values() for e in by_flow.values()]
        lines = self._lines(used, states=self.states)
        for p, parameter in enumerate(self.compiled.population.trained):
            free = self._print(sums[parameter][FREE])
            if HELD in sums[parameter]:
                held = self._print(sums[parameter][HELD])
                lines.append(f"g[{p}] = held ? splat({held}) : splat({free});")
            else:
                lines.append(f"g[{p}] = splat({free});")
        return lines

    # Bodies of functions: the names that an expression uses are loaded first.
    def _lines(
        self, used: list[sp.Expr], *, real: bool = False, states: tuple[str, ...] | None = None
    ) -> list[str]:
        kind = "Real" if real else "vf"
        found = {s for e in used for s in self._in_code(e).free_symbols}
        lines = []
        for i, name in enumerate(self.states if states is None else states):
            if symbol(name) in found:
                lines.append(f"const {kind} {cxx_name(symbol(name))} = x[{i}];")
        for i, name in enumerate(self.states):
            if adjoint_symbol(name) in found:
                lines.append(f"const {kind} {cxx_name(adjoint_symbol(name))} = lam[{i}];")
        for i, entry in enumerate(self.arrays):
            if entry in found:
                load = f"k.own[{i} * STRIDE]" if real else f"*vectors(k.own + {i} * STRIDE)"
                lines.append(f"const {kind} {cxx_name(entry)} = {load};")
        return [*lines, *(f"const {kind} {name} = k.shared.{name};" for name in self._use(found))]

    def _assign(self, target: str, values: Mapping[str, object], *, adjoint: bool = False) -> str:
        terms = {
            name: value if isinstance(value, list) else [sp.sympify(value)]
            for name, value in values.items()
        }
        if all(t == [adjoint_symbol(n) if adjoint else symbol(n)] for n, t in terms.items()):
            return ""
        lines = self._lines([term for value in terms.values() for term in value])
        for i, name in enumerate(self.states):
            text = " + ".join(self._print(term) for term in terms[name]) or "Real(0.0)"
            lines.append(f"{target}[{i}] = splat({text});")
        return indented(lines)

    def _return(
        self, expression: sp.Expr, *, real: bool = False, states: tuple[str, ...] | None = None
    ) -> str:
        folded = sp.sympify(expression)
        lines = self._lines([folded], real=real, states=states)
        text = self._print(folded)
        return indented([*lines, f"return {text};" if real else f"return splat({text});"])
