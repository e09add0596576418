"""SuperSpike: synapses that learn while the network runs, from traces of their own.

In every step of dt ms, for a synapse from j to i, with rise and decay the time constants of the two
stages of a double exponential,

    z_j    += spikes of j that arrive      z_j -= z_j dt / rise      z~_j += (z_j - z~_j) dt / decay
    s'_i    = 1 / (1 + |beta (V_i - threshold)|)^2, and 0 where V_i < sigma_floor
    e_ij   += (z~_j s'_i - e_ij / rise) dt
    l_ij   += (e_ij - l_ij) dt / decay                                   (lambda)
    m_ij   += l_ij err_i

V_i is the potential that met the threshold, before the reset. The error of an output k is its
mismatch, target spikes minus own spikes, through the same double exponential with a peak of 1; a
hidden neuron has err_i = sum_k b_ik err_k of the same step, b being the feedback. The
heterosynaptic term adds -het_rho w_ij zeta_i to m_ij of hidden neurons in every step, w in volts
(1000 mV), zeta_i = x_i^het_a with x_i the trace of the neuron's own spikes (each adds 1, decay with
het_tau), times err_i^2 with het_error_scaled.

Every update_ms, that is N steps:  g = m / N,  v <- max(v exp(-N dt / tau_rms), g^2),
w <- clip(w + r0 g / (sqrt(v) + epsilon)),  m = 0   (RMaxProp).

With an axonal delay, spikes arrive later by it, and m takes z~, s' and err of that much earlier.

Source: Zenke & Ganguli 2018, Neural Computation 30:1514; the update as in fzenke/pub2018superspike.
Constant factors of e, l and err that sources choose otherwise cancel in RMaxProp without the
heterosynaptic term.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from snnrun.models.kernel import Kernel
from snnrun.models.losses import VAN_ROSSUM
from snnrun.streams import stream

OWN_ERROR = replace(VAN_ROSSUM, keys=())  # its time constants are options of the rule


@dataclass(frozen=True, kw_only=True)
class SuperSpike:
    """The options of the rule (see ``snnrun keys rule``), times in ms, potentials in mV from rest.

    ``cut_every`` trials of 0 and ``cut_at`` None mean that the step size stays.
    """

    feedback: str = "symmetric"
    feedback_sd: float = 1.0
    feedback_seed: int = 1
    tau_rise: float = 5.0
    tau_decay: float = 10.0
    beta: float = 1.0
    sigma_floor: float = -20.0
    r0: float = 1.0
    tau_rms: float = 30_000.0
    update_ms: float = 500.0
    update_aligned: bool = False
    epsilon: float = 1e-32
    w_limit: float = 100.0
    w0: float = 50.0
    cut_every: int = 0
    cut_at: int | None = None
    cut_at_ms: float | None = None
    cut_factor: float = 0.1
    burn_in_ms: float = 0.0
    het_rho: float = 0.0
    het_a: float = 4.0
    het_tau: float = 100.0
    het_error_scaled: bool = False
    delay_ms: float = 0.0
    reset_state_per_trial: bool = False
    tau_error: float = 10_000.0

    @classmethod
    def of(cls, options: Any) -> SuperSpike:
        """Return the rule of a configuration's group ``rule``."""
        return cls(**{name: options.get(name) for name in cls.__dataclass_fields__})

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
    def kernel(self) -> Kernel:
        """Through which spikes become errors."""
        return Kernel(rise=self.tau_rise, decay=self.tau_decay)

    @property
    def norm(self) -> float:
        """What gives the kernel exp(-t / decay) - exp(-t / rise) a peak of 1."""
        return self.kernel.norm

    @property
    def error_scale(self) -> float:
        """Factor on the running mean of the squared error where it is shown, per second.

        It is that of the published code, 1 / ((ab / (a - b))^2 (a/2 + b/2 - 2ab / (a + b))) / tau,
        with a, b and tau (the decay, the rise, and tau_error) in seconds.
        """
        a, b = self.tau_decay / 1000, self.tau_rise / 1000
        kernel = (a * b / (a - b)) ** 2 * (a / 2 + b / 2 - 2 * a * b / (a + b))
        return 1.0 / kernel / (self.tau_error / 1000)

    def shown_error(self, mean_square: np.ndarray, steps: np.ndarray, dt: float) -> np.ndarray:
        """Return the error to show from the running mean after ``steps`` steps since its start."""
        passed = np.asarray(steps) * dt / self.tau_error
        return np.asarray(mean_square) * self.error_scale / (1.0 - np.exp(-passed) + 1e-9)

    def rates(self, first: int, count: int, trial_ms: float) -> np.ndarray:
        """Return the step sizes of ``count`` trials from trial ``first`` of the training on."""
        trials = first + np.arange(count)
        rates = np.full(count, self.r0)
        if self.cut_every:
            rates *= self.cut_factor ** (trials // self.cut_every)
        if self.cut_at is not None:
            rates[trials >= self.cut_at] *= self.cut_factor
        if self.cut_at_ms is not None:
            rates[trials * trial_ms >= self.cut_at_ms * (1 - 1e-12)] *= self.cut_factor
        return rates

    def fixed_feedback(self, hidden: int, outputs: int) -> np.ndarray | None:
        """Return the feedback weights [hidden, outputs], or None where they are not fixed."""
        if self.feedback == "random":
            draw = stream(self.feedback_seed, "superspike feedback")
            return draw.normal(0.0, self.feedback_sd, (hidden, outputs))
        return np.ones((hidden, outputs)) if self.feedback == "uniform" else None

    def silent_square(
        self, steps: np.ndarray, neurons: np.ndarray, size: int, trial_steps: int, dt: float
    ) -> np.ndarray:
        """Return the mean squared error [size] of silent outputs for target spikes on the grid.

        The pattern is repeated for ever; with ``reset_state_per_trial`` each trial starts from 0.
        """
        target = np.zeros((trial_steps, size))
        target[steps, neurons] = 1.0
        periodic = not self.reset_state_per_trial
        return np.mean(self.kernel.filtered(target, dt, periodic=periodic) ** 2, axis=0)
