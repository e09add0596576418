"""The double exponential through which spike trains are filtered before they are compared.

    alpha(t) = norm (exp(-t / decay) - exp(-t / rise))      t >= 0, with a peak of 1

On the grid a spike of step m contributes alpha((n - m) dt) in step n.

Source: van Rossum 2001, Neural Computation 13:751, with the two stages of Zenke & Ganguli 2018.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, kw_only=True)
class Kernel:
    """Time constants in ms, ``rise`` < ``decay``."""

    rise: float
    decay: float

    @property
    def norm(self) -> float:
        """What gives alpha a peak of 1."""
        rise, decay = self.rise, self.decay
        peak = decay * rise / (decay - rise) * math.log(decay / rise)
        return 1.0 / (math.exp(-peak / decay) - math.exp(-peak / rise))

    def filtered(self, spikes: np.ndarray, dt: float, *, periodic: bool = False) -> np.ndarray:
        """Return ``spikes`` [T, N] filtered along their first axis.

        ``periodic``: they have been repeated for ever before.
        """
        decay = _filtered(spikes, math.exp(-dt / self.decay), periodic)
        rise = _filtered(spikes, math.exp(-dt / self.rise), periodic)
        return self.norm * (decay - rise)


def _filtered(x: np.ndarray, keep: float, periodic: bool) -> np.ndarray:
    """Return y with y[n] = keep y[n - 1] + x[n] along the first axis."""
    y, last = np.empty_like(x), np.zeros(x.shape[1])
    block = max(1, min(len(x), int(20 / -math.log(keep))))  # keep^-block stays a small number
    for start in range(0, len(x), block):
        part = x[start : start + block]
        powers = keep ** np.arange(1, len(part) + 1)[:, None]
        y[start : start + block] = powers * (last + np.cumsum(part / powers, axis=0))
        last = y[min(start + block, len(x)) - 1]
    if periodic:  # the transient that a state before the trial would add
        before = last / (1.0 - keep ** len(x))
        y += keep ** np.arange(1, len(x) + 1)[:, None] * before
    return y
