"""Taking weights and time constants out of a network's tensors, and writing their pictures."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from snnrun.datasets import find
from snnrun.network.network import Network
from snnrun.plots.fields import draw_fields
from snnrun.plots.fields import size_of as fields_size
from snnrun.plots.style import write
from snnrun.plots.weights import TimeConstant, draw_time_constants, draw_weights, size_of
from snnrun.record.paths import RunPaths
from snnrun.schema import DATASETS

MS = "ms"


def learned(
    network: Network, tensors: Mapping[str, np.ndarray]
) -> tuple[dict[str, np.ndarray], list[TimeConstant]]:
    """Return projection -> [pre, post], and the time constants in which neurons differ."""
    weights = {projection.name: tensors[projection.name] for projection in network.projections}
    found = []
    for layer in network.layers:
        population = layer.population
        rows = tensors.get(f"{population.name}_parameters", ())
        for name, values in zip(population.per_neuron, rows, strict=True):
            if population.neuron is not None and population.neuron.parameter(name).unit == MS:
                start = np.broadcast_to(population.values[name], values.shape)
                found.append(
                    TimeConstant(population=population.name, name=name, values=values, start=start)
                )
    return weights, found


def write_learned(
    paths: RunPaths,
    weights: Mapping[str, np.ndarray],
    taus: list[TimeConstant],
    after: str,
    dataset: str = "",
) -> None:
    """Write the histograms to the folder of plots, and receptive fields on images."""
    first = next(iter(weights.values()))
    pixels = dataset in DATASETS and find(dataset).pixels
    if pixels and math.isqrt(len(first)) ** 2 == len(first):
        write(
            lambda f: draw_fields(f, first, f"Weights from the pixels into each neuron {after}"),
            paths.plot("fields"),
            fields_size(first.shape[1]),
        )
    write(
        lambda f: draw_weights(f, weights, f"Weights {after}"),
        paths.plot("weights"),
        size_of(len(weights)),
    )
    if taus:
        write(
            lambda f: draw_time_constants(f, taus, f"Time constants {after}"),
            paths.plot("time_constants"),
            size_of(len(taus)),
        )
