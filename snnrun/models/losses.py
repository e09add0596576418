"""The built-in losses: cross entropy of a softmax over scores that a readout supplies.

With y_k the readout of output k and l the label,

    L = -log softmax_k(score(y_k))_l + label_term(y_l)

A readout is one of
    WEIGHTED_SUM   y_k = (dt / T) sum_n weight(t_n) V_k(t_n)
    MAXIMUM        y_k = max_n V_k(t_n)
    EACH_STEP      y_k = V_k(t_n), and L is averaged over the steps n
    FIRST_SPIKE    y_k = time of the first spike of output k (ms)
with t_n = (n + 1) dt the end of step n and T the length of the trial (ms).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import sympy as sp

from snnrun.models.equations import parse_expression


class Readout(Enum):
    """What of the output population a loss looks at (see the module's docstring)."""

    WEIGHTED_SUM = "weighted sum over time of the output's potential"
    MAXIMUM = "maximum over time of the output's potential"
    EACH_STEP = "the output's potential in every step"
    FIRST_SPIKE = "time of each output's first spike"


@dataclass(frozen=True, kw_only=True)
class Loss:
    """A loss.

    Args:
        name: What LOSS_TYPE calls it.
        readout: Which quantity y it looks at.
        score: What enters the softmax, an expression of ``y``.
        weight: Weight in time, an expression of ``t`` and ``T``; WEIGHTED_SUM only.
        label_term: Added for the label's output, an expression of ``y`` and ``T``.
        silent_push: FIRST_SPIKE only. The label's output did not spike, so no derivative exists:
        this
            much, an expression of ``T``, is what -dL/dV of that output starts from at the trial's
            end.
        silent_excluded: FIRST_SPIKE only. Outputs that do not spike are left out of the softmax,
            and where the label's output is silent nothing is learned but by the push. Otherwise a
            silent output counts as a spike 1 ms after the trial.
        keys: Config keys that the expressions use.
        meaning: One line.
        source: The publication.

    Raises:
        ModelError: An expression cannot be read or uses a name that it may not.
    """

    name: str
    readout: Readout
    score: str = "y"
    weight: str = "1"
    label_term: str = "0"
    silent_push: str = "0"
    silent_excluded: bool = False
    keys: tuple[str, ...] = ()
    meaning: str = ""
    source: str = ""

    def __post_init__(self) -> None:
        for name in ("score", "weight", "label_term", "silent_push"):
            self.expression(name)

    def expression(self, name: str) -> sp.Expr:
        """Return the field ``name`` as a SymPy expression."""
        variables = {"score": {"y"}, "weight": {"t", "T"}, "label_term": {"y", "T"}}
        allowed = variables.get(name, {"T"}) | set(self.keys)
        return parse_expression(getattr(self, name), allowed, f"loss {self.name}, {name}")

    @property
    def spiking(self) -> bool:
        """Whether the outputs must spike."""
        return self.readout is Readout.FIRST_SPIKE


NOWOTNY = "Nowotny, Turner & Knight 2025, arXiv 2212.01232"
SPIKE_KEYS = ("TAU_0", "TAU_1", "ALPHA", "TAU_MEM")

FIRST_SPIKE = Loss(
    name="first_spike",
    readout=Readout.FIRST_SPIKE,
    score="-y / TAU_0",
    label_term="ALPHA / (1.01 * T - y)",
    silent_push="TAU_MEM * ALPHA / (0.01 * T)**2",
    keys=("TAU_0", "ALPHA", "TAU_MEM"),
    meaning="cross entropy of first spike times, with a pole that draws the label's spike forward",
    source=f"{NOWOTNY}, Table 2",
)
FIRST_SPIKE_EXP = Loss(
    name="first_spike_exp",
    readout=Readout.FIRST_SPIKE,
    score="-y / TAU_0",
    label_term="ALPHA * (exp(y / TAU_1) - 1)",
    silent_push="TAU_MEM * ALPHA / TAU_1 * exp(T / TAU_1)",
    keys=SPIKE_KEYS,
    meaning="cross entropy of first spike times, with an exponential cost of a late label spike",
    source="Wunderlich & Pehle 2021, Sci Rep 11:12829, eq. 9",
)
FIRST_SPIKE_WP = Loss(
    name="first_spike_wp",
    readout=Readout.FIRST_SPIKE,
    score="-y / TAU_0",
    label_term="ALPHA * (exp(y / TAU_1) - 1)",
    silent_push="1",
    silent_excluded=True,
    keys=SPIKE_KEYS[:3],
    meaning="first_spike_exp over the outputs that spike; a silent label is pushed gently",
    source="Wunderlich & Pehle 2021, Sci Rep 11:12829, eq. 9; the push of 1 is ours",
)
SUM = Loss(
    name="sum",
    readout=Readout.WEIGHTED_SUM,
    meaning="cross entropy of the potentials' mean over time",
    source=NOWOTNY,
)
SUM_WEIGH_LINEAR = Loss(
    name="sum_weigh_linear",
    readout=Readout.WEIGHTED_SUM,
    weight="1 - t / T",
    meaning="cross entropy of the potentials' mean, weighted by a line that falls to 0",
    source=NOWOTNY,
)
SUM_WEIGH_EXP = Loss(
    name="sum_weigh_exp",
    readout=Readout.WEIGHTED_SUM,
    weight="exp(-t / T)",
    meaning="cross entropy of the potentials' mean, weighted by a falling exponential",
    source=NOWOTNY,
)
SUM_WEIGH_SIGMOID = Loss(
    name="sum_weigh_sigmoid",
    readout=Readout.WEIGHTED_SUM,
    weight="1 / (1 + exp((t / T - 0.5) / 0.2))",
    meaning="cross entropy of the potentials' mean, weighted by a falling sigmoid",
    source=NOWOTNY,
)
MAX = Loss(
    name="max",
    readout=Readout.MAXIMUM,
    meaning="cross entropy of the potentials' maxima over time",
    source="Wunderlich & Pehle 2021, Sci Rep 11:12829, eq. 11",
)
AVG_XENTROPY = Loss(
    name="avg_xentropy",
    readout=Readout.EACH_STEP,
    meaning="mean over time of the potentials' cross entropy",
    source=NOWOTNY,
)

LOSSES = {
    loss.name: loss
    for loss in (
        FIRST_SPIKE,
        FIRST_SPIKE_EXP,
        FIRST_SPIKE_WP,
        SUM,
        SUM_WEIGH_LINEAR,
        SUM_WEIGH_EXP,
        SUM_WEIGH_SIGMOID,
        MAX,
        AVG_XENTROPY,
    )
}
