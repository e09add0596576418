"""The forms of learning that backends run: a rule makes one of them of the values of its options.

    Gradient     a loss is differentiated, by spike times or by steps
    Online       synapses learn while the network runs, from traces and an error that is fed back
    Plasticity   the weights of one projection follow what happens at both its ends, and a third
                 factor of the example, beside gradients of others

A backend asks a form which engine runs it, and knows no rule.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum
from typing import Any, Self

from snnrun.models.surrogates import SpikeDerivative

POTENTIALS, SPIKE_TIMES, SPIKE_TRAINS = "potentials", "spike times", "spike trains"
SYMMETRIC, RANDOM, ADAPTIVE = "symmetric", "random", "adaptive"  # kinds of feedback
Bounds = tuple[float, float]


class Engine(Enum):
    """What runs a form of learning; the value: what of the outputs its losses may look at."""

    JUMPS = (POTENTIALS, SPIKE_TIMES)  # an adjoint flow that jumps at the spikes
    STEPS = (POTENTIALS, SPIKE_TRAINS)  # the adjoint of the steps, with a surrogate derivative
    ONLINE = (SPIKE_TRAINS,)
    PAIRS = ()  # of single projections; a loss is for the others

    @property
    def reads(self) -> tuple[str, ...]:
        """What of the outputs a loss may look at, to be differentiated or fed back."""
        return self.value

    @property
    def has_gradient(self) -> bool:
        """Whether the derivatives of a loss are computed."""
        return self in (Engine.JUMPS, Engine.STEPS)


@dataclass(frozen=True, kw_only=True)
class Learning:
    """A form of learning."""

    @classmethod
    def of(cls, options: Any) -> Self:
        """Return it with the options of a rule that have the names of its fields."""
        fields = cls.__dataclass_fields__
        return cls(**{name: getattr(options, name) for name in fields if hasattr(options, name)})

    @property
    def engine(self) -> Engine:
        """What runs it."""
        raise NotImplementedError

    @property
    def variant(self) -> str:
        """Which one of a rule it is, as the head of a run says it; mostly nothing."""
        return ""

    @property
    def plan(self) -> str:
        """How the weights are updated, in words; "" where it is by Adam, from gradients."""
        return ""

    def start(self, fan_in: int, mean: float, std: float) -> tuple[float, float, Bounds]:
        """Return mean, standard deviation and bounds of a projection's initial weights."""
        return mean, std, (-math.inf, math.inf)

    def rate(self, trial: int, trial_ms: float) -> float | None:
        """Return the step size of a trial of the training, or None: it follows ETA."""
        return None

    def updates(self, examples: int, trial_ms: float) -> int | None:
        """Return how often weights change in so many trials, or None: once in each mini-batch."""
        return None


@dataclass(frozen=True, kw_only=True)
class Feedback:
    """Weights by which the outputs send derivatives straight back to every hidden population.

    Nothing else does: neither do hidden populations to those before them, nor to themselves.

    Args:
        kind: SYMMETRIC: those of the projections to the outputs; RANDOM: their own, which stay;
            ADAPTIVE: their own, which learn as if they led to the outputs.
        sd: Standard deviation of their own ones, around 0.
        seed: Draws these.
    """

    kind: str = SYMMETRIC
    sd: float = 1.0
    seed: int = 1


@dataclass(frozen=True, kw_only=True)
class Gradient(Learning):
    """Derivatives of a loss, of the steps where ``spikes`` stands for that of a spike.

    With ``feedback`` what the targets of a spike send back is cut down to that of the outputs.
    ``update_steps``: after how many steps weights change, while the trials of a mini-batch run; 0:
    when they have ended.
    """

    spikes: SpikeDerivative | None = None
    feedback: Feedback | None = None
    update_steps: int = 0

    @property
    def engine(self) -> Engine:
        return Engine.JUMPS if self.spikes is None else Engine.STEPS

    @property
    def variant(self) -> str:
        found = [self.spikes.surrogate.name] if self.spikes else []
        found += [f"{self.feedback.kind} feedback"] if self.feedback else []
        found += [f"updates every {self.update_steps} steps"] if self.update_steps else []
        return ", ".join(found)


@dataclass(frozen=True, kw_only=True)
class Online(Learning):
    """Learning with the equations of rules/superspike.py; times in ms, potentials in mV from rest.

    ``cut_every`` trials of 0, and ``cut_at`` and ``cut_at_ms`` of None, mean that the step size
    stays.
    """

    feedback: str
    feedback_sd: float
    feedback_seed: int
    tau_rise: float
    tau_decay: float
    beta: float
    sigma_floor: float
    r0: float
    tau_rms: float
    update_ms: float
    update_aligned: bool
    epsilon: float
    w_limit: float
    w0: float
    cut_every: int
    cut_at: int | None
    cut_at_ms: float | None
    cut_factor: float
    burn_in_ms: float
    het_rho: float
    het_a: float
    het_tau: float
    het_error_scaled: bool
    delay_ms: float
    reset_state_per_trial: bool
    tau_error: float

    @property
    def engine(self) -> Engine:
        return Engine.ONLINE

    @property
    def plan(self) -> str:
        """How the weights are updated, in words."""
        cut = ""
        if self.cut_every:
            cut = f", x {self.cut_factor:g} every {self.cut_every} trials"
        elif self.cut_at is not None:
            cut = f", x {self.cut_factor:g} from trial {self.cut_at} on"
        elif self.cut_at_ms is not None:
            cut = f", x {self.cut_factor:g} after {self.cut_at_ms / 1000:g} s"
        return (
            f"{self.feedback} feedback, RMaxProp every {self.update_ms:g} ms, r0 {self.r0:g}{cut}"
        )

    @property
    def error_scale(self) -> float:
        """Factor on the running mean of the squared error where it is shown, per second.

        It is that of the published code, 1 / ((ab / (a - b))^2 (a/2 + b/2 - 2ab / (a + b))) / tau,
        with a, b and tau (the decay, the rise, and tau_error) in seconds.
        """
        a, b = self.tau_decay / 1000, self.tau_rise / 1000
        kernel = (a * b / (a - b)) ** 2 * (a / 2 + b / 2 - 2 * a * b / (a + b))
        return 1.0 / kernel / (self.tau_error / 1000)

    def start(self, fan_in: int, mean: float, std: float) -> tuple[float, float, Bounds]:
        return 0.0, self.w0 / math.sqrt(fan_in), (-self.w_limit, self.w_limit)

    def rate(self, trial: int, trial_ms: float) -> float:
        rate = self.r0
        if self.cut_every:
            rate *= self.cut_factor ** (trial // self.cut_every)
        if self.cut_at is not None and trial >= self.cut_at:
            rate *= self.cut_factor
        if self.cut_at_ms is not None and trial * trial_ms >= self.cut_at_ms * (1 - 1e-12):
            rate *= self.cut_factor
        return rate

    def updates(self, examples: int, trial_ms: float) -> int | None:
        return int(examples * trial_ms / self.update_ms)


@dataclass(frozen=True, kw_only=True)
class Plasticity(Learning):
    """Three factors: a trace of what comes before a synapse, a signal of what follows, and a third.

    With arrivals of presynaptic neuron i in steps m, and p_k(n) and q_k(n) signals of postsynaptic
    neuron k, by default its spikes in step n, which makes it pair-based STDP between all spikes of
    a trial,

        P_ik = sum over m, n >= m of exp(-(n - m) dt / tau_plus) p_k(n)
        D_ik = sum over m, n <  m of exp(-(m - n) dt / tau_minus) q_k(n)
        S_k  = spikes of k
        dw_ik = r (a_plus f_plus P_ik - a_minus f_minus D_ik + a_post f S_k)

    P_ik is the sum over the trial of p_k times a trace of the arrivals of i, which decays with
    tau_plus.

    A spike of a layer arrives one step after it was emitted, and a spike that arrives in the step
    of a postsynaptic spike comes before it, as it can cause it. Of the factors f, additive bounds
    have 1, multiplicative ones f_plus = (w_max - w)^mu and f_minus = (w - w_min)^mu, and f is the
    one of the sign of a_post. The third factor r is 1, or, with ``reward``, 1 after a right
    prediction and ``punish`` after a wrong one, or an expression. The pseudo-gradient -dw, averaged
    over a mini-batch, goes to the optimiser; weights are kept in [w_min, w_max] after each update.

    Args:
        a_plus, a_minus: Amplitudes of potentiation and depression; times ETA they are weights.
        a_post: Change of all weights of a neuron at each of its spikes, whatever arrived.
        tau_plus, tau_minus: Time constants of the traces (ms).
        w_min, w_max: Bounds of the weights.
        bound: ``additive`` or ``multiplicative``.
        mu: Exponent of multiplicative bounds.
        reward: Whether examples count by the prediction, and not all alike.
        punish: Reward of an example with a wrong prediction.
        optimiser: ``sgd`` or ``adam``.
        post_plus, post_minus: p and q, expressions of the states of a postsynaptic neuron at the
            end of a step, before a reset, of its parameters, and of ``threshold``, the value that
            is compared with; None: its spikes.
        third_factor: r, an expression of ``loss``, that of the example, ``right``, 1 after a right
            prediction and 0 after a wrong one, and ``punish``; "": what ``reward`` says.

    Source: Song, Miller & Abbott 2000, Nat Neurosci 3:919 (additive); van Rossum, Bi & Turrigiano
    2000, J Neurosci 20:8812, and Guetig, Aharonov, Rotter & Sompolinsky 2003, J Neurosci 23:3697
    (multiplicative, mu); Kempter, Gerstner & van Hemmen 1999, Phys Rev E 59:4498 (a_post: their
    w_out); Izhikevich 2007, Cereb Cortex 17:2443 (reward).
    """

    a_plus: float
    a_minus: float
    a_post: float
    tau_plus: float
    tau_minus: float
    w_min: float
    w_max: float
    bound: str
    mu: float
    reward: bool
    punish: float
    optimiser: str
    post_plus: str | None = None
    post_minus: str | None = None
    third_factor: str = ""

    @property
    def signals(self) -> tuple[str | None, str | None]:
        """What postsynaptic neurons give in each step, to arrivals before it and after it."""
        return self.post_plus, self.post_minus

    @property
    def factor(self) -> str:
        """The third factor as an expression."""
        return self.third_factor or ("right + (1 - right) * punish" if self.reward else "1")

    @property
    def engine(self) -> Engine:
        return Engine.PAIRS

    def start(self, fan_in: int, mean: float, std: float) -> tuple[float, float, Bounds]:
        return mean, std, (self.w_min, self.w_max)
