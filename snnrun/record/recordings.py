"""Spikes, neuron variables and weights of chosen mini-batches, each in a file of its own.

A recording is one part, ``records/KIND/e00003_t000007.h5``, which appears when it is complete.
``spikes.h5``, ``variables.h5`` and ``weights.h5`` hold links to the parts, so that any HDF5 viewer
shows them as one file. A part that is recorded again after a resume replaces the old one.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import h5py
import numpy as np

from snnrun.files import make_folders, sync_folder, write_error
from snnrun.record.hdf5 import atomic_hdf5
from snnrun.record.paths import RECORDING_KINDS, SPIKES, VARIABLES, WEIGHTS, RunPaths, part_name
from snnrun.record.spikes import GZIP, SpikePartWriter

MATRIX = "[presynaptic neuron, postsynaptic neuron]"
SHARED = (
    "weights that synapses share: of a convolution, [rows, columns, presynaptic channel, "
    "postsynaptic channel]; of pooling, one for all"
)
_CHUNK_BYTES = 2**20  # the size of HDF5's chunk cache
_LINKING_SHARE = 0.05  # of the time at most; with thousands of parts an index takes a while

Pair = tuple[str, str]


class Recordings:
    """Writes the recordings of one run.

    Args:
        paths: The run folder.
        dt_ms: Length of a step in ms.
        trial_ms: Length of a trial in ms.
    """

    def __init__(self, paths: RunPaths, *, dt_ms: float, trial_ms: float) -> None:
        self._paths = paths
        self._time = {"dt_ms": dt_ms, "trial_ms": trial_ms}
        self._steps = round(trial_ms / dt_ms)
        self._parts = {kind: set(paths.parts(kind)) for kind in RECORDING_KINDS}
        self._unlinked = {kind for kind in RECORDING_KINDS if self._parts[kind]}
        self._next_linking = 0.0

    @contextmanager
    def spike_writer(
        self, epoch: int, trial: int, n_neurons: Mapping[str, int], *, phase: str, buffer_steps: int
    ) -> Iterator[SpikePartWriter]:
        """Give a writer that takes example after example and holds ``buffer_steps`` steps of them.

        The part appears when the block ends; after an error there is none.
        """
        with self._part(SPIKES, epoch, trial, phase) as file:
            writer = SpikePartWriter(
                file,
                n_neurons,
                steps_per_example=self._steps,
                dt_ms=self._time["dt_ms"],
                buffer_steps=buffer_steps,
            )
            yield writer
            writer.close()

    def variables(
        self,
        epoch: int,
        trial: int,
        values: Mapping[Pair, np.ndarray],
        *,
        phase: str,
        units: Mapping[Pair, str],
        examples: np.ndarray,
    ) -> None:
        """Record neuron variables: (population, variable) -> float32 [examples, steps, neurons].

        Entry n along the steps is the value at the end of step n, at (n + 1) dt. ``examples`` are
        the indices of the examples in their data.
        """
        with self._part(VARIABLES, epoch, trial, phase) as file:
            file["examples"] = np.asarray(examples, "i8")
            for (population, variable), array in values.items():
                _, steps, neurons = array.shape
                rows = max(1, min(steps, _CHUNK_BYTES // (4 * max(1, neurons))))
                data = file.create_dataset(
                    f"{population}/{variable}",
                    data=array,
                    dtype="f4",
                    chunks=(1, rows, neurons) if array.size else None,
                    **(GZIP if array.size else {}),
                )
                data.attrs["unit"] = units[population, variable]
                data.attrs["meaning"] = (
                    "[example, step, neuron]; entry n is the value at (n + 1) dt"
                )

    def weights(
        self,
        epoch: int,
        trial: int,
        weights: Mapping[str, np.ndarray],
        *,
        phase: str,
        delays: Mapping[str, np.ndarray] | None = None,
        parameters: Mapping[Pair, np.ndarray] | None = None,
        parameter_units: Mapping[Pair, str] | None = None,
    ) -> None:
        """Record what is learned, as it is when mini-batch ``trial`` begins.

        Args:
            epoch: The epoch.
            trial: The mini-batch.
            weights: Projection -> [pre, post], or the array that its synapses share.
            phase: What the mini-batch is for.
            delays: Projection -> ms, [pre, 1] axonal, [1, post] dendritic or [pre, post] synaptic.
            parameters: (population, parameter) -> [neurons] or a number, as trained time constants.
            parameter_units: The unit of each parameter.
        """
        units = parameter_units or {}
        with self._part(WEIGHTS, epoch, trial, phase) as file:
            for projection, array in weights.items():
                data = file.create_dataset(
                    f"weights/{projection}", data=array, **(GZIP if array.size else {})
                )
                data.attrs["meaning"] = MATRIX if array.ndim == 2 else SHARED
            for projection, array in (delays or {}).items():
                data = file.create_dataset(f"delays/{projection}", data=array, **GZIP)
                data.attrs["unit"] = "ms"
                data.attrs["meaning"] = "[presynaptic neuron, postsynaptic neuron], 1: all share it"
            for (population, name), array in (parameters or {}).items():
                data = file.create_dataset(f"parameters/{population}/{name}", data=array)
                data.attrs["unit"] = units.get((population, name), "1")

    def discard_after(self, epoch: int, trial: int) -> None:
        """Remove every part at or after mini-batch ``trial`` of ``epoch``, to be recorded again."""
        for kind, parts in self._parts.items():
            again = {cursor for cursor in parts if cursor >= (epoch, trial)}
            if not again:
                continue
            parts -= again
            self._link(kind)
            try:
                for cursor in again:
                    self._paths.part(kind, *cursor).unlink(missing_ok=True)
                sync_folder(self._paths.part_folder(kind))
            except OSError as error:
                raise write_error(self._paths.part_folder(kind), error) from error

    def flush(self) -> None:
        """Bring the links up to date; to be called at the end of an epoch and of the run."""
        for kind in sorted(self._unlinked):
            self._link(kind)

    @contextmanager
    def _part(self, kind: str, epoch: int, trial: int, phase: str) -> Iterator[h5py.File]:
        path = self._paths.part(kind, epoch, trial)
        make_folders(self._paths.records, path.parent)
        with atomic_hdf5(path) as file:
            file.attrs.update({"epoch": epoch, "trial": trial, "phase": phase, **self._time})
            yield file
        if (epoch, trial) not in self._parts[kind]:
            self._parts[kind].add((epoch, trial))
            self._unlinked.add(kind)
        if time.monotonic() >= self._next_linking:
            self.flush()

    def _link(self, kind: str) -> None:
        started = time.monotonic()
        with atomic_hdf5(self._paths.index(kind)) as file:
            for cursor in sorted(self._parts[kind]):
                path = self._paths.part(kind, *cursor).relative_to(self._paths.root)
                file[part_name(*cursor)] = h5py.ExternalLink(path.as_posix(), "/")
        self._unlinked.discard(kind)
        ended = time.monotonic()
        self._next_linking = ended + (ended - started) * (1 / _LINKING_SHARE - 1)
