"""A compiled population as a C++ struct: the functions that the runtime's passes call."""

from __future__ import annotations

import re
from collections.abc import Mapping

import sympy as sp

from snnrun.backends.native.printer import boolean, cxx_name, fill, indented, print_formula
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
        self.timed = timed
        self.push = push
        self.averaged = averaged
        self.step_back = compiled.step_back

    @property
    def struct(self) -> str:
        """Name of the C++ struct; a name of the user's gets a prefix that the runtime has not."""
        name = self.compiled.population.name
        return name.capitalize() if USUAL_NAME.fullmatch(name) else f"Population_{name}"

    def emit(self) -> str:
        """Return the struct's source."""
        compiled, dynamics = self.compiled, self.dynamics
        return fill(
            "population",
            title=f"{compiled.population.name}: {compiled.population.size} x {self.neuron.name}",
            equations=self._equations(),
            struct=self.struct,
            size=compiled.population.size,
            states=len(self.states),
            input=self.states.index(self.neuron.input),
            records=len(dynamics.jump.records) if dynamics.jump else 0,
            refractory=compiled.refractory_steps,
            per_neuron=len(compiled.per_neuron),
            trained=len(compiled.population.trained),
            arrays=len(self.arrays),
            spiking=boolean(compiled.spiking),
            timed=boolean(self.timed),
            regularised=boolean(self.push is not None),
            step=self.steps.step,
            back=self.steps.back,
            before=self._before,
            rests=boolean(self.steps.rests and self.step_back is None),
            start=self._assign("x", self.steps.initial),
            advance=self._assign("x", self.steps.advance()),
            adjoint=self._assign("lam", self.steps.adjoint(), adjoint=True),
            rate=self._return(dynamics.readout_rate, real=True),
            pull=self._return(dynamics.readout_pull, real=True),
            spiking_part=self._spiking() if compiled.spiking else "",
            refractory_part=self._refractory() if dynamics.held else "",
            regularised_part=self._regularised() if self.push is not None else "",
            disturbed_part=self._disturbed(),
            per_neuron_part=self._per_neuron() if compiled.per_neuron else "",
        )

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
            f"return {cxx_name(state)} >= splat({print_formula(threshold)});",
        ]
        resets = self.steps.resets
        reset = self._lines([*resets.values(), *(symbol(s) for s in resets)])
        for name, value in resets.items():
            i = self.states.index(name)
            reset.append(
                f"x[{i}] = spiking ? splat({print_formula(value)}) : {cxx_name(symbol(name))};"
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
            loud=indented(self._loud_lines()),
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
        return fill(
            "jump",
            slope=self._return(jump.slope, real=True, states=jump.records),
            jump=indented(self._jump_lines()),
        )

    def _step_back(self) -> str:
        """Return the way back of a discrete rule (see compile/discrete.py)."""
        step = self.step_back
        assert step is not None
        fold, taped = self.compiled.fold, step.taped
        tape = [f"kept[{i}] = x[{self.states.index(name)}];" for i, name in enumerate(taped)]
        distance, reach = fold(step.distance), fold(step.reach)
        inner = [f"const vf distance = {print_formula(distance)};"]
        if REACH in step.slope.free_symbols:
            inner.append(f"const vf reach = splat({print_formula(reach)});")
        value = f"splat({print_formula(step.slope)})"
        bounds = [
            f"(distance {sign} splat({print_formula(bound)}))"
            for sign, bound in ((">=", step.low), ("<=", step.high))
            if bound is not None
        ]
        if bounds:
            value = f"{' & '.join(bounds)} ? {value} : vf{{}}"
        return fill(
            "discrete",
            taped=len(taped),
            tape=indented(tape),
            surrogate=indented(
                [*self._lines([distance, reach], states=taped), *inner, f"return {value};"]
            ),
            reset="its reset counts as a constant" if step.reset_change is None else "all of it",
            step_back=indented(self._step_back_lines(step)),
        )

    def _step_back_lines(self, step: StepBack) -> list[str]:
        def folded(expressions: Mapping[str, sp.Expr]) -> dict[str, sp.Expr]:
            return {name: self.compiled.fold(value) for name, value in expressions.items()}

        change = self.compiled.fold(step.reset_change or 0)
        reset, pull = folded(step.reset), folded(step.pull)
        at_spike, always = folded(step.reset_parameters), folded(step.parameters)
        used = [change, *reset.values(), *pull.values(), *at_spike.values(), *always.values()]
        lines = self._lines(used, states=step.taped)
        if change != 0:
            lines.append(f"dl_ds += {print_formula(change)};")
        lines.append("const vf change = dl_ds * slope;")
        for p, parameter in enumerate(self.compiled.population.trained):
            terms = [print_formula(always[parameter])] if parameter in always else []
            if parameter in at_spike:
                terms.append(f"(spiking ? splat({print_formula(at_spike[parameter])}) : vf{{}})")
            lines.append(f"g[{p}] = {' + '.join(terms) or 'vf{}'};")
        for name, value in reset.items():
            i = self.states.index(name)
            lines.append(f"lam[{i}] = spiking ? splat({print_formula(value)}) : lam[{i}];")
        for name, value in pull.items():
            lines.append(f"lam[{self.states.index(name)}] += {print_formula(value)};")
        return lines

    def _loud_lines(self) -> list[str]:
        if not self.steps.rests or self.step_back is not None:
            return ["return vi{} - 1;"]
        expression = self.steps.loud
        level = float(self.steps.threshold_level) * 0.999  # margin for rounding
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
        return [*lines, *self._changes(adjoint, gradients)]

    def _changes(
        self, adjoint: Mapping[str, sp.Expr], gradients: Mapping[str, sp.Expr]
    ) -> list[str]:
        lines = []
        for name, value in gradients.items():
            index = self.compiled.per_neuron.index(name)
            lines.append(f"gradient[{index} * STRIDE] += {print_formula(value)};")
        for name, value in adjoint.items():
            lines.append(f"lam[{self.states.index(name)}] = {print_formula(value)};")
        return lines

    def _disturbed(self) -> str:
        """Return noise and vetoes, and what spikes need that come steps after the crossing."""
        noise, veto = self.compiled.noise, self.compiled.population.veto
        if not noise and not veto:
            return ""
        state = self.states.index(str(self.steps.threshold_state))
        text = fill("disturbed", state=state, noise=repr(noise), veto=repr(veto))
        if not veto:
            return text
        text += fill("level", level=self._return(self.steps.threshold))
        jump = self.dynamics.jump
        if jump is None:
            return text
        adjoint = {s: self.compiled.fold(e) for s, e in jump.crossing.items()}
        gradients = {p: self.compiled.fold(e) for p, e in jump.crossing_parameters.items()}
        used = [*adjoint.values(), *gradients.values()]
        cross = self._lines(used, real=True, states=jump.records)
        return text + fill(
            "late",
            late_drive=self._return(jump.drive, real=True, states=jump.records),
            cross=indented([*cross, *self._changes(adjoint, gradients)]),
        )

    def _regularised(self) -> str:
        assert self.push is not None
        if self.step_back is not None:
            return fill("penalised", push=print_formula(self.push), averaged=boolean(self.averaged))
        return fill(
            "regularised",
            push=print_formula(self.push),
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
        floors = [self.compiled.population.floors.get(p, float("-inf")) for p in trained]
        lowest = ", ".join("-INFINITY" if f == float("-inf") else repr(float(f)) for f in floors)
        return fill(
            "per_neuron",
            names=", ".join(self.compiled.per_neuron),
            prepare=indented(self._prepare_lines()),
            gradient=indented(self._gradient_lines()),
            lowest=lowest or "0",
        )

    def _prepare_lines(self) -> list[str]:
        own = [symbol(name) for name in self.compiled.per_neuron]
        lines = [f"const double {cxx_name(s)} = value[{i}];" for i, s in enumerate(own)]
        at = {entry: i for i, entry in enumerate(self.arrays)}
        lines += [f"k[{at[s]} * STRIDE] = Real({cxx_name(s)});" for s in own]
        n = len(self.states)
        for prefix, flow in self.steps.flows():
            if self.steps.given(prefix):
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
                        (self.steps.entry_name(prefix, i, j), f"P[{i}][{j}]")
                        for i, j in flow.entries
                    ]
                    stored += [
                        (self.steps.offset_name(prefix, i), f"P[{i}][{n}]") for i in flow.offsets
                    ]
                if parameter is not None:
                    moved = self.steps.moved(flow, parameter)
                    stored += [
                        (self.steps.slope_name(prefix, parameter, i, j), f"dP[{i}][{j}]")
                        for i, j in moved
                    ]
                for name, entry in stored:
                    lines.append(f"    k[{at[internal(name)]} * STRIDE] = Real(step.{entry});")
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
            free = print_formula(sums[parameter][FREE])
            if HELD in sums[parameter]:
                held = print_formula(sums[parameter][HELD])
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
        return indented(lines)

    def _return(
        self, expression: sp.Expr, *, real: bool = False, states: tuple[str, ...] | None = None
    ) -> str:
        folded = self.compiled.fold(expression)
        lines = self._lines([folded], real=real, states=states)
        text = print_formula(folded)
        return indented([*lines, f"return {text};" if real else f"return splat({text});"])
