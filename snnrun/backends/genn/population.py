"""A population as a GeNN neuron model: its steps in both passes, printed from the derivation.

GeNN's step 0 sets the states to their initial values and moves nothing, so that nothing is left of
an earlier trial; step n of the trial is GeNN's step n + 1. On the way back GeNN's step s is step
m = STEPS - 1 - s of the trial. An event that reaches a presynaptic neuron in GeNN's step s + 1 was
raised in step s; so a spike of step m - 1 is raised in step m, whose input adjoint it then finds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from snnrun.backends.genn.arrivals import inputs_of, own_inputs
from snnrun.backends.genn.description import Access, Neurons, Parameter, Table, Variable
from snnrun.backends.genn.late import LateSpikes
from snnrun.backends.genn.network_noise import NetworkNoise
from snnrun.backends.genn.printer import (
    Formulas,
    adjoint_name,
    block,
    fill,
    formula,
    genn_name,
    slope_name,
    state_name,
    used,
)
from snnrun.backends.genn.readout import Watched
from snnrun.backends.genn.settings import Settings
from snnrun.compile.derive import ARRIVAL, RELEASE, SPIKE_TIME_GRADIENT
from snnrun.compile.population import CompiledPopulation
from snnrun.compile.program import Program
from snnrun.compile.steps import FREE, HELD
from snnrun.errors import ConfigError
from snnrun.models.equations import internal

NONE = -9  # no spike left: a step that is never compared with
# Set by the host after the forward pass: spikes of the layer, 1 / examples of the mini-batch
REGULARISED = [Variable(name=n, access=Access.OF_EXAMPLE) for n in ("total", "scale")]
MOST_ENTRIES = 2**31 - 1  # GeNN's snippets index with int


class PopulationWriter:
    """Writes one population. ``watched`` is what the loss adds to it; of hidden layers nothing."""

    def __init__(
        self, program: Program, compiled: CompiledPopulation, settings: Settings, watched: Watched
    ) -> None:
        self.program = program
        self.compiled = compiled
        self.formula = Formulas(compiled)
        self.steps = self.formula.steps
        self.dynamics = compiled.dynamics
        self.states = compiled.dynamics.neuron.states
        self.settings = settings
        self.watched = watched
        self.size = compiled.population.size
        self.name = compiled.population.name
        self.push = program.push(compiled)  # at each spike, or None
        self.network_noise = NetworkNoise(self.formula, settings)
        self._late = LateSpikes(settings.batch * self.size, settings.late_steps, program.steps)

    def write(self) -> Neurons:
        """Return the population."""
        sim_code = self._sim_code()
        reset_code = self._reset_code() if self.compiled.spiking else ""
        numbers = used(sim_code + reset_code, {**self.formula.numbers, **self.watched.numbers})
        return Neurons(
            name=self.name,
            size=self.size,
            sim_code=sim_code,
            threshold="fires" if self.compiled.spiking else "",
            reset_code=reset_code,
            variables=tuple(self._variables()),
            tables=tuple(self._tables()),
            parameters=(*self._switches(), *self.network_noise.parameters, *numbers),
            inputs=(
                *own_inputs(self.program, self.name),
                *(("R",) if self._has_targets else ()),
                *self.watched.inputs,
            ),
        )

    @property
    def _has_targets(self) -> bool:
        """Whether spikes arrive anywhere, and so get something sent back."""
        return any(p.source == self.name for p in self.program.network.projections)

    @property
    def _ports(self) -> tuple[str, ...]:
        return self.dynamics.neuron.ports

    @property
    def _answering(self) -> list[str]:
        """Ports from which something is sent back to spikes."""
        network = self.program.network
        sources = (
            p for p in network.layer(self.name).projections if p.source != network.input.name
        )
        return [self._ports[port] for port in sorted({network.port_of(p) for p in sources})]

    @property
    def _averaged(self) -> bool:
        """Whether a regulariser sees spike counts averaged over the mini-batch."""
        return self.push is not None and self.program.average_spikes

    @property
    def _counted(self) -> bool:
        """Whether a regulariser sees each example's spike counts."""
        return self.push is not None and not self.program.average_spikes

    @property
    def _refractory(self) -> int:
        return self.compiled.refractory_steps

    @property
    def _released(self) -> tuple[str, ...]:
        """States whose values at the end of a refractory period are needed."""
        jump = self.dynamics.jump
        if jump is None or jump.release is None:
            return ()
        return self.formula.states_in(jump.release)

    # What the neurons hold
    def _variables(self) -> list[Variable]:
        found = [Variable(name=state_name(s)) for s in self.states]
        found += [Variable(name=adjoint_name(s)) for s in self.states]
        found += [Variable(name=slope_name(port)) for port in self._answering]
        found += [
            Variable(name=genn_name(s), access=Access.COMMON) for s in self.steps.coefficients
        ]
        found += [Variable(name=f"gradient_{p}") for p in self.compiled.population.trained]
        if self.compiled.spiking:
            found.append(Variable(name="due", type="int", value=NONE))
        if self._refractory:
            found.append(Variable(name="free_from", type="int"))
        if self.push is not None:
            found += REGULARISED
        return [*found, *self.network_noise.variables, *self.watched.variables]

    def _tables(self) -> list[Table]:
        neurons = self.settings.halves * self.settings.batch * self.size
        if self.compiled.spiking and neurons * self.settings.spikes > MOST_ENTRIES:
            raise ConfigError(
                f"N_MAX_SPIKE={self.settings.spikes}: the buffer of {neurons:,} neurons would have "
                f"more entries than GeNN can index; use at most N_MAX_SPIKE="
                f"{MOST_ENTRIES // neurons}, or a smaller N_BATCH"
            )
        found = []
        if self.compiled.spiking:
            count = neurons * self.settings.spikes
            assert self.dynamics.jump is not None
            each = np.zeros(self.settings.batch * self.size, np.int32)
            names = ["count", "remaining", *(["emitted"] if self._counted else [])]
            found += [Table(name=name, type="int", values=each) for name in names]
            if self._averaged:
                found.append(self._table("average", self.size))
            if self._refractory:
                found.append(self._table("release", len(each)))
            found += [Table(name="spike_step", type="uint16_t", values=np.zeros(count, np.uint16))]
            kept = [f"kept_{s}" for s in self.dynamics.jump.records]
            kept += [f"at_release_{s}" for s in self._released]
            found += [self._table(name, count) for name in kept] + self._late.tables
        found += [
            self._table(f"tape_{s}", neurons * self.program.steps) for s in self.formula.taped
        ]
        if self.settings.traced:
            found += [
                self._table(f"trace_{s}", self.size * self.program.steps) for s in self.states
            ]
        return [*found, *self.network_noise.tables, *self.watched.tables]

    def _table(self, name: str, count: int) -> Table:
        return Table(name=name, type="scalar", values=np.zeros(count, self.settings.precision))

    def _switches(self) -> list[Parameter]:
        names = ["forward", "backward", *(("parity",) if self.settings.pipeline else ())]
        return [Parameter(name=name, type="uint8_t") for name in names]

    # What they do in a step
    def _sim_code(self) -> str:
        steps = self.program.steps
        return fill(
            "population",
            declarations=block(self._declarations(), 0),
            steps=steps,
            last=steps - 1,
            later=block(
                [f"const scalar later_{p} = {adjoint_name(p)};" for p in self._answering], 2
            ),
            backward_start=block(self._backward_start(), 2),
            jump=block(self._jump(), 2),
            drive=block(self.watched.drive(self._row("m")), 2),
            gradient=block(self._parameter_gradients(), 2),
            adjoint=block(self._by_flow(self.formula.adjoint), 2),
            slopes=block(self._arrival_slopes(), 2),
            start=block(self._start(), 2),
            advance=block(self._advance(), 2),
            after=block(self.watched.after(self._row), 1),
        )

    def _declarations(self) -> list[str]:
        """Return what threshold and reset code see too."""
        if not self.compiled.spiking:
            return []
        return [
            "bool fires = false;",
            *(f"scalar arrived_{port} = 0.0;" for port in self._ports),
            "const int own = batch * num_neurons + id;",
            *self.network_noise.declarations,
        ]

    def _half(self, *, back: bool) -> str:
        """Return which half of the buffers a pass uses, as a factor of their index."""
        if not self.settings.pipeline:
            return "batch"
        return f"({'(1 - parity)' if back else 'parity'} * num_batch + batch)"

    def _row(self, step: str, *, back: bool | None = None) -> str:
        """Return the index of this neuron in a table of all steps."""
        half = self._half(back=step == "m" if back is None else back)
        return f"({half} * {self.program.steps} + {step}) * num_neurons + id"

    def _spike(self, which: str, *, back: bool) -> str:
        """Return the index of one of this neuron's spikes."""
        half = self._half(back=back)
        return f"({half} * num_neurons + id) * {self.settings.spikes} + {which}"

    def _start(self) -> list[str]:
        lines = [f"{state_name(s)} = {self.formula(e)};" for s, e in self.steps.initial.items()]
        if self.compiled.spiking:
            lines += ["count[own] = 0;", f"if (!backward) due = {NONE};", *self._late.start]
        if self._refractory:
            lines.append("free_from = 0;")
        return [*lines, *self.network_noise.start, *self.watched.start]

    def _advance(self) -> list[str]:
        lines = [
            f"{state_name(self._ports[port])} += {' + '.join(names)};"
            for port, names in inputs_of(self.program, self.name).items()
        ]
        lines += self.watched.arrivals
        if self.compiled.spiking:
            lines += [f"arrived_{port} = {state_name(port)};" for port in self._ports]
        lines += [f"tape_{s}[{self._row('n')}] = {state_name(s)};" for s in self.formula.taped]
        if self._refractory:
            lines.append("const bool held = n < free_from;")
        lines += self._by_flow(self.formula.advance)
        lines += self.network_noise.add_noise(self._refractory > 0)
        lines += self.watched.observe(self._row("n"))
        if self.settings.traced:
            stores = [f"trace_{s}[n * num_neurons + id] = {state_name(s)};" for s in self.states]
            lines += ["if (batch == 0) {", *(f"    {line}" for line in stores), "}"]
        if self.compiled.spiking:
            free = "!held && " if self._refractory else ""
            lines.append(f"fires = {free}{self.formula.crosses()};")
        lines += self.network_noise.drop_spikes
        if self._refractory:
            lines += self._keep_released()
        return lines

    def _by_flow(self, step: Callable[[str], list[str]]) -> list[str]:
        """Return the lines of the free flow, or of the one that holds now."""
        free = step(FREE)
        if not self._refractory:
            return free
        held = step(HELD)
        inner = [f"    {line}" for line in held], [f"    {line}" for line in free]
        return ["if (held) {", *inner[0], "}", "else {", *inner[1], "}"]

    def _keep_released(self) -> list[str]:
        limit = self.settings.spikes
        at = self._spike("count[own] - 1", back=False)
        return [
            f"if (n == free_from - 1 && count[own] > 0 && count[own] <= {limit}) {{",
            f"    const int at = {at};",
            *(f"    at_release_{s}[at] = {state_name(s)};" for s in self._released),
            "}",
        ]

    def _reset_code(self) -> str:
        jump = self.dynamics.jump
        assert jump is not None
        at = self._spike("count[own]", back=False)
        kept = [f"    kept_{s}[at] = {self.network_noise.at_spike(s)};" for s in jump.records]
        kept += self.network_noise.kept
        lines = [
            f"if (count[own] < {self.settings.spikes}) {{",
            f"    const int at = {at};",
            "    spike_step[at] = n;",
            *kept,
            "}",
            *self.watched.spike,
            *self._late.spike,
            "count[own]++;",
        ]
        if self._refractory:
            lines.append(f"free_from = n + 1 + {self._refractory};")
        return block([*lines, *self.formula.resets()], 0)

    # On the way back
    def _backward_start(self) -> list[str]:
        lines = [f"{adjoint_name(s)} = 0.0;" for s in self.states]
        lines += [f"{slope_name(port)} = 0.0;" for port in self._answering]
        if self.compiled.spiking:
            lines.append(f"remaining[own] = min(count[own], {self.settings.spikes});")
            if self._counted:
                lines.append("emitted[own] = count[own];")
            lines += self._next_spike()
        if self._refractory:
            lines.append("release[own] = 0.0;")
        lines += self.network_noise.backward_start
        return lines + self.watched.backward_start(adjoint_name(self.states[0]))

    def _arrival_slopes(self) -> list[str]:
        per_dt = formula(1 / self.program.dt)
        return [
            f"{slope_name(p)} = ({adjoint_name(p)} - later_{p}) * {per_dt};"
            for p in self._answering
        ]

    def _next_spike(self) -> list[str]:
        at = self._spike("remaining[own] - 1", back=True)
        return [f"due = remaining[own] > 0 ? (int)spike_step[{at}] : {NONE};"]

    def _load(self, table: str, states: Sequence[str], prefix: str, at: str) -> list[str]:
        return [f"const scalar {prefix}_{s} = {table}_{s}[{at}];" for s in states]

    def _release(self) -> list[str]:
        """Return what the end of a refractory period sends to the spike that began it."""
        jump = self.dynamics.jump
        assert jump is not None
        assert jump.release is not None
        return [
            f"if (due >= 0 && m == due + {self._refractory}) {{",
            f"    const int at = {self._spike('remaining[own] - 1', back=True)};",
            *(f"    {x}" for x in self._load("at_release", self._released, "released", "at")),
            f"    release[own] = {self.formula(jump.release, 'released')};",
            "}",
        ]

    def _jump(self) -> list[str]:
        jump = self.dynamics.jump
        if jump is None:
            return []
        lines = self._release() if self._refractory else []
        lines += self.network_noise.cross
        timed = self.watched.timed
        drive = jump.strength.subs(
            ({} if timed else {SPIKE_TIME_GRADIENT: 0})
            | {RELEASE: internal("release_now")}
            | ({} if self._has_targets else {ARRIVAL: 0})
        )
        inner = [
            f"const int at = {self._spike('remaining[own] - 1', back=True)};",
            *self._load("kept", jump.records, "spike", "at"),
            f"const scalar slope = {self.formula(jump.slope, 'spike')};",
            "const scalar dl_dt = remaining[own] == 1 ? time_gradient : 0.0;" if timed else "",
            "const scalar release_now = release[own];" if self._refractory else "",
            *self.network_noise.drive(self.formula(drive, "spike")),
            *self.formula.changes(jump.adjoint, jump.parameters),
            *self._pushed(),
            "release[own] = 0.0;" if self._refractory else "",
            "remaining[own]--;",
            *self._next_spike(),
        ]
        lines += ["if (due == m) {", *(f"    {line}" for line in inner if line), "}"]
        if self._refractory:
            lines.append(f"const bool held = due >= 0 && due < m && m <= due + {self._refractory};")
        return lines

    def _pushed(self) -> list[str]:
        """Return the regulariser's push at a spike."""
        if self.push is None:
            return []
        pushed = adjoint_name(str(self.steps.threshold_state))
        push = self.formula(self.push.subs({internal("n"): internal("spikes")}))
        seen = "average[id]" if self._averaged else "emitted[own]"
        return [f"const scalar spikes = {seen};", f"{pushed} += ({push}) * scale;"]

    def _parameter_gradients(self) -> list[str]:
        lines = []
        if taped := self.formula.taped:
            lines = [
                f"const int row = {self._row('m')};",
                *self._load("tape", taped, "past", "row"),
            ]
        sums = self.steps.parameter_gradients()

        def added(prefix: str) -> list[str]:
            found = {p: flows[prefix] for p, flows in sums.items()}
            code = [f"gradient_{p} += {self.formula(e, 'past')};" for p, e in found.items()]
            return self.formula.with_definitions(code, found.values(), "past")

        return lines + (self._by_flow(added) if sums else [])
