"""When the spikes of a projection arrive: after how many steps, and in how many parts.

A spike of a neuron arrives a step after it was emitted, one of the input in its own step, and later
by a delay, which may share it between steps (network/delays.py). A rule that learns online has one
axonal delay for all projections; unless it resets its state for each trial, no spike is too late,
since the next trial goes on where this one ends.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from snnrun.compile.program import Program
from snnrun.network.delays import in_steps, triangle
from snnrun.network.network import Projection
from snnrun.rules.learning import Online

TINY = 1e-4  # shares of less are rounding errors of delays that are whole steps


def shares(
    program: Program, projection: Projection, delays: np.ndarray | None, width: float = 0.0
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield after how many steps spikes arrive and with which share of the weight.

    Both are of the shape of ``delays`` (ms), or single numbers where that is None: a delayed spike
    arrives in several steps. Where a share is 0 nothing does.

    Args:
        width: Steps to each side over which delayed spikes are spread.
    """
    first = _first(program, projection)
    if delays is None:
        yield np.array(first), np.array(1.0)
        return
    steps = in_steps(delays, program.dt)
    for number in range(1, 3 + math.ceil(2 * width)):
        k = np.floor(steps - width).astype(int) + number
        share = triangle(k - (1.0 + steps), width)
        share = np.where((k >= 1) & (share > TINY), share, 0.0)
        yield k - 1 + first, np.where(share > 1.0 - TINY, 1.0, share)


def late_steps(program: Program, width: float = 0.0) -> int:
    """Return after how many steps the last part of a spike arrives, at most: those of a trial."""
    longest = [
        _first(program, p)
        + (0 if p.delays is None else p.delays.steps(program.dt) + math.ceil(width))
        for p in program.network.projections
    ]
    return min(max(longest), program.steps)


def _first(program: Program, projection: Projection) -> int:
    """Return after how many steps spikes arrive that are not delayed."""
    of_neurons = int(projection.source != program.network.input.name)
    learning = program.learning
    if not isinstance(learning, Online):
        return of_neurons
    if not learning.reset_state_per_trial:
        return 0
    return round(learning.delay_ms / program.dt) + of_neurons
