"""Populations of a network that learns online, as GeNN neuron models.

GeNN's synapses see what neurons had at the end of the step before, and errors of the outputs reach
hidden neurons through synapses, so that an eligibility can take part in the trial's step n two
steps of GeNN later. A trial is cut into segments, at updates of the weights; in GeNN's steps
0 .. count + 2 of a segment of ``count`` steps, dynamic parameters switch on

    emit    0 .. count - 1       spikes go out: those of a segment's last step wait for the next
                                 segment, so that they meet the updated weights
    live    1 .. count           neurons do their steps
    shift   2 .. count + 1       what synapses need of the step before becomes visible to them
    learn   3 .. count + 2       synapses do theirs

With an axonal delay of D steps, tables keep the spikes underway, and the last D values of what is
shown to the synapses. Scaled as in the native backend: shown_trace is z~ dt dt / decay.
"""

from __future__ import annotations

import numpy as np

from snnrun.backends.genn.description import Neurons, Parameter, Table, Variable
from snnrun.backends.genn.printer import Formulas, block, state_name, used
from snnrun.backends.genn.settings import Settings
from snnrun.backends.online import delay_steps, lag_steps, numbers_of, online_of
from snnrun.compile.population import CompiledPopulation
from snnrun.compile.program import Program
from snnrun.compile.steps import FREE, HELD

NONE = -9  # no event left: a step that is never compared with
FEEDBACK = "Feedback"  # input of hidden neurons that sums errors
LARGEST_PRODUCT = 8  # exponents up to it are written as products


def numbers_in(program: Program) -> dict[str, float]:
    """Return the numbers of the rule that GeNN's code may name."""
    rule, dt = online_of(program), program.dt
    return numbers_of(program) | {
        "RISE_STEP": dt / rule.tau_rise,
        "DECAY_STEP": dt / rule.tau_decay,
        "KEEP_E": 1 - dt / rule.tau_rise,
        "KEEP_LAMBDA": 1 - dt / rule.tau_decay,
        "TRACE": dt * (dt / rule.tau_decay),
        "OWN_PULL": 1e-3 * rule.het_rho,
    }


class OnlineNeurons:
    """Writes what all populations have in common: layer -1 is the input.

    ``sends``: there is a layer behind it.
    """

    def __init__(self, program: Program, layer: int, settings: Settings) -> None:
        self.program = program
        self.rule = online_of(program)
        self.layer = layer
        self.settings = settings
        self.delay = delay_steps(self.rule, program.dt)
        self.sends = layer < len(program.populations) - 1
        self.lag = lag_steps(program, layer + 1) if self.sends else 0
        self.numbers = numbers_in(program)

    @property
    def shown(self) -> dict[str, str]:
        """Return what the synapses, or the update, take of the neurons: name -> code."""
        return {"trace": "z_filtered * TRACE"} if self.sends else {}

    def shift(self) -> list[str]:
        """Return how that becomes visible, after the delay."""
        shown = self.shown
        if not self.delay:
            return [f"shown_{name} = {code};" for name, code in shown.items()]
        lines = ["const int at = past_at * num_neurons + id;"]
        for name, code in shown.items():
            lines += [f"shown_{name} = past_{name}[at];", f"past_{name}[at] = {code};"]
        return [*lines, f"past_at = (past_at + 1) % {self.delay};"]

    def arrivals(self) -> list[str]:
        """Return the presynaptic traces: ``out`` spikes of this neuron arrive in this step."""
        if not self.sends:
            return []
        return ["z += out;", "z -= z * RISE_STEP;", "z_filtered += (z - z_filtered) * DECAY_STEP;"]

    def queue(self, spikes: str) -> list[str]:
        """Return what makes ``spikes`` of this step arrive ``lag`` steps later, lag > 0."""
        if self.lag == 1:
            return [f"out = {spikes};"]
        return [
            "const int place = underway_at * num_neurons + id;",
            "out = underway[place];",
            f"underway[place] = {spikes};",
            f"underway_at = (underway_at + 1) % {self.lag - 1};",
        ]

    def variables(self) -> list[Variable]:
        """Return the variables of all this."""
        found = [Variable(name=f"shown_{name}") for name in self.shown]
        if self.delay and self.shown:
            found.append(Variable(name="past_at", type="int"))
        if self.sends:
            found += [Variable(name="z"), Variable(name="z_filtered")]
            found.append(Variable(name="out", type="int"))
            if self.lag > 1:
                found.append(Variable(name="underway_at", type="int"))
        return found

    def tables(self, size: int) -> list[Table]:
        """Return the tables of all this."""
        found = [self.scalars(f"past_{n}", self.delay * size) for n in self.shown if self.delay]
        if self.lag > 1:
            values = np.zeros((self.lag - 1) * size, np.int32)
            found.append(Table(name="underway", type="int", values=values))
        return found

    def scalars(self, name: str, count: int) -> Table:
        """Return a table of numbers."""
        return Table(name=name, type="scalar", values=np.zeros(count, self.settings.precision))

    def parameters(self, code: str) -> tuple[Parameter, ...]:
        """Return the switches, and the numbers that ``code`` names."""
        names = ["live", "shift", *(["emit"] if self.sends else [])]
        switches = (Parameter(name=name, type="int") for name in names)
        return (*switches, *used(code, self.numbers))


def conditional(condition: str, lines: list[str]) -> list[str]:
    """Return an if statement, or nothing where there is nothing to do."""
    return [f"if ({condition}) {{", *(f"    {line}" for line in lines), "}"] if lines else []


def next_event(events: str, position: str) -> list[str]:
    """Return what follows an event of a neuron: the step of the one after it, in ``due``."""
    at, end = f"{position}[id]", f"{events}_start[id + 1]"
    return [f"{at}++;", f"due = {at} < {end} ? (int){events}_step[{at}] : {NONE};"]


def event_tables(events: str, position: str, size: int, room: int) -> list[Table]:
    """Return tables of an example's events, neuron after neuron."""
    return [
        Table(name=f"{events}_step", type="uint16_t", values=np.zeros(room, np.uint16)),
        Table(name=f"{events}_start", type="uint32_t", values=np.zeros(size + 1, np.uint32)),
        Table(name=position, type="uint32_t", values=np.zeros(size, np.uint32)),
    ]


def online_input(program: Program, settings: Settings) -> Neurons:
    """Return the input: it emits the events of the example that the host put into its tables."""
    common = OnlineNeurons(program, -1, settings)
    size = program.network.input.size
    ahead = common.lag == 0  # what arrives in step n + 1 is what the example has there
    arrived = "events" if common.lag else "out"
    read = [
        f"{arrived} = 0;",
        f"while (due == {'n + 1' if ahead else 'n'}) {{",
        f"    {arrived}++;",
        *(f"    {line}" for line in next_event("event", "next")),
        "}",
    ]
    live = common.arrivals()
    if not ahead:
        live += ["int events = 0;", *read[1:], *common.queue("events")]
    lines = ["const int n = (int)t - 1;"]
    lines += conditional("shift", common.shift()) + conditional("live", live)
    lines += conditional("emit", read) if ahead else []
    code = block(lines, 0)
    return Neurons(
        name=program.network.input.name,
        size=size,
        sim_code=code,
        threshold="emit && out > 0",
        variables=(*common.variables(), Variable(name="due", type="int", value=NONE)),
        tables=(*common.tables(size), *event_tables("event", "next", size, 1)),
        parameters=common.parameters(code),
    )


class OnlineLayer(OnlineNeurons):
    """Writes a layer of neurons."""

    def __init__(self, program: Program, layer: int, settings: Settings) -> None:
        super().__init__(program, layer, settings)
        self.compiled: CompiledPopulation = program.populations[layer]
        self.formula = Formulas(self.compiled)
        self.steps = self.formula.steps
        self.numbers |= self.formula.numbers
        self.size = self.compiled.population.size
        self.output = not self.sends
        self.het = self.sends and self.rule.het_rho != 0

    def write(self) -> Neurons:
        """Return the population."""
        body = [*self.arrivals(), *self._advance(), *self._spiking()]
        body += self._errors() if self.output else [*self.queue("fires ? 1 : 0"), *self._own()]
        lines = ["const int n = (int)t - 1;", *conditional("shift", self.shift())]
        lines += conditional("live", body)
        code = block(lines, 0)
        return Neurons(
            name=self.compiled.population.name,
            size=self.size,
            sim_code=code,
            threshold="emit && out > 0" if self.sends else "",
            variables=tuple(self.variables()),
            tables=tuple(self.tables(self.size)),
            parameters=self.parameters(code),
            inputs=() if self.output else (FEEDBACK,),
        )

    @property
    def room(self) -> int:
        """How many spikes of a neuron in a trial find a place."""
        most = -(-self.program.steps // (self.compiled.refractory_steps + 1))
        return min(self.settings.spikes, most)

    @property
    def shown(self) -> dict[str, str]:
        """Return what the synapses, or the update, take of the neurons: name -> code."""
        found = super().shown | {"slope": "slope", "error": "error" if self.output else FEEDBACK}
        return found | ({"own": self._raised()} if self.het else {})

    def shift(self) -> list[str]:
        """Return how that becomes visible, after the delay; then the heterosynaptic sum."""
        lines = super().shift()
        if self.het:
            scaled = " * (shown_error * shown_error)" if self.rule.het_error_scaled else ""
            lines.append(f"own_sum[id] += shown_own{scaled};")
        return lines

    def variables(self) -> list[Variable]:
        """Return all variables."""
        found = [Variable(name=state_name(s)) for s in self.steps.states]  # set by the host
        found += [*super().variables(), Variable(name="slope")]
        if self.compiled.refractory_steps:
            found.append(Variable(name="left", type="int"))
        if self.output:
            found += [Variable(name=name) for name in ("error", "error_rise", "error_decay")]
            found += [Variable(name=name, type="double") for name in ("mean_square", "square")]
            found.append(Variable(name="due", type="int", value=NONE))
        if self.het:
            found.append(Variable(name="own_trace"))
        return found

    def tables(self, size: int) -> list[Table]:
        """Return all tables."""
        found = super().tables(size)
        found.append(Table(name="count", type="int", values=np.zeros(size, np.int32)))
        spikes = np.zeros(size * self.room, np.uint16)
        found.append(Table(name="spike_step", type="uint16_t", values=spikes))
        if self.output:
            found += event_tables("target", "next", size, 1)
        if self.het:
            found.append(self.scalars("own_sum", size))
        if self.settings.traced:
            count = size * self.program.steps
            found += [self.scalars(f"trace_{s}", count) for s in self.steps.states]
        return found

    def _advance(self) -> list[str]:
        """Return the neuron's step, and the surrogate derivative where it has arrived."""
        lines = [f"{state_name(self.steps.neuron.input)} += Isyn;"]
        free = self.formula.advance(FREE)
        if self.compiled.refractory_steps:
            lines.append("const bool held = left > 0;")
            lines += conditional("held", ["left--;", *self.formula.advance(HELD)])
            lines += ["else {", *(f"    {line}" for line in free), "}"]
        else:
            lines += free
        if self.settings.traced:
            lines += [
                f"trace_{s}[n * num_neurons + id] = {state_name(s)};" for s in self.steps.states
            ]
        V, level = (self.formula(e) for e in (self.steps.threshold_state, self.steps.threshold))
        return [
            *lines,
            f"const scalar away = 1.0 + fabs(({V} - ({level})) * BETA);",
            f"slope = {V} < FLOOR ? 0.0 : 1.0 / (away * away);",
        ]

    def _spiking(self) -> list[str]:
        held = self.compiled.refractory_steps
        inner = [
            f"if (count[id] < {self.room}) spike_step[id * {self.room} + count[id]] = n;",
            "count[id]++;",
            *self.formula.resets(),
            *([f"left = {held};"] if held else []),
        ]
        return [
            f"const bool fires = {'!held && ' if held else ''}{self.formula.crosses()};",
            *conditional("fires", inner),
        ]

    def _errors(self) -> list[str]:
        """Return the error of an output, and what is shown of it."""
        return [
            "scalar mismatch = fires ? -1.0 : 0.0;",
            "while (due == n) {",
            "    mismatch += 1.0;",
            *(f"    {line}" for line in next_event("target", "next")),
            "}",
            "error_rise = error_rise * RISE_DECAY + mismatch;",
            "error_decay = error_decay * DECAY_DECAY + mismatch;",
            "error = (error_decay - error_rise) * NORM;",
            "const double squared = (double)error * (double)error;",
            f"mean_square = mean_square * MEAN_DECAY + squared * {self.program.dt * 0.001!r}d;",
            "square += squared;",
        ]

    def _own(self) -> list[str]:
        """Return the trace of a hidden neuron's own spikes."""
        if not self.het:
            return []
        return ["own_trace *= OWN_DECAY;", "if (fires) own_trace += 1.0;"]

    def _raised(self) -> str:
        a = self.rule.het_a
        if a == 0:
            return "1.0"
        if a == int(a) <= LARGEST_PRODUCT:
            return " * ".join(["own_trace"] * int(a))
        return "pow(own_trace, HET_A)"
