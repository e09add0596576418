"""The readouts: which quantity y of the output population a loss looks at.

With V_k the potential of output k, t_n = (n + 1) dt the end of step n, and T the length of a trial
(ms):

    WEIGHTED_SUM        y_k = (dt / T) sum_n weight(t_n) V_k(t_n)
    INPUT_WEIGHTED_SUM  y_k = (dt / T) sum_n weight(t_n) f(t_n) V_k(t_n)
    MAXIMUM             y_k = max_n V_k(t_n)
    EACH_STEP           y_k = V_k(t_n), and the loss is averaged over the steps n
    MEAN_SHARE          y_k = (dt / T) sum_n exp(V_k(t_n)) / sum over outputs j of exp(V_j(t_n))
    FIRST_SPIKE         y_k = time of the first spike of output k (ms)
    FIRST_SPIKE_LAG     the same, of which the loss compares the lags behind the label's
    SPIKE_TRAIN         the outputs' spikes beside target spikes
    TARGET_COURSE       d_k = V_k(t_n) - target_k(t_n), whose cost is averaged over n and k
    of one's own        y_k = (dt / T) sum_n integrand(V_k(t_n), t_n)

With LOSS_WINDOW, sums, means and maxima are those of the steps that end within it, and dt / T is 1
over their number.

f is the activity of the example's input, of those spikes that dropout leaves: an accumulator

    f <- decay (f + accumulator_weight x input spikes of step n),  f = 0 at the start of a trial

with decay = exp(-dt / accumulator_tau), or 1 - dt / accumulator_tau with network.integrator=euler.
It depends on no weight, so that it scales the derivative of V and has none of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from snnrun.models.equations import parse_expression, read_expression

if TYPE_CHECKING:
    import sympy as sp


@dataclass(frozen=True, kw_only=True)
class Readout:
    """A readout: a kernel of the backends, and what losses may say of it.

    Args:
        name: What it is called.
        meaning: One line.
        integrand: Of a readout of one's own, an expression of ``V``, ``t`` and ``T``.
        kernel: The class of each backend that computes it; ``Integral`` takes any integrand.
        fields: Fields of a loss that only some readouts look at: those of this one.
        spiking: Whether the outputs must spike.
        of_steps: Whether there is a y in every step, and so a derivative while a trial runs.
        shares: Whether the outputs' softmax in each step stands for their potentials.
        lags: Whether the loss compares lags behind the label's y, and not scores.
        peaks: Whether y is a maximum, which may move in time with the spikes that end it.
        targets: Whether it looks at spikes beside target spikes, instead of classes.
        courses: Whether it looks at potentials beside target courses, instead of classes.
        balance: Factor on the push of regularisers, an expression of TAU_MEM and T, by which
            published strengths mean the same with each loss (docs/semantics.md).

    Raises:
        ModelError: The integrand cannot be read or holds another name.
    """

    name: str
    meaning: str
    integrand: str = ""
    kernel: str = "Integral"
    fields: tuple[str, ...] = ()
    spiking: bool = False
    of_steps: bool = False
    shares: bool = False
    lags: bool = False
    targets: bool = False
    courses: bool = False
    peaks: bool = False
    balance: str = "TAU_MEM"

    WEIGHTED_SUM: ClassVar[Readout]
    INPUT_WEIGHTED_SUM: ClassVar[Readout]
    MAXIMUM: ClassVar[Readout]
    EACH_STEP: ClassVar[Readout]
    MEAN_SHARE: ClassVar[Readout]
    FIRST_SPIKE: ClassVar[Readout]
    FIRST_SPIKE_LAG: ClassVar[Readout]
    SPIKE_TRAIN: ClassVar[Readout]
    TARGET_COURSE: ClassVar[Readout]

    def __post_init__(self) -> None:
        self.of_potential(read_expression)

    def __str__(self) -> str:
        return f"Readout.{self.name}"

    def of_potential(self, parse: Callable[..., Any] = parse_expression) -> sp.Expr:
        """Return the integrand, an expression of ``V``, ``t`` and ``T``; 0 of built-in readouts."""
        return parse(self.integrand or "0", {"V", "t", "T"}, f"readout {self.name}, integrand")


Readout.WEIGHTED_SUM = Readout(
    name="WEIGHTED_SUM",
    meaning="weighted sum over time of the output's potential",
    kernel="WeightedSum",
    fields=("weight",),
)
Readout.INPUT_WEIGHTED_SUM = Readout(
    name="INPUT_WEIGHTED_SUM",
    meaning="sum over time of the output's potential, weighted by the input's activity",
    kernel="InputWeightedSum",
    fields=("weight", "accumulator_tau", "accumulator_weight"),
)
Readout.MAXIMUM = Readout(
    name="MAXIMUM",
    meaning="maximum over time of the output's potential",
    kernel="Maximum",
    peaks=True,
    balance="T",
)
Readout.EACH_STEP = Readout(
    name="EACH_STEP",
    meaning="the output's potential in every step",
    kernel="EachStep",
    of_steps=True,
)
Readout.MEAN_SHARE = Readout(
    name="MEAN_SHARE",
    meaning="mean over time of each output's share in the softmax of their potentials",
    kernel="MeanShare",
    shares=True,
)
Readout.FIRST_SPIKE = Readout(
    name="FIRST_SPIKE",
    meaning="time of each output's first spike",
    kernel="FirstSpike",
    fields=("silent_push", "silent_excluded"),
    spiking=True,
    balance="1",
)
Readout.FIRST_SPIKE_LAG = Readout(
    name="FIRST_SPIKE_LAG",
    meaning="time from the label's first spike to that of each other output",
    kernel="FirstSpikeLag",
    fields=("lag_cost", "silent_factor"),
    spiking=True,
    lags=True,
    balance="1",
)
Readout.SPIKE_TRAIN = Readout(
    name="SPIKE_TRAIN",
    meaning="the outputs' spike trains beside target spike trains",
    kernel="SpikeTrain",
    spiking=True,
    targets=True,
)
Readout.TARGET_COURSE = Readout(
    name="TARGET_COURSE",
    meaning="the output's potential in every step beside a target course",
    kernel="TargetCourse",
    fields=("weight", "cost"),
    of_steps=True,
    courses=True,
)
