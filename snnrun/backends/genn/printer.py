"""SymPy expressions to GeNN's snippet language, and the assignments made of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import sympy as sp

from snnrun.backends.printer import Dialect, not_taken, print_in
from snnrun.backends.templates import fill_template
from snnrun.compile.derive import adjoint_symbol
from snnrun.models.equations import symbol

TAKEN = frozenset(  # by GeNN, by the templates, and by C
    """
    g gradient inSyn events_back due_back
    t dt id batch num_batch num_neurons Isyn scalar timepoint step n m at row fires held arrived
    count due emitted spikes remaining release release_now later arrival_slope events free_from
    forward backward parity drive slope dl_dt R Falling y label scale delta weight total top first
    past own other others p k peak peak_back kink pulled falling share rise moves push time_gradient
    mean_score loss at_output first_step label_silent potential slopes
    disturbed late waiting delayed strength pending pending_at cross_due crossed crossed_now
    held_back exploded noise_low noise_high veto_low veto_high
    spike_step event_step channel_start next left exp log sqrt tanh fabs pow fmin fmax rint
    min max abs id_pre id_post auto bool break case char const continue default do double else
    enum extern false float for goto if inline int long register return short signed sizeof static
    struct switch true typedef union unsigned void volatile while group INFINITY NAN
    int8_t int16_t int32_t int64_t uint8_t uint16_t uint32_t uint64_t
    """.split()  # noqa: SIM905
)
PREFIXES = (
    "lam_",
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

genn_name = not_taken(TAKEN, PREFIXES)
# A literal with a point or an exponent has the model's precision
DIALECT = Dialect(literal="{}", largest="fmax", smallest="fmin", name_of=genn_name)


def formula(expression: sp.Expr) -> str:
    """Return ``expression`` in GeNN's language."""
    return print_in(DIALECT, sp.sympify(expression))


def state_name(state: str) -> str:
    """Return the name of the variable that holds a state."""
    return genn_name(symbol(state))


def adjoint_name(state: str) -> str:
    """Return the name of the variable that holds dL/d(state)."""
    return genn_name(adjoint_symbol(state))


def sum_of(terms: Sequence[sp.Expr]) -> str:
    """Return terms, added in their order."""
    return " + ".join(formula(term) for term in terms) or "0.0"


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
