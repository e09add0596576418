"""Spikes of the examples of a mini-batch, sparse: in memory, and in HDF5."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import h5py
import numpy as np

GZIP = {"compression": "gzip", "compression_opts": 1, "shuffle": True}  # levels above 1 gain 2 %
_CHUNK = 16_384
_MEANING = {
    "times_ms": "time of the spike within its trial",
    "ids": "index of the neuron",
    "offsets": "spikes of example k are offsets[k] to offsets[k+1]",
    "examples": "index of the example in its data",
    "labels": "true class of the example",
    "predictions": "predicted class of the example; -1 for none",
}


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


class SpikePartWriter:
    """Takes the spikes of one example after another and writes them into an open part file.

    Args:
        file: The part; one group is made per population.
        n_neurons: Population -> number of neurons.
        steps_per_example: Steps of a trial.
        dt_ms: Length of a step.
        buffer_steps: Steps that are held in memory before they are compressed (SPK_REC_STEPS).
    """

    def __init__(
        self,
        file: h5py.File,
        n_neurons: Mapping[str, int],
        *,
        steps_per_example: int,
        dt_ms: float,
        buffer_steps: int,
    ) -> None:
        self._groups = {name: file.create_group(name) for name in n_neurons}
        self._steps_per_example = steps_per_example
        self._buffer_steps = buffer_steps
        ends = np.arange(buffer_steps, steps_per_example, buffer_steps)
        self._ends_ms = (ends + 0.5) * dt_ms  # between steps, where rounding moves no spike
        self._held_steps = 0
        self._times: dict[str, list[np.ndarray]] = {name: [] for name in n_neurons}
        self._ids: dict[str, list[np.ndarray]] = {name: [] for name in n_neurons}
        self._counts: dict[str, list[int]] = {name: [] for name in n_neurons}
        self._about: dict[str, list[int]] = {"examples": [], "labels": [], "predictions": []}
        for name, group in self._groups.items():
            group.attrs["n_neurons"] = n_neurons[name]
            for column, dtype in (("times_ms", "f4"), ("ids", "i4")):
                group.create_dataset(
                    column, shape=(0,), maxshape=(None,), chunks=(_CHUNK,), dtype=dtype, **GZIP
                )

    def add(
        self,
        spikes: Mapping[str, tuple[np.ndarray, np.ndarray]],
        *,
        example: int,
        label: int | None = None,
        prediction: int | None = None,
    ) -> None:
        """Add one example: times (ms) and ids of the spikes of every population, in time order."""
        if spikes.keys() != self._groups.keys():
            raise ValueError(f"spikes of {sorted(spikes)} for a part of {sorted(self._groups)}")
        for name, (times, ids) in spikes.items():
            if len(times) != len(ids):
                raise ValueError(f"{name}: {len(times)} spike times, but {len(ids)} neuron ids")
            self._counts[name].append(len(ids))
        self._about["examples"].append(example)
        for name, value in (("labels", label), ("predictions", prediction)):
            if value is not None:
                self._about[name].append(value)
        edges = {
            name: [0, *np.searchsorted(times, self._ends_ms).tolist(), len(times)]
            for name, (times, _) in spikes.items()
        }
        for piece in range(len(self._ends_ms) + 1):
            for name, (times, ids) in spikes.items():
                here = slice(*edges[name][piece : piece + 2])
                self._times[name].append(np.array(times[here], "f4"))
                self._ids[name].append(np.array(ids[here], "i4"))
            self._held_steps += min(self._buffer_steps, self._steps_per_example)
            if self._held_steps >= self._buffer_steps:
                self._flush()

    def close(self) -> None:
        """Write what is still held, and where each example begins."""
        self._flush()
        n_examples = len(self._about["examples"])
        about = {name: values for name, values in self._about.items() if values}
        for name, values in about.items():
            if len(values) != n_examples:
                raise ValueError(f"{len(values)} {name} for {n_examples} examples")
        for name, group in self._groups.items():
            group["offsets"] = np.concatenate([[0], np.cumsum(self._counts[name], dtype="i8")])
            group["examples"] = np.array(self._about["examples"], "i8")
            for column in about.keys() - {"examples"}:
                group[column] = np.array(about[column], "i4")
            for column, data in group.items():
                data.attrs["unit"] = "ms" if column == "times_ms" else "1"
                data.attrs["meaning"] = _MEANING[column]

    def _flush(self) -> None:
        for name, group in self._groups.items():
            for column, held in (("times_ms", self._times[name]), ("ids", self._ids[name])):
                values = np.concatenate(held) if held else np.empty(0)
                held.clear()
                if not len(values):
                    continue
                data = group[column]
                start = len(data)
                data.resize((start + len(values),))
                data[start:] = values
        self._held_steps = 0


def read_spikes(group: h5py.Group) -> SpikeRecord:
    """Return the spikes of one population of a part."""
    columns = {name: data[()] for name, data in group.items()}
    return SpikeRecord(**columns, n_neurons=int(group.attrs["n_neurons"]))
