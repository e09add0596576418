"""Delays of a projection: how much later than without them its spikes arrive.

A spike that is emitted in step n and is delayed by d steps arrives spread over steps n + k,

    h(k) = max(0, (1 + s - |k - (1 + d)|) / (1 + s)^2)        k = 1, 2, ...

each with h(k) times the weight. With width s = 0 these are two steps, (1 - g) in step n + 1 + m and
g in the next one, for d = m + g with m whole: the interpolation between two steps, of which the
derivative by d is exact. With s > 0 it is a triangle over more steps, which learning narrows.
Spikes of the input arrive a step earlier, in their own step without a delay.

Source: interpolation, Meszaros, Knight & Nowotny 2025, Nat Commun (10.1038/s41467-025-65394-8) for
the gradient by event times; triangle, DelRec, arXiv 2509.24852, eqs 7-13.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np

from snnrun.errors import ModelError


class DelayKind(Enum):
    """Which synapses of a projection share a delay."""

    AXONAL = "axonal"  # those of a presynaptic neuron
    DENDRITIC = "dendritic"  # those of a postsynaptic neuron
    SYNAPTIC = "synaptic"  # none

    def shape(self, pre: int, post: int) -> tuple[int, int]:
        """Return the shape of the delays of a projection, which fit beside weights [P, Q]."""
        kind = DelayKind
        return {kind.AXONAL: (pre, 1), kind.DENDRITIC: (1, post), kind.SYNAPTIC: (pre, post)}[self]


@dataclass(frozen=True, kw_only=True, eq=False)
class Delays:
    """The delays of a projection.

    Args:
        kind: Which synapses share one.
        start: With which they begin (ms), [P, 1], [1, Q] or [P, Q].
        most: The largest they can become (ms).
        trained: Whether they learn.
    """

    kind: DelayKind
    start: np.ndarray
    most: float
    trained: bool = False

    def __post_init__(self) -> None:
        if not (np.isfinite(self.start).all() and self.start.min() >= 0):
            raise ModelError(f"delays must be numbers from 0 to {self.most:g} ms")
        if self.start.max() > self.most:
            raise ModelError(
                f"a delay of {self.start.max():g} ms is above the largest one, {self.most:g} ms"
            )

    def steps(self, dt: float) -> int:
        """Return the whole steps that the largest delay needs."""
        return int(np.ceil(self.most / dt - 1e-9))


def spread(delays: np.ndarray, width: float, most: int) -> tuple[np.ndarray, np.ndarray]:
    """Return h(k) and its derivative by the delay, for k = 1, ..., most + 2 + floor(width).

    Args:
        delays: In steps, of any shape.
        width: s, in steps.
        most: The largest delay in whole steps.

    Returns:
        Two arrays [k, *shape]. On the kink, where the delay is a whole number and s = 0, the
        derivative is that from above: of the step behind against the step itself.
    """
    k = np.arange(1, most + 3 + int(width)).reshape(-1, *[1] * delays.ndim)
    top = (1.0 + width) ** 2
    distance = k - (1.0 + delays)
    h = np.maximum(0.0, (1.0 + width - np.abs(distance)) / top)
    inside = (distance > -(1.0 + width)) & (distance <= 1.0 + width)
    return h, np.where(inside, np.where(distance > 0, 1.0, -1.0) / top, 0.0)
