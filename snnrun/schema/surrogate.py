"""Options of rule=surrogate."""

from __future__ import annotations

from snnrun.keys.key import when
from snnrun.keys.kinds import FLOAT
from snnrun.keys.table import row, switch, text

SURROGATE = (when("rule.name", "surrogate"),)

# fmt: off
SURROGATE_ROWS = (
    text(
        "rule.surrogate", "fast_sigmoid",
        "What stands for the derivative of a spike by x, the state's distance above the threshold, "
        "or the dotted path of your own: fast_sigmoid 1/(scale|x| + 1)^2; sigmoid scale s(1 - s) "
        "with s = 1/(1 + exp(-scale x)); arctan scale/2 / (1 + (pi/2 scale x)^2); triangular "
        "max(0, 1 - scale|x|); piecewise_linear 1/threshold for x >= -window, else 0.",
        choices=("fast_sigmoid", "sigmoid", "arctan", "triangular", "piecewise_linear"),
        dotted_path=True, active_if=SURROGATE,
    ),
    row(
        "rule.scale", None,
        "Steepness of the surrogates but piecewise_linear, 1 / units of the potential. Larger: "
        "only neurons near their threshold learn.",
        kind=FLOAT, above=0, nullable=True,
        null="the surrogate's own: fast_sigmoid 10, sigmoid 10, arctan 2, triangular 1",
        active_if=SURROGATE,
    ),
    row(
        "rule.window", None,
        "How far below the threshold piecewise_linear begins, in units of the potential.",
        kind=FLOAT, above=0, nullable=True, null="the surrogate's own: 0.5",
        active_if=SURROGATE,
    ),
    switch(
        "rule.detach_reset", True,
        "Let a reset count as a constant: its size is differentiated, but not that it happens.",
        active_if=SURROGATE,
    ),
)
# fmt: on
