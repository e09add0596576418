"""A network with all that it has learned, for the writers of other programs' formats."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from snnrun.network.network import Network, Population

Tensors = Mapping[str, Mapping[str, np.ndarray]]  # name -> "value" -> array


@dataclass(frozen=True, kw_only=True)
class Trained:
    """A network and its values.

    Args:
        network: Populations and projections.
        weights: Projection -> array, [P, Q] or of the shape in which synapses share weights.
        delays: Projection -> ms, [P, 1], [1, Q] or [P, Q], of those that have some.
        parameters: Population -> parameter -> a number, or one for each neuron.
        dt: Length of a step (ms).
        about: What else is told of the run, as texts and numbers.
    """

    network: Network
    weights: Mapping[str, np.ndarray]
    delays: Mapping[str, np.ndarray]
    parameters: Mapping[str, Mapping[str, Any]]
    dt: float
    about: Mapping[str, Any]

    @classmethod
    def of(cls, network: Network, tensors: Tensors, dt: float, about: Mapping[str, Any]) -> Trained:
        """Return a network with the tensors of a checkpoint."""
        projections = network.projections
        return cls(
            network=network,
            weights={p.name: tensors[p.name]["value"] for p in projections},
            delays={
                p.name: tensors[f"{p.name}_delays"]["value"]
                for p in projections
                if p.delays is not None
            },
            parameters={
                layer.population.name: _parameters(layer.population, tensors)
                for layer in network.layers
            },
            dt=dt,
            about=about,
        )


def _parameters(population: Population, tensors: Tensors) -> dict[str, Any]:
    """Return a population's parameters, those that differ between neurons from its tensor."""
    differing = [name for name in population.per_neuron if name not in population.trained]
    names = [*population.trained, *differing]  # in the order of the tensor's rows
    found = dict(population.values)
    if names:
        rows = tensors[f"{population.name}_parameters"]["value"]
        found |= dict(zip(names, rows, strict=True))
    return found
