"""SymPy expressions to C++ with typed literals."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable

import sympy as sp

from snnrun.backends.printer import Dialect, not_taken, print_in
from snnrun.backends.templates import fill_template

INDENT = " " * 8

TAKEN = frozenset(  # by the generated functions, the runtime and C++
    """
    x k v lam input kept spiking gradient inverse_slope R dl_dt release drive held g value step
    A dA DT EULER SIZE STATES INPUT READOUT RECORDS REFRACTORY PER_NEURON TRAINED ARRAYS SPIKING
    TIMED RESTS REGULARISED AVERAGED THRESHOLD_STATE COUNTED DISCRETE LINEAR NOISE STRIDE
    DURATION SILENT_EXCLUDED SPIKE_DROPOUT push n total
    distance reach change slope dl_ds kept TAPED
    X Y K KV own bound rises shared of Numbers NUMBERS NOISY DROPS_SPIKES LEVEL_PER_STEP
    Number Real Int vf vi vectors splat maximum minimum
    exp log sqrt tanh fabs pow floor sign side growth growth_slope series factorial
    GROWTH GROWTH_SLOPE count count_of MOST_SPIKES alignas and asm auto bool
    break case catch char class const constexpr continue default delete do double else enum explicit
    export extern false float for friend goto if inline int long mutable namespace new noexcept not
    operator or private protected public register return short signed sizeof static struct switch
    template this throw true try typedef typeid typename union unsigned using virtual void volatile
    while xor INFINITY NAN
    """.split()  # noqa: SIM905
)
PREFIXES = (
    "lam_",
    "inverse_",
    "reg_",
    "bound_",
    "P_",
    "H_",
    "Pu_",
    "Hu_",
    "dP_",
    "dH_",
    "u_",
    "__",
    "SNN_",
    "_",
)

cxx_name = not_taken(TAKEN, PREFIXES)


def print_formula(expression: sp.Expr, literal: str = "Real({})") -> str:
    """Return ``expression`` as C++."""
    dialect = Dialect(
        literal=literal,
        largest="maximum",
        smallest="minimum",
        name_of=cxx_name,
        sign="sign",
        side="side",
        growth="growth",
        growth_slope="growth_slope",
    )
    return print_in(dialect, expression)


def fill(template: str, **fields: object) -> str:
    """Fill a template of this backend."""
    return fill_template(__package__, template, fields)


def indented(lines: list[str]) -> str:
    """Return the lines of a function's body."""
    return "\n".join(INDENT + line for line in lines)


def wrapped(names: Iterable[str], indent: int = 12) -> str:
    """Return a list with commas, in several lines where it is long."""
    return textwrap.fill(", ".join(names), 70).replace("\n", "\n" + " " * indent)


def boolean(value: bool) -> str:
    """Return a C++ literal."""
    return "true" if value else "false"
