"""Central differences of the exact loss by weights and parameters, all in one simulation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from snnrun.testing.equations import Array
from snnrun.testing.exact import Problem, simulate
from snnrun.testing.exact_loss import exact_loss

STEP = 1e-5  # of the difference, relative to the largest value of a table


@dataclass(frozen=True, kw_only=True)
class Differences:
    """The exact loss and its gradient.

    An entry is nan where a spike count differs between the two sides: the loss may jump there.
    """

    loss: float
    gradients: dict[str, Array]  # projection, or "population.parameter"
    counts: list[Array]  # spikes of every neuron, per layer
    scales: dict[str, float]  # the largest value of each table; 1 for a table of zeros


def finite_differences(problem: Problem, names: Sequence[str]) -> Differences:
    """Differentiate the exact loss by every entry of the tables called ``names``.

    A table is a projection's weights or, as ``population.parameter``, a parameter of every neuron.
    """
    tables = _tables(problem)
    entries = [(name, k) for name in names for k in range(tables[name].size)]
    copies = {
        name: np.repeat(table[None], 1 + 2 * len(entries), 0) for name, table in tables.items()
    }
    scales = {name: float(np.abs(tables[name]).max()) or 1.0 for name in names}
    widths = np.empty(len(entries))
    for e, (name, k) in enumerate(entries):
        flat = copies[name].reshape(len(copies[name]), -1)
        flat[1 + 2 * e, k] += STEP * scales[name]
        flat[2 + 2 * e, k] -= STEP * scales[name]
        widths[e] = flat[1 + 2 * e, k] - flat[2 + 2 * e, k]
    values = [
        {p: copies[f"{layer.population.name}.{p}"] for p in layer.population.values}
        for layer in problem.network.layers
    ]
    history = simulate(problem, copies, values)
    losses = exact_loss(history, problem.loss, problem.loss_values, problem.label)
    counts = history.counts
    together = np.concatenate(counts, axis=1)
    differs = (together != together[0]).any(1)
    slopes = (losses[1::2] - losses[2::2]) / widths
    slopes[differs[1::2] | differs[2::2]] = np.nan
    ends = np.cumsum([tables[name].size for name in names])
    parts = np.split(slopes, ends[:-1])
    return Differences(
        loss=float(losses[0]),
        gradients={n: part.reshape(tables[n].shape) for n, part in zip(names, parts, strict=True)},
        counts=[count[0] for count in counts],
        scales=scales,
    )


def _tables(problem: Problem) -> dict[str, Array]:
    tables = {name: np.asarray(w, float) for name, w in problem.weights.items()}
    for layer in problem.network.layers:
        for name, value in problem.values(layer).items():
            tables[f"{layer.population.name}.{name}"] = np.asarray(value, float)
    return tables
