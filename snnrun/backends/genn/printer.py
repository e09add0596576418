"""SymPy expressions to GeNN's snippet language, and the assignments made of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property

import sympy as sp

from snnrun.backends.genn.description import Parameter
from snnrun.backends.printer import Dialect, not_taken, print_in
from snnrun.backends.templates import fill_template
from snnrun.compile.derive import adjoint_symbol
from snnrun.compile.flow import steps_of
from snnrun.compile.population import CompiledPopulation
from snnrun.models.equations import internal, symbol

TAKEN = frozenset(  # by GeNN, by the templates, and by C
    """
    g gradient inSyn events_back due_back
    t dt id batch num_batch num_neurons Isyn scalar timepoint step n m at row fires held
    count due emitted spikes remaining release release_now events free_from
    forward backward parity drive slope dl_dt R Falling y label scale delta weight total top first
    past own other others p k peak peak_back kink pulled falling share rise moves push time_gradient
    mean_score loss at_output first_step label_silent potential slopes
    noise_acts postponed delayed strength pending pending_at cross_due crossed crossed_now
    suppressed_at spike_dropout_below exploded noise_low noise_high spike_dropout_low
    spike_dropout_high
    spike_step event_step channel_start next left exp log sqrt tanh fabs pow fmin fmax rint
    min max abs id_pre id_post auto bool break case char const continue default do double else
    enum extern false float for goto if inline int long register return short signed sizeof static
    struct switch true typedef union unsigned void volatile while group INFINITY NAN
    z z_filtered out live shift emit away mismatch error error_rise error_decay mean_square square
    squared place underway underway_at past_at own_trace own_sum RISE_STEP DECAY_STEP KEEP_E
    KEEP_LAMBDA TRACE OWN_PULL RISE_DECAY DECAY_DECAY MEAN_DECAY BETA FLOOR NORM EPSILON W_MAX
    target_start target_step Feedback OWN_DECAY HET_A ACCUMULATOR_WEIGHT ACCUMULATOR_DECAY
    int8_t int16_t int32_t int64_t uint8_t uint16_t uint32_t uint64_t
    """.split()  # noqa: SIM905
)
PREFIXES = (
    "lam_",
    "inverse_",
    "reg_",
    "loss_",
    "shown_",
    "later_",
    "arrived_",
    "arrival_slope_",
    "pull_",
    "In_",
    "Apart_",
    "P_",
    "H_",
    "Pu_",
    "Hu_",
    "dP_",
    "dH_",
    "u_",
    "_",
    "spike_",
    "past_",
    "released_",
    "next_",
    "peak_",
    "tape_",
    "trace_",
    "gradient_",
    "kept_",
    "at_release_",
    "crossing_",
    "draw_",
    "gennrand",
)

DOUBLES = frozenset({"MEAN_DECAY"})  # numbers that are not rounded to the model's precision
genn_name = not_taken(TAKEN, PREFIXES)
# A literal with a point or an exponent has the model's precision
DIALECT = Dialect(literal="{}", largest="fmax", smallest="fmin", name_of=genn_name)


def formula(expression: sp.Expr | float) -> str:
    """Return ``expression``, or a number, in GeNN's language."""
    return print_in(DIALECT, sp.sympify(expression))


def state_name(state: str) -> str:
    """Return the name of the variable that holds a state."""
    return genn_name(symbol(state))


def factor(code: str) -> str:
    """Return code as a factor of a product."""
    return f"({code})" if " " in code else code


def adjoint_name(state: str) -> str:
    """Return the name of the variable that holds dL/d(state)."""
    return genn_name(adjoint_symbol(state))


def slope_name(port: str) -> str:
    """Return the name of the variable that holds how fast a port's adjoint changes (1/ms)."""
    return f"arrival_slope_{port}"


def pull_name(port: int) -> str:
    """Return the name of the variable that holds how arrivals at a port change the rate of V."""
    return f"pull_{port}"


class Formulas:
    """Prints expressions of a population, in which what all of its neurons share has names."""

    def __init__(self, compiled: CompiledPopulation) -> None:
        self.compiled = compiled
        self.steps = steps_of(compiled)
        self.numbers = {genn_name(s): value for s, value in self.steps.constants.items()}

    def __call__(self, expression: sp.Expr, at: str = "") -> str:
        """Return an expression; ``at`` names another time at which its states are taken."""
        there = {symbol(s): internal(f"{at}_{s}") for s in self.steps.states} if at else {}
        return formula(self.steps.in_code(expression).xreplace(there))

    def states_in(self, *expressions: sp.Expr) -> tuple[str, ...]:
        """Return the states that expressions use."""
        used = {s for e in expressions for s in self.steps.in_code(e).free_symbols}
        return tuple(s for s in self.steps.states if symbol(s) in used)

    @cached_property
    def taped(self) -> tuple[str, ...]:
        """States whose values before each step the way back needs."""
        used = [e for flows in self.steps.parameter_gradients().values() for e in flows.values()]
        for prefix, _ in self.steps.flows():
            used += [term for terms in self.steps.adjoint(prefix).values() for term in terms]
        return self.states_in(*used, *self.steps.defined(used).values())

    def advance(self, prefix: str) -> list[str]:
        """Return the step of the states."""
        return self._all(self.steps.advance(prefix), state_name)

    def adjoint(self, prefix: str) -> list[str]:
        """Return the step back of the adjoints; states of the past are called so."""
        return self._all(self.steps.adjoint(prefix), adjoint_name, "past")

    def _all(
        self, new: Mapping[str, list[sp.Expr]], name_of: Callable[[str], str], at: str = ""
    ) -> list[str]:
        sums = {s: " + ".join(self(term, at) for term in terms) for s, terms in new.items()}
        lines = at_once({name_of(s): code or "0.0" for s, code in sums.items()})
        return self.with_definitions(lines, [e for terms in new.values() for e in terms], at)

    def with_definitions(
        self, lines: list[str], used: Iterable[sp.Expr], at: str = ""
    ) -> list[str]:
        """Return lines behind what the expressions ``used`` in them stand for."""
        defined = self.steps.defined(used)
        if not defined:
            return lines
        first = [f"const scalar {genn_name(n)} = {self(e, at)};" for n, e in defined.items()]
        return ["{", *(f"    {line}" for line in (*first, *lines)), "}"]

    def changes(
        self, adjoint: Mapping[str, sp.Expr], parameters: Mapping[str, sp.Expr]
    ) -> list[str]:
        """Return what a spike does to the adjoints, and adds to the gradients of parameters."""
        new = {adjoint_name(s): self(e, "spike") for s, e in adjoint.items()}
        added = [f"gradient_{p} += {self(e, 'spike')};" for p, e in parameters.items()]
        return added + at_once(new)

    def resets(self) -> list[str]:
        """Return what a spike does to the states."""
        return at_once({state_name(s): self(e) for s, e in self.steps.resets.items()})

    def crosses(self) -> str:
        """Return the condition on which a neuron spikes."""
        return f"{self(self.steps.threshold_state)} >= {self(self.steps.threshold)}"


def used(code: str, numbers: Mapping[str, float]) -> tuple[Parameter, ...]:
    """Return parameters for the numbers that ``code`` names."""
    names = set(re.findall(r"[A-Za-z_]\w*", code))
    return tuple(
        Parameter(name=name, type="double" if name in DOUBLES else "scalar", value=value)
        for name, value in numbers.items()
        if name in names
    )


def at_once(new: Mapping[str, str]) -> list[str]:
    """Return statements that assign all ``new`` (variable -> code) with the values before them."""
    changed = {name: code for name, code in new.items() if code != name}
    if len(changed) == 1:
        return [f"{name} = {code};" for name, code in changed.items()]
    lines = [f"const scalar next_{name} = {code};" for name, code in changed.items()]
    return lines + [f"{name} = next_{name};" for name in changed]


def block(lines: Sequence[str], indent: int) -> str:
    """Return lines, indented by steps of four, each with its end."""
    return "".join(f"{'    ' * indent}{line}\n" for line in lines)


def fill(template: str, **fields: object) -> str:
    """Fill a template of this backend, and drop lines that stayed empty."""
    text = fill_template(__package__, template, fields)
    return "\n".join(line for line in text.splitlines() if line.strip()) + "\n"
