"""A compiled population as a C++ struct: the functions that the runtime's passes call."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

import sympy as sp

from snnrun.backends.native.body import Body
from snnrun.backends.native.per_neuron import PerNeuron
from snnrun.backends.native.printer import boolean, cxx_name, fill, indented, wrapped
from snnrun.compile.discrete import REACH, StepBack
from snnrun.compile.flow import steps_of
from snnrun.compile.population import CompiledPopulation
from snnrun.compile.steps import HELD
from snnrun.models.equations import internal, symbol

USUAL_NAME = re.compile(r"hidden\d*|output")


class PopulationEmitter:
    """Writes one population.

    ``timed``: its spike times enter the loss. ``push``: of the regulariser at each spike, or None;
    ``averaged``: it sees means over the mini-batch.
    """

    per_neuron: type[PerNeuron] = PerNeuron

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
        self.ports = self.neuron.ports
        self.body = Body(compiled, self.steps)

    @property
    def numbers(self) -> dict[str, float]:
        """C++ name -> value of what all neurons share, of those that emit() has used."""
        return self.body.numbers

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
            "ports": len(self.ports),
            "port": ", ".join(str(self.states.index(port)) for port in self.ports),
            "records": len(dynamics.jump.records) if dynamics.jump else 0,
            "refractory": compiled.refractory_steps,
            "per_neuron": len(compiled.per_neuron),
            "trained": len(compiled.population.trained),
            "arrays": len(self.arrays),
            "spiking": boolean(compiled.spiking),
            "timed": boolean(self.timed),
            "regularised": boolean(self.push is not None),
            "threshold_state": self._threshold_state,
            "most_spikes": compiled.population.most_spikes,
            "counted": boolean(self.neuron.count is not None),
            "taped": 0 if self.step_back is None else len(self.step_back.taped),
            "discrete": boolean(self.step_back is not None),
            "linear": boolean(self.steps.linear),
            "noisy": boolean(compiled.noise > 0),
            "drops_spikes": boolean(compiled.population.spike_dropout > 0),
            "step": self.steps.step,
            "back": self.steps.back,
            "before": self._before,
            "rests": boolean(self.steps.rests and self.step_back is None),
            "start": self.body.assign("x", self.steps.initial),
            "advance": self.body.assign("x", self.steps.advance()),
            "adjoint": self.body.assign("lam", self.steps.adjoint(), adjoint=True),
            "rate": self.body.returned(dynamics.readout_rate, real=True),
            "pull": self._pull(),
            "parts": "".join(self._parts()),
        }
        names = wrapped(self.numbers)
        return fill(
            "population",
            numbers=len(self.numbers),
            declared=f"        X {names};\n" if names else "",
            values=wrapped(f"number<X>(v[{i}])" for i in range(len(self.numbers))),
            **parts,
        )

    def _parts(self) -> Iterator[str]:
        """Yield what only some populations have."""
        if self.compiled.spiking:
            yield self._spiking()
        yield self._signals()
        if self.push is not None:
            yield self._regularised()
        if self.dynamics.held:
            yield self._refractory()
        yield self._perturbed()
        if self.compiled.per_neuron:
            yield self.per_neuron(self.body).write()

    def _pull(self) -> str:
        """Return how the rate of the readout changes with the state of each port."""
        pulls = [sp.sympify(pull) for pull in self.dynamics.readout_pulls]
        lines = self.body.lines(pulls, real=True)
        for port, pull in enumerate(pulls[1:], 1):
            lines.append(f"if (port == {port}) return {self.body.print(pull)};")
        return indented([*lines, f"return {self.body.print(pulls[0])};"])

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
            *self.body.lines([state, threshold]),
            f"return {cxx_name(state)} >= splat({self.body.print(threshold)});",
        ]
        resets = self.steps.resets
        reset = self.body.lines([*resets.values(), *(symbol(s) for s in resets)])
        for name, value in resets.items():
            i = self.states.index(name)
            reset.append(
                f"x[{i}] = spiking ? splat({self.body.print(value)}) : {cxx_name(symbol(name))};"
            )
        jump, keep = self.dynamics.jump, []
        for r, name in enumerate(jump.records if jump else ()):
            source = f"x[{self.states.index(name)}]"
            if name in self.ports:
                source = f"in[{self.ports.index(name)}]"
            keep.append(f"kept[{r}] = {source};")
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
        self.body.use({internal("LEVEL_PER_STEP")})
        return fill(
            "jump",
            slope=self.body.returned(jump.slope, real=True, states=jump.records),
            jump=indented(self._jump_lines()),
        )

    def _step_back(self) -> str:
        """Return the way back of a discrete rule (see compile/discrete.py)."""
        step = self.step_back
        assert step is not None
        taped = step.taped
        tape = [f"kept[{i}] = x[{self.states.index(name)}];" for i, name in enumerate(taped)]
        distance, reach = sp.sympify(step.distance), sp.sympify(step.reach)
        inner = [f"const vf distance = {self.body.print(distance)};"]
        if REACH in step.slope.free_symbols:
            inner.append(f"const vf reach = splat({self.body.print(reach)});")
        value = f"splat({self.body.print(step.slope)})"
        used = [distance, reach, *(e for e in (step.slope, step.low, step.high) if e is not None)]
        bounds = [
            f"(distance {sign} splat({self.body.print(bound)}))"
            for sign, bound in ((">=", step.low), ("<=", step.high))
            if bound is not None
        ]
        if bounds:
            value = f"{' & '.join(bounds)} ? {value} : vf{{}}"
        return fill(
            "discrete",
            tape=indented(tape),
            surrogate=indented([*self.body.lines(used, states=taped), *inner, f"return {value};"]),
            reset=_of_reset(step),
            step_back=indented(self._step_back_lines(step)),
        )

    def _step_back_lines(self, step: StepBack) -> list[str]:
        def folded(expressions: Mapping[str, sp.Expr]) -> dict[str, sp.Expr]:
            return {name: sp.sympify(value) for name, value in expressions.items()}

        change = sp.sympify(step.reset_change or 0)
        reset, pull = folded(step.reset), folded(step.pull)
        at_spike, always = folded(step.reset_parameters), folded(step.parameters)
        used = [change, *reset.values(), *pull.values(), *at_spike.values(), *always.values()]
        lines = self.body.lines(used, states=step.taped)
        if change != 0:
            lines.append(f"dl_ds += {self.body.print(change)};")
        lines.append("const vf change = dl_ds * slope;")
        for p, parameter in enumerate(self.compiled.population.trained):
            terms = [self.body.print(always[parameter])] if parameter in always else []
            if parameter in at_spike:
                terms.append(f"(spiking ? splat({self.body.print(at_spike[parameter])}) : vf{{}})")
            lines.append(f"g[{p}] = {' + '.join(terms) or 'vf{}'};")
        for name, value in reset.items():
            i = self.states.index(name)
            lines.append(f"lam[{i}] = spiking ? splat({self.body.print(value)}) : lam[{i}];")
        for name, value in pull.items():
            lines.append(f"lam[{self.states.index(name)}] += {self.body.print(value)};")
        return lines

    def _can_spike_lines(self) -> list[str]:
        if not self.steps.rests or self.step_back is not None:
            return ["return vi{} - 1;"]
        bound, level = self.steps.spike_bound, self.steps.threshold_level
        terms = [f"bound += {self.body.print(term)};" for term in sp.Add.make_args(bound)]
        return [
            *self.body.lines([bound, level]),
            "vf bound = {};",
            *terms,
            f"const vi rises = bound >= splat({self.body.print(level)});",
            "return rises | crosses(x, k);  // a reset may leave it above the threshold",
        ]

    def _jump_lines(self) -> list[str]:
        jump = self.dynamics.jump
        assert jump is not None
        drive = sp.sympify(jump.strength)
        adjoint = {s: sp.sympify(e) for s, e in jump.adjoint.items()}
        gradients = {p: sp.sympify(e) for p, e in jump.parameters.items()}
        used = [drive, *adjoint.values(), *gradients.values()]
        lines = self.body.lines(used, real=True, states=jump.records)
        lines.append(f"const Real drive = ({self.body.print(drive)}) * inverse_slope;")
        return [*lines, *self._changes(adjoint, gradients)]

    def _changes(
        self, adjoint: Mapping[str, sp.Expr], gradients: Mapping[str, sp.Expr]
    ) -> list[str]:
        lines = []
        for name, value in gradients.items():
            index = self.compiled.per_neuron.index(name)
            lines.append(f"gradient[{index} * STRIDE] += {self.body.print(value)};")
        for name, value in adjoint.items():
            lines.append(f"lam[{self.states.index(name)}] = {self.body.print(value)};")
        return lines

    def _signals(self) -> str:
        """Return what plastic projections take of the neurons in each step (see rules/learning)."""
        found = dict(zip(("plus", "minus"), self.compiled.signals, strict=True))
        parts = [
            fill("signal", name=name, value=self.body.returned(expression))
            for name, expression in found.items()
            if expression is not None
        ]
        flags = {name: boolean(expression is not None) for name, expression in found.items()}
        return fill("signals", **flags) + "".join(parts)

    @property
    def _threshold_state(self) -> int:
        """Number of the state that is compared with the threshold; 0 where there is none."""
        if not self.compiled.spiking:
            return 0
        return self.states.index(str(self.steps.threshold_state))

    def _perturbed(self) -> str:
        """Return what noise needs, and spikes that come steps after the crossing."""
        strength = {
            "NOISE": self.compiled.noise,
            "SPIKE_DROPOUT": self.compiled.population.spike_dropout,
        }
        self.body.use({internal(name) for name, value in strength.items() if value > 0})
        if not strength["SPIKE_DROPOUT"]:
            return ""
        text = fill("level", level=self.body.returned(self.steps.threshold))
        jump = self.dynamics.jump
        if jump is None:
            return text
        adjoint = {s: sp.sympify(e) for s, e in jump.crossing.items()}
        gradients = {p: sp.sympify(e) for p, e in jump.crossing_parameters.items()}
        used = [*adjoint.values(), *gradients.values()]
        cross = self.body.lines(used, real=True, states=jump.records)
        return text + fill(
            "postponed",
            strength=self.body.returned(jump.strength, real=True, states=jump.records),
            cross=indented([*cross, *self._changes(adjoint, gradients)]),
        )

    def _regularised(self) -> str:
        assert self.push is not None
        lines = self.body.lines([self.push], real=True, states=())
        push = indented([*lines, f"return {self.body.print(self.push)};"])
        if self.step_back is not None:
            return fill("penalised", push=push, averaged=boolean(self.averaged))
        return fill("regularised", push=push, averaged=boolean(self.averaged))

    def _refractory(self) -> str:
        jump, release = self.dynamics.jump, ""
        if jump is not None and jump.release is not None:
            release = fill("release", release=self.body.returned(jump.release, real=True))
        return fill(
            "refractory",
            held=", ".join(self.neuron.held),
            advance=self.body.assign("x", self.steps.advance(HELD)),
            adjoint=self.body.assign("lam", self.steps.adjoint(HELD), adjoint=True),
            before=self._before,
            release_part=release,
        )


def _of_reset(step: StepBack) -> str:
    """Say what of a reset is differentiated."""
    if step.reset_change is None:
        return "its reset counts as a constant"
    return f"but for the reset of {' and '.join(step.detached)}" if step.detached else "all of it"
