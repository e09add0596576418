"""The arrays of a program that a backend holds: weights, delays, and parameters of neurons."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from snnrun.connectivity.synapses import Synapses
from snnrun.network.delays import Delays
from snnrun.network.network import Projection

WEIGHTS, DELAYS, PARAMETERS = "weights", "delays", "parameters"
OF_ONLINE = ("first", "second")  # what rules that learn online keep: accumulators, and RMaxProp's


@dataclass(frozen=True, kw_only=True)
class Tensor:
    """One array that a backend holds.

    Weights are [P, Q], 0 without a synapse, or have the shape in which synapses share them. Delays
    (ms) are [P, 1], [1, Q] or [P, Q]. What differs among the parameters of neurons is
    [parameters, N].

    Args:
        kind: WEIGHTS, DELAYS or PARAMETERS.
        layer: Number of the population in which the projection ends, or whose parameters they are.
        number: Which of the projections into it; parameters have none.
        states: What the optimiser keeps for each of its values.
    """

    name: str
    layer: int
    kind: str
    shape: tuple[int, ...]
    trained: bool
    number: int = 0
    parameters: tuple[str, ...] = ()
    states: tuple[str, ...] = ()
    projection: Projection | None = None

    @property
    def place(self) -> str:
        """Where it stands in the program, as 0.weights.0."""
        tail = "" if self.kind == PARAMETERS else f".{self.number}"
        return f"{self.layer}.{self.kind}{tail}"

    @property
    def synapses(self) -> Synapses | None:
        """The synapses whose weights or delays they are; None where all are connected."""
        return self.projection.synapses if self.projection else None

    @property
    def delays(self) -> Delays | None:
        """What is declared of them, if they are delays."""
        return self.projection.delays if self.projection and self.kind == DELAYS else None

    @property
    def bounds(self) -> tuple[float, float]:
        """Between which values learning keeps them; of parameters each has its own."""
        if self.delays is not None:
            return 0.0, self.delays.most
        return self.projection.bounds if self.projection else (-np.inf, np.inf)

    @property
    def count(self) -> int:
        """Number of values that learning changes."""
        if not self.trained:
            return 0
        if self.synapses is not None and self.shape == self.synapses.shape:
            return self.synapses.count
        return int(np.prod(self.shape))
