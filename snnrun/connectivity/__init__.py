"""Kinds of connections: who is connected by a projection.

A connectivity is data: a function that lists the synapses between two populations. One of your own
is chosen for a projection of ``network.layers`` by its dotted path:

    # mylab/connectivity.py
    import numpy as np
    from snnrun.connectivity import Connectivity

    def nearest(pre, post, random):
        i = np.arange(pre)
        return np.concatenate([i, i]), np.concatenate([i, i + 1]) % post

    RING = Connectivity(name="ring", meaning="each neuron to two neighbours", synapses=nearest)

as ``forward: {connectivity: mylab.connectivity.RING}``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from snnrun.errors import ConfigError, ModelError
from snnrun.load import load_object

if TYPE_CHECKING:  # importing it takes longer than some commands
    import numpy as np

Pairs = tuple[Any, Any]  # presynaptic and postsynaptic neurons, integers [synapses] each


@dataclass(frozen=True, kw_only=True)
class Connectivity:
    """A kind of connections.

    Args:
        name: What it is called.
        meaning: One line.
        synapses: Takes the numbers of pre- and postsynaptic neurons and a random generator, which
            has the stream of the projection; returns the two ends of each synapse, integers [S]
            each, a pair at most once. None: all neurons are connected.
    """

    name: str
    meaning: str
    synapses: Callable[[int, int, np.random.Generator], Pairs] | None = None


def one_to_one(pre: int, post: int, random: np.random.Generator) -> Pairs:
    """Connect each neuron with the one of the same number."""
    if pre != post:
        raise ModelError(f"one_to_one connects as many neurons, not {pre} with {post}")
    return range(pre), range(post)


DENSE = Connectivity(name="dense", meaning="all neurons are connected")
ONE_TO_ONE = Connectivity(
    name="one_to_one", meaning="each neuron with the one of its number", synapses=one_to_one
)
CONNECTIVITIES = {kind.name: kind for kind in (DENSE, ONE_TO_ONE)}


def find_connectivity(name: str, where: str) -> Connectivity:
    """Return a built-in kind, or the one of a dotted path that ``where`` holds."""
    kind = CONNECTIVITIES.get(name) or load_object(name, where)
    if not isinstance(kind, Connectivity):
        raise ConfigError(
            f"{where}={name}: a snnrun Connectivity is needed, not a {type(kind).__name__}"
        )
    return kind
