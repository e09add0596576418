"""Regularisers of the hidden layers' activity: a push at each spike, declared as an expression.

Walking back through a spike of a hidden neuron, the derivative of the loss by its potential gets

    dL/dV += TAU_MEM x balance x push(n, total, size) / B

for n spikes of this neuron and ``total`` of its layer of ``size`` neurons in the trial, and B
examples in the mini-batch. It is no derivative of a penalty, and silent neurons get none. With
AVG_SNSUM, n and ``total`` are means over the mini-batch, the same for all of its examples.

Strengths are those of the reference, so that published values mean the same. Its adjoint of V is
-dL/dV / TAU_MEM, which gives the first factor. Its losses on potentials drive that adjoint too
weakly, so that the same LBD_UPPER outweighs the loss the more: by TAU_MEM where every step counts,
by the length T of the trial where the maximum does, and not at all for spike times. ``balance`` is
that factor, since the gradients here are those of the written losses.

With rule=surrogate spike counts have a derivative, and none of this is needed: there push / B is
added to dL/ds of every neuron in every step, spike or not, so that also silent neurons learn. The
two factors are left out: with rule=surrogate, ``simple`` is the exact gradient of the penalty

    1/B sum over examples and neurons of  LBD_UPPER/2 max(n - NU_UPPER, 0)^2
                                        + LBD_LOWER/2 min(n - NU_UPPER, 0)^2

and Thomas1 of this + GLB_UPPER/2 max(total - RHO_UPPER, 0)^2 / size per layer; with AVG_SNSUM the
means over the mini-batch stand in the squares. Strengths of the two rules cannot be compared.
Source: Nowotny, Turner & Knight 2025, arXiv 2212.01232, and its code for the factors.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from snnrun.keys.key import Condition, number, switch, table, text, unless, when
from snnrun.models.equations import parse_expression, read_expression
from snnrun.models.losses import NOWOTNY
from snnrun.models.readouts import Readout

if TYPE_CHECKING:
    import sympy as sp

VARIABLES = ("n", "total", "size")


@dataclass(frozen=True, kw_only=True)
class Regulariser:
    """A regulariser.

    Args:
        name: What REG_TYPE calls it.
        push: An expression of ``n``, ``total``, ``size`` and the keys.
        keys: Config keys that it uses.
        meaning: One line.
        source: The publication.

    Raises:
        ModelError: The expression cannot be read, or uses another name.
    """

    name: str
    push: str
    keys: tuple[str, ...]
    meaning: str = ""
    source: str = ""

    def __post_init__(self) -> None:
        self._parsed(self.push, read_expression)

    def strength(self, readout: Readout) -> sp.Expr:
        """Return B times what is added to dL/dV at a spike, for losses with this readout."""
        return self._parsed(f"TAU_MEM * ({readout.balance}) * ({self.push})")

    def penalty_slope(self) -> sp.Expr:
        """Return B times the derivative of the penalty by a spike, of discrete rules."""
        return self._parsed(self.push)

    def _parsed(self, text: str, parse: Callable[..., Any] = parse_expression) -> sp.Expr:
        allowed = {*VARIABLES, *self.keys, "TAU_MEM", "T"}
        return parse(text, allowed, f"regulariser {self.name}")


EACH_NEURON = "LBD_UPPER * max(n - NU_UPPER, 0) + LBD_LOWER * min(n - NU_UPPER, 0)"
SIMPLE = Regulariser(
    name="simple",
    push=EACH_NEURON,
    keys=("LBD_UPPER", "LBD_LOWER", "NU_UPPER"),
    meaning="draws each neuron towards NU_UPPER spikes in a trial",
    source=NOWOTNY,
)
THOMAS1 = Regulariser(
    name="Thomas1",
    push=f"{EACH_NEURON} + GLB_UPPER * max(total - RHO_UPPER, 0) / size",
    keys=(*SIMPLE.keys, "RHO_UPPER", "GLB_UPPER"),
    meaning="as simple, and draws a layer of more than RHO_UPPER spikes below that number",
    source=NOWOTNY,
)

REGULARISERS = {regulariser.name: regulariser for regulariser in (SIMPLE, THOMAS1)}

# fmt: off
_ROWS = (
    number("LBD_UPPER", "Strength for neurons that spike more often than NU_UPPER.", minimum=0),
    number("LBD_LOWER", "Strength for neurons that spike less often than NU_UPPER.", minimum=0),
    number("NU_UPPER", "Spikes per hidden neuron and trial to aim at.", minimum=0),
    number("RHO_UPPER", "Spikes of a whole hidden layer per trial not to be exceeded.", minimum=0),
    number("GLB_UPPER", "Strength for layers that exceed RHO_UPPER.", minimum=0),
)
# fmt: on
REGULARISED = (unless("REG_TYPE", "none"),)


def _used(key: str) -> tuple[Condition, ...]:
    """Return the condition that a regulariser uses ``key``."""
    users = [name for name, regulariser in REGULARISERS.items() if key in regulariser.keys]
    return REGULARISED if len(users) == len(REGULARISERS) else (when("REG_TYPE", *users),)


KEYS = table(
    "regularisation",
    text(
        "REG_TYPE",
        "Regulariser of the hidden layers' activity: simple pulls each neuron towards NU_UPPER "
        "spikes per trial, Thomas1 also the layer's total below RHO_UPPER. rule=eventprop adds a "
        "push of that strength at each spike; rule=surrogate and eprop the exact gradient of the "
        "penalty LBD/2 (n - NU_UPPER)^2 per neuron and GLB_UPPER/2 (total - RHO_UPPER)^2 / "
        "NUM_HIDDEN per layer, which reaches silent neurons too: strengths of the two cannot be "
        "compared.",
        choices=("none", *REGULARISERS),
    ),
    *(row | {"active_if": _used(row["name"])} for row in _ROWS),
    switch(
        "AVG_SNSUM",
        "Regularise by spike counts averaged over the mini-batch, not by each example's. Memory "
        "then grows with N_BATCH: all its examples are kept between the two passes.",
        active_if=REGULARISED,
    ),
)
