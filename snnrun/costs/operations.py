"""Synaptic operations of a projection, counted from what its source did and from its weights.

An operation is a spike that arrives at a synapse whose weight is not 0. It is an accumulation (AC)
where the weight is added as it is, and a multiplication with it (MAC) where the source emitted
several spikes in the step, or where a delay shares the spike between steps.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from snnrun.compile.arrivals import shares
from snnrun.compile.program import Program
from snnrun.network.delays import DelayKind
from snnrun.network.network import Projection

Values = Mapping[str, np.ndarray]  # tensor -> its values


@dataclass(frozen=True, kw_only=True)
class Operations:
    """Operations of a projection in all trials that were counted."""

    macs: int
    acs: int


def operations_of(
    program: Program,
    projection: Projection,
    values: Values,
    activations: np.ndarray,
    width: float = 0.0,
) -> Operations:
    """Return the operations of a projection.

    Args:
        values: Weights, and delays (ms) where it has some.
        activations: Of its source, [2, late_steps + 1, P] as of snnrun.backends.base.Backend.
        width: Steps to each side over which delayed spikes are spread.
    """
    # by one spike [0] and by several [1]: those that arrive within the trial if they take k steps
    arriving = np.cumsum(activations[:, ::-1], axis=1)[:, ::-1]
    sources, synapses, delays = _alike(projection, values)
    macs = acs = 0
    for steps, share in shares(program, projection, delays, width):
        k, there = np.broadcast_arrays(steps, share, sources)[:2]
        there = np.where(k < arriving.shape[1], there, 0.0)
        one, several = synapses * arriving[:, np.where(there > 0, k, 0), sources]
        acs += int(one[there == 1].sum())
        macs += int(several[there > 0].sum() + one[(there > 0) & (there < 1)].sum())
    return Operations(macs=macs, acs=acs)


def _alike(
    projection: Projection, values: Values
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Return synapses that spikes reach alike: their source, how many there are, and their delay.

    Those with a weight of 0 are left out. All are integers [G], delays (ms) [G] or None.
    """
    weights, delays = values[projection.name], values.get(f"{projection.name}_delays")
    kind = None if projection.delays is None else projection.delays.kind
    if (listed := projection.synapses) is None:
        pre, post = np.nonzero(weights)
        size = len(weights)
    else:
        there = weights.reshape(-1)[listed.place] != 0
        pre, post = listed.pre[there], listed.post[there]
        size = listed.shape[0]
    if delays is None or kind is DelayKind.AXONAL:
        count = np.bincount(pre, minlength=size)
        return np.arange(size), count, None if delays is None else delays[:, 0]
    return pre, np.ones(len(pre), np.int64), delays[0 if kind is DelayKind.DENDRITIC else pre, post]


def dense_operations(projection: Projection, pairs: int, steps: int) -> int:
    """Return the operations of a trial in which nothing is 0: those of a machine that skips none.

    Args:
        pairs: Of presynaptic and postsynaptic neurons. A matrix has a weight for each; where
            synapses share weights, as in a convolution, there are none beside those.
        steps: Of a trial.
    """
    synapses = projection.synapses
    return steps * (len(synapses.pre) if synapses is not None and synapses.shared else pairs)
