"""A chain of linear nodes of a NIR file as the connectivity of a projection."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any

import numpy as np

from snnrun.connectivity import Connectivity
from snnrun.connectivity.synapses import Synapses
from snnrun.exchange.nodes import kind_of


@dataclass(frozen=True, kw_only=True)
class Chain(Connectivity):
    """Synapses that share the weights of a node, and the nodes to write them back to a file.

    Args:
        nodes: All nodes, from the source to the target.
        weighted: Which of them has the weights.
        factors: What these are multiplied with here, of their shape.
    """

    nodes: Sequence[Any]
    weighted: int
    factors: np.ndarray

    def written(
        self, name: str, weights: np.ndarray, biases: np.ndarray
    ) -> tuple[list[tuple[str, Any]], bool]:
        """Return the nodes with other weights and biases, by names, and whether they took these.

        The last node takes biases, if it has weights: one for each target, or each channel.
        """
        node = copy(self.nodes[self.weighted])
        node.metadata = {}
        values = weights / self.factors if (self.factors != 1).any() else weights
        conv = kind_of(node).startswith("Conv")
        node.weight = np.ascontiguousarray(np.moveaxis(values, (-1, -2), (0, 1)))
        targets = node.weight.shape[0]
        given = biases.reshape(-1, targets) if conv else biases.reshape(1, -1)
        taken = self.weighted == len(self.nodes) - 1 and given.shape[1] == targets
        taken = taken and bool((given == given[0]).all()) and hasattr(node, "bias")
        if hasattr(node, "bias"):
            node.bias = given[0].copy() if taken else np.zeros(targets)
        names = [f"{name}_{at}" for at in range(len(self.nodes))]
        names[self.weighted] = name
        nodes = [*self.nodes]
        nodes[self.weighted] = node
        found = list(zip(names, nodes, strict=True))
        return found, taken or not biases.any()


def connectivity_of(synapses: Synapses, nodes: Sequence[Any], factors: np.ndarray) -> Connectivity:
    """Return the connectivity of a projection that stands for these nodes.

    ``factors``: what the weights of the one with weights are multiplied with; of size 0 where each
    synapse has a weight of its own.
    """

    def listed(ends: Any, random: Any) -> Synapses:
        return synapses

    about: dict[str, Any] = {
        "name": "nir",
        "meaning": " ".join(map(kind_of, nodes)) or "a list of synapses",
        "between": listed,
    }
    weighted = [at for at, node in enumerate(nodes) if hasattr(node, "weight")]
    if not factors.size or len(weighted) != 1:
        return Connectivity(**about)
    return Chain(**about, nodes=tuple(nodes), weighted=weighted[0], factors=factors)
