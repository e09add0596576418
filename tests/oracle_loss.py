"""Losses of the oracles in continuous time: what they are called, and their formulas by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

Array = np.ndarray


@dataclass(frozen=True, kw_only=True)
class Loss:
    """``tau_0``, ``tau_1``, ``alpha`` belong to the first_spike losses, others to one loss each.

    ``kinks`` (grid only): the hidden spike that turns a rising readout into a falling one carries
    the derivative of the ``max`` loss by its time. ``window``: of the grid only, the first of the
    steps that are read and the one after the last.
    """

    name: str
    tau_0: float = 1.0
    tau_1: float = 10.0
    alpha: float = 0.1
    delta_t: float = 2.0
    tau_accumulator: float = 7.0
    tau_rise: float = 2.0
    tau_decay: float = 5.0
    dt_ms: float = 5.0
    kinks: bool = True
    window: tuple[int, int] | None = None

    @property
    def of_spikes(self) -> bool:
        """Whether the outputs spike."""
        return spikes_enter(self.name)

    @property
    def values(self) -> dict[str, float]:
        """The configuration keys' values."""
        return {
            "TAU_0": self.tau_0,
            "TAU_1": self.tau_1,
            "ALPHA": self.alpha,
            "DELTA_T": self.delta_t,
            "TAU_ACCUMULATOR": self.tau_accumulator,
            "TAU_RISE": self.tau_rise,
            "TAU_DECAY": self.tau_decay,
            "DT_MS": self.dt_ms,
        }


def spikes_enter(name: str) -> bool:
    """Whether a loss is one of spikes."""
    return name.startswith("first_spike") or name in ("relative_mse", "van_rossum")


TIME_WEIGHTS = {  # of x = t / T
    "sum": lambda x: np.ones_like(x),
    "sum_weigh_exp": lambda x: np.exp(-x),
    "sum_weigh_linear": lambda x: 1 - x,
    "sum_weigh_sigmoid": lambda x: 1 / (1 + np.exp((x - 0.5) / 0.2)),
    "sum_weigh_input": lambda x: np.ones_like(x),  # times the activity of the input
}


def activity(events: Sequence[tuple[float, int]], tau: float, t: Array) -> Array:
    """Activity of the input just after the time ``t`` (ms): 0.01 for each spike, decaying."""
    total = np.zeros_like(t)
    for time, _ in events:
        total += np.where(t >= time, 0.01 * np.exp(-np.maximum(t - time, 0) / tau), 0.0)
    return total


def relative_mse(times: Array, label: int, delta_t: float) -> Array:
    """Half the squares of t_k - t_label - delta_t, summed over the last axis but for the label."""
    others = np.arange(times.shape[-1]) != label
    return (others * (times - times[..., [label]] - delta_t) ** 2).sum(-1) / 2


def cross_entropy(u: Array, label: int) -> Array:
    """-log softmax(u)_label over the last axis."""
    top = u.max(-1, keepdims=True)
    return np.log(np.exp(u - top).sum(-1)) + top[..., 0] - u[..., label]
