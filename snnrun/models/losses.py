"""The built-in losses: cross entropy of a softmax over scores that a readout supplies, or lags.

With y_k the readout of output k and l the label,

    L = -log softmax_k(score(y_k))_l + label_term(y_l)

y is that of a readout (readouts.py). FIRST_SPIKE_LAG, SPIKE_TRAIN and TARGET_COURSE have losses of
their own:

    L = sum over k != l of lag_cost(y_k - y_l) + label_term(y_l)
    L = dt/2 sum_k sum_n ((alpha * (target_k - spikes_k))(n))^2, alpha the double exponential of
        kernel.py with the keys TAU_RISE and TAU_DECAY
    L = mean over steps n and outputs k of weight(t_n) cost(V_k(t_n) - target_k(t_n))
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from snnrun.errors import ModelError
from snnrun.keys.key import number, row, table, text, when
from snnrun.keys.kinds import SPAN
from snnrun.models.equations import parse_expression, read_expression
from snnrun.models.readouts import Readout

if TYPE_CHECKING:
    import sympy as sp

EXPRESSIONS = {  # of a loss, and the variables that each may use
    "score": {"y", "T"},
    "weight": {"t", "T"},
    "label_term": {"y", "T"},
    "lag_cost": {"d"},
    "cost": {"d"},
    "accumulator_tau": set[str](),
    "accumulator_weight": set[str](),
    "silent_push": {"T"},
    "silent_factor": {"T"},
}


@dataclass(frozen=True, kw_only=True)
class Loss:
    """A loss.

    Args:
        name: What LOSS_TYPE calls it.
        readout: Which quantity y it looks at.
        score: What enters the softmax, an expression of ``y`` and ``T``; the highest one is the
            prediction.
        weight: Weight in time, an expression of ``t`` and ``T``; of the weighted sums and of
            TARGET_COURSE only.
        label_term: Added for the label's output, an expression of ``y`` and ``T``.
        lag_cost: FIRST_SPIKE_LAG only. Cost of another output's lag ``d`` (ms) behind the label's.
        cost: TARGET_COURSE only. Cost of the difference ``d`` of a potential from its target.
        accumulator_tau: INPUT_WEIGHTED_SUM only. Time constant of the input's activity (ms).
        accumulator_weight: INPUT_WEIGHTED_SUM only. What each input spike adds to it.
        silent_push: FIRST_SPIKE only. The label's output did not spike, so no derivative exists:
        this
            much, an expression of ``T``, is what -dL/dV of that output starts from at the trial's
            end.
        silent_factor: FIRST_SPIKE_LAG only. There -dL/dV starts from this much, an expression of
            ``T``, times dL/dy of the label's output, taken where a silent one counts as spiking.
        silent_excluded: FIRST_SPIKE only. Outputs that do not spike are left out of the softmax,
            and where the label's output is silent nothing is learned but by the push. Otherwise a
            silent output counts as a spike 1 ms after the trial.
        keys: Config keys that the expressions use.
        meaning: One line.
        source: The publication.

    Raises:
        ModelError: An expression cannot be read or uses a name that it may not, or silent outputs
            are left out of a readout that cannot do so.
    """

    name: str
    readout: Readout
    score: str = "y"
    weight: str = "1"
    label_term: str = "0"
    lag_cost: str = "0"
    cost: str = "d**2"
    accumulator_tau: str = "1"
    accumulator_weight: str = "1"
    silent_push: str = "0"
    silent_factor: str = "0"
    silent_excluded: bool = False
    keys: tuple[str, ...] = ()
    meaning: str = ""
    source: str = ""

    def __post_init__(self) -> None:
        for name in EXPRESSIONS:
            self.expression(name, read_expression)
        if self.silent_excluded and "silent_excluded" not in self.readout.fields:
            raise ModelError(
                f"loss {self.name}: silent_excluded=True with {self.readout}; only "
                f"{Readout.FIRST_SPIKE} can leave silent outputs out"
            )

    def expression(self, name: str, parse: Callable[..., Any] = parse_expression) -> sp.Expr:
        """Return the field ``name`` as a SymPy expression."""
        allowed = EXPRESSIONS[name] | set(self.keys)
        return parse(getattr(self, name), allowed, f"loss {self.name}, {name}")

    @property
    def spiking(self) -> bool:
        """Whether the outputs must spike."""
        return self.readout.spiking


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
RELATIVE_MSE = Loss(
    name="relative_mse",
    readout=Readout.FIRST_SPIKE_LAG,
    score="-y",
    lag_cost="(d - DELTA_T)**2 / 2",
    silent_factor="TAU_MEM",
    keys=("DELTA_T", "TAU_MEM"),
    meaning="squared difference of the other outputs' lag behind the label's from DELTA_T",
    source="Goeltz et al. 2025, arXiv 2404.19165 (DelGrad); Meszaros, Knight & Nowotny 2025, arXiv "
    "2501.07331; the push of a silent label is ours",
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
SUM_WEIGH_INPUT = Loss(
    name="sum_weigh_input",
    readout=Readout.INPUT_WEIGHTED_SUM,
    accumulator_tau="TAU_ACCUMULATOR",
    accumulator_weight="0.01",
    keys=("TAU_ACCUMULATOR",),
    meaning="cross entropy of the potentials' mean, weighted by the activity of the input",
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
SUM_SOFTMAX = Loss(
    name="sum_softmax",
    readout=Readout.MEAN_SHARE,
    score="y * T / DT_MS",
    keys=("DT_MS",),
    meaning="cross entropy of the sum over all steps of the potentials' softmax",
    source="Bittar & Garner 2022, Front Neurosci 16:865897; Baronig et al. 2025, "
    "doi:10.1038/s41467-025-60878-z",
)
VAN_ROSSUM = Loss(
    name="van_rossum",
    readout=Readout.SPIKE_TRAIN,
    keys=("TAU_RISE", "TAU_DECAY"),
    meaning="squared difference of target and output spikes, both filtered",
    source="van Rossum 2001, Neural Computation 13:751",
)

MSE = Loss(
    name="mse",
    readout=Readout.TARGET_COURSE,
    meaning="mean squared error of the potentials from target courses",
    source="Bellec et al. 2020, Nat Commun 11:3625, eq. 26, there half the sum",
)

LOSSES = {
    loss.name: loss
    for loss in (
        FIRST_SPIKE,
        FIRST_SPIKE_EXP,
        FIRST_SPIKE_WP,
        RELATIVE_MSE,
        SUM,
        SUM_WEIGH_LINEAR,
        SUM_WEIGH_EXP,
        SUM_WEIGH_SIGMOID,
        SUM_WEIGH_INPUT,
        MAX,
        AVG_XENTROPY,
        SUM_SOFTMAX,
    )
}
TARGET_LOSSES = {VAN_ROSSUM.name: VAN_ROSSUM}  # of data with target spikes instead of classes
COURSE_LOSSES = {MSE.name: MSE}  # of data with target courses instead
BUILT_IN = LOSSES | TARGET_LOSSES | COURSE_LOSSES
WINDOW = "LOSS_WINDOW"
OF_POTENTIALS = tuple(name for name, loss in BUILT_IN.items() if not loss.spiking)


def using(key: str) -> tuple[str, ...]:
    """Return the built-in losses that use a key."""
    return tuple(n for n, loss in BUILT_IN.items() if key in loss.keys)


# fmt: off
_ROWS = (
    number("TAU_0", "Time scale of the softmax over first spike times.", unit="ms", above=0),
    number(
        "TAU_1",
        "Time scale of the cost of a late spike of the label's output (first_spike_exp, _wp).",
        unit="ms", above=0,
    ),
    number(
        "ALPHA", "Strength of the first_spike losses' cost of a late spike of the label's output.",
        minimum=0,
    ),
    number(
        "DELTA_T",
        "Lag behind the label's first spike at which relative_mse wants those of the others.",
        unit="ms", above=0,
    ),
    number(
        "TAU_ACCUMULATOR",
        "Time constant of the input activity that weights sum_weigh_input: of a leaky accumulator "
        "of the input spikes that PDROP_INPUT leaves, 0.01 each.",
        unit="ms", above=0,
    ),
    number(
        "TAU_RISE",
        "Rise of the double exponential, with a peak of 1, through which van_rossum sees spikes.",
        unit="ms", above=0,
    ),
    number(
        "TAU_DECAY", "Decay of that double exponential, longer than TAU_RISE.", unit="ms", above=0,
    ),
)
KEYS = table(
    "loss types and parameters",
    text(
        "LOSS_TYPE",
        "The loss, a cross entropy over classes of: the times of the outputs' first spikes "
        "(first_spike, first_spike_exp; first_spike_wp leaves silent outputs out), the mean "
        "potential over the trial (sum; weighted in time: sum_weigh_linear, sum_weigh_exp, "
        "sum_weigh_sigmoid; by the activity of the input: sum_weigh_input), its maximum (max), "
        "the potential in each step (avg_xentropy), or the sum over the steps of the potentials' "
        "softmax (sum_softmax). Without cross entropy: relative_mse, half the "
        "squared differences of the other outputs' lags behind the label's first spike from "
        "DELTA_T; van_rossum, of dataset=pattern with rule=surrogate or eprop: half the squared "
        "difference of target and output spikes, both filtered with TAU_RISE and TAU_DECAY, summed "
        "over outputs and time; mse, of data with target courses: the mean squared error of the "
        "outputs' potentials. Or your own.",
        choices=tuple(BUILT_IN), dotted_path=True,
    ),
    *(each | {"active_if": (when("LOSS_TYPE", *using(each["name"])),)} for each in _ROWS),
    row(
        WINDOW,
        "Part of the trial, [from, to], in which the loss reads the outputs' potentials; before "
        "and after it they may be anything.",
        kind=SPAN, unit="ms", nullable=True, null="the whole trial",
        active_if=(when("LOSS_TYPE", *OF_POTENTIALS),),
    ),
)
# fmt: on
