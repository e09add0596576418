"""Spikes of one population in the examples of one mini-batch, sparse."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, kw_only=True)
class SpikeRecord:
    """Spikes of a population; example ``k`` owns spikes ``offsets[k]`` to ``offsets[k + 1]``.

    Args:
        times_ms: Spike times within the trial in ms, float32 [spikes]; step n ends at (n + 1) dt.
        ids: Index of the neuron that spiked, int32 [spikes].
        offsets: int64 [examples + 1].
        examples: Index of each example in its data, int64 [examples].
        n_neurons: Size of the population.
        labels: True class of each example, int32 [examples], if known.
        predictions: Predicted class of each example, -1 for none, int32 [examples], if known.
    """

    times_ms: np.ndarray
    ids: np.ndarray
    offsets: np.ndarray
    examples: np.ndarray
    n_neurons: int
    labels: np.ndarray | None = None
    predictions: np.ndarray | None = None

    def __post_init__(self) -> None:
        if len(self.times_ms) != len(self.ids):
            raise ValueError(f"{len(self.times_ms)} spike times, but {len(self.ids)} neuron ids")
        if len(self.offsets) != len(self.examples) + 1:
            raise ValueError(
                f"{len(self.offsets)} offsets for {len(self.examples)} examples: need one more"
            )
        if (
            self.offsets[0] != 0
            or self.offsets[-1] != len(self.ids)
            or (np.diff(self.offsets) < 0).any()
        ):
            raise ValueError(
                f"offsets must ascend from 0 to the number of spikes ({len(self.ids)})"
            )
        if len(self.ids) and not 0 <= self.ids.min() <= self.ids.max() < self.n_neurons:
            raise ValueError(f"neuron ids must lie in 0..{self.n_neurons - 1}")
        for name in ("labels", "predictions"):
            values = getattr(self, name)
            if values is not None and len(values) != len(self):
                raise ValueError(f"{len(values)} {name} for {len(self)} examples")

    def __len__(self) -> int:
        """Return the number of examples."""
        return len(self.examples)

    def example(self, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Return times (ms) and neuron ids of the spikes of the ``k``-th example of this record."""
        spikes = slice(self.offsets[k], self.offsets[k + 1])
        return self.times_ms[spikes], self.ids[spikes]

    def counts(self) -> np.ndarray:
        """Return how often each neuron spiked in each example, int64 [examples, neurons]."""
        example = np.repeat(np.arange(len(self)), np.diff(self.offsets))
        flat = np.bincount(
            example * self.n_neurons + self.ids, minlength=len(self) * self.n_neurons
        )
        return flat.reshape(len(self), self.n_neurons)
