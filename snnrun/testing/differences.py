"""Central differences of the exact loss by its numbers, all in one simulation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from snnrun.testing.equations import Array
from snnrun.testing.exact import Problem, simulate
from snnrun.testing.exact_loss import exact_loss

STEP = 1e-5  # of the difference, relative to the largest value of a table


@dataclass(frozen=True, kw_only=True)
class Differences:
    """The exact loss and its gradient.

    An entry is nan where a spike count differs between the two sides, since the loss may jump
    there, and that of a delay so close to 0 that it has no two sides.
    """

    loss: float
    gradients: dict[str, Array]  # by the names of the problem's tables
    counts: list[Array]  # spikes of every neuron, per layer
    scales: dict[str, float]  # the largest value of each table; 1 for a table of zeros


def finite_differences(
    problem: Problem, names: Sequence[str], steps: Mapping[str, float] | None = None
) -> Differences:
    """Differentiate the exact loss by every entry of the problem's tables called ``names``.

    ``steps``: of the differences to each side, relative to the largest value of a table; by name,
    usually ``STEP``.
    """
    tables = problem.tables
    entries = [(name, k) for name in names for k in range(tables[name].size)]
    copies = {name: np.repeat(tables[name][None], 1 + 2 * len(entries), 0) for name in names}
    scales = {name: float(np.abs(tables[name]).max()) or 1.0 for name in names}
    steps, widths = steps or dict.fromkeys(names, STEP), np.empty(len(entries))
    for e, (name, k) in enumerate(entries):
        flat = copies[name].reshape(len(copies[name]), -1)
        flat[1 + 2 * e, k] += steps[name] * scales[name]
        flat[2 + 2 * e, k] -= steps[name] * scales[name]
        widths[e] = flat[1 + 2 * e, k] - flat[2 + 2 * e, k]
    delays = [name for name in names if name in problem.delays]
    negative = [(copies[name] < 0).reshape(1 + 2 * len(entries), -1).any(1) for name in delays]
    copies |= {name: np.maximum(copies[name], 0.0) for name in delays}
    history = simulate(problem, copies)
    losses = exact_loss(history, problem.loss, problem.loss_values, problem.label)
    counts = history.counts
    together = np.concatenate(counts, axis=1)
    useless = np.any([(together != together[0]).any(1), *negative], axis=0)
    slopes = (losses[1::2] - losses[2::2]) / widths
    slopes[useless[1::2] | useless[2::2]] = np.nan
    ends = np.cumsum([tables[name].size for name in names])
    parts = np.split(slopes, ends[:-1])
    return Differences(
        loss=float(losses[0]),
        gradients={n: part.reshape(tables[n].shape) for n, part in zip(names, parts, strict=True)},
        counts=[count[0] for count in counts],
        scales=scales,
    )
