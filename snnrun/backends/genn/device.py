"""A loaded GeNN model: its variables, tables and parameters by name, and its steps."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from snnrun.backends.genn.cuda_graph import PassGraphs
from snnrun.backends.genn.description import Description
from snnrun.backends.genn.memory import require_memory
from snnrun.errors import BuildError, NumericalError


def out_of_memory(error: Exception) -> BuildError:
    """Return what to do where the network does not fit."""
    return BuildError(
        f"not enough memory for the network and its buffers: {error}. Use a smaller N_BATCH or "
        "N_MAX_SPIKE, fewer examples, or backend.precision=float32"
    )


def places_of(description: Description) -> dict[str, tuple[int, np.ndarray]]:
    """Return where the synapses of projections that list them stand in the matrix [pre x post].

    Projections, and updates that run over their synapses, by name: size of the flat matrix, and
    the place of each synapse in GeNN's order.
    """
    sizes = {neurons.name: neurons.size for neurons in description.neurons}
    found = {}
    for synapses in description.synapses:
        if synapses.pairs is not None:
            columns = sizes[synapses.target]
            place = synapses.pairs.pre.astype(np.int64) * columns + synapses.pairs.post
            found[synapses.name] = sizes[synapses.source] * columns, np.sort(place)
    for update in description.updates:
        owner = next((r.owner for r in update.references if r.owner in found), None)
        if owner is not None:
            found[update.name] = found[owner]
    return found


class Device:
    """The memory and the kernels of a model. Arrays that come out are copies.

    Args:
        model: The built GeNNModel.
        groups: Its populations, projections and updates by name.
        description: What it was made of.
        apart: Whether its memory is not the host's.
        free: Returns the bytes that are free there, or None.
        graphs: Whether the steps of a pass are launched as one CUDA graph.
    """

    def __init__(
        self,
        model: Any,
        groups: dict[str, Any],
        description: Description,
        *,
        apart: bool,
        free: Callable[[], int | None] = lambda: None,
        graphs: bool = False,
    ) -> None:
        self.apart = apart
        self.graphs = PassGraphs(self._launch) if graphs else None
        self._free = free
        self._description = description
        self._seconds: dict[str, float] = {}
        self._model = model
        self._loaded = False
        self._groups = groups
        self._parameters: dict[tuple[str, str], float] = {}
        self.batch = description.batch
        self._places = places_of(description)
        self._load()

    def _load(self) -> None:
        try:
            self._model.load()
        except MemoryError as error:
            raise out_of_memory(error) from error
        except RuntimeError as error:
            if any(words in str(error).lower() for words in ("out of memory", "bad_alloc")):
                raise out_of_memory(error) from error
            raise BuildError(
                f"GeNN could not load the network: {error}. Delete the folder of its code, so that "
                "it is built anew"
            ) from error
        self._loaded = True
        self._parameters.clear()
        for part in self._description.parts:
            for parameter in part.parameters:
                if parameter.value:
                    self.set_parameter(part.name, parameter.name, parameter.value)

    def close(self) -> None:
        """Free the memory."""
        self._groups.clear()
        self._unload()

    def _unload(self) -> None:
        if self.graphs is not None:
            self.graphs.close()
        if self._loaded:  # not where it did not fit again: GeNN unloads nothing twice
            self._model.unload()
        self._loaded = False

    def resize(self, owner: str, sizes: Mapping[str, np.ndarray]) -> None:
        """Give tables other contents and sizes; all other memory starts anew.

        Raises:
            ConfigError: The device has not the memory for it.
        """
        self._unload()
        grown = {(owner, name): len(values) for name, values in sizes.items()}
        require_memory(self._description, self._free(), grown)
        for name, values in sizes.items():
            self._groups[owner].extra_global_params[name].set_init_values(values)
        self._load()

    def _variable(self, owner: str, name: str) -> Any:
        """Return a variable, of synapses also one that those of a neuron have in common."""
        group = self._groups[owner]
        kinds = (getattr(group, kind, {}) for kind in ("vars", "pre_vars", "post_vars"))
        return next(kind[name] for kind in kinds if name in kind)

    def read(self, owner: str, variable: str) -> np.ndarray:
        """Return a variable, [neurons] or [batch, neurons], or [pre x post] of synapses.

        It is 0 where there is no synapse.
        """
        found = self._variable(owner, variable)
        found.pull_from_device()
        if not self._listed(owner, variable):
            return np.array(found.view)
        size, place = self._places[owner]
        values = found.values
        full = np.zeros(size, values.dtype)
        full[place] = values
        return full

    def _listed(self, owner: str, variable: str) -> bool:
        """Return whether a variable has values of some pairs of neurons only."""
        return owner in self._places and variable in self._groups[owner].vars

    def within(self, owner: str, variable: str, limit: float) -> bool:
        """Return whether all values of a variable lie between -limit and limit; NaN does not."""
        found = self._groups[owner].vars[variable]
        found.pull_from_device()
        values = found.values if self._listed(owner, variable) else found.view
        return bool(values.min() > -limit and values.max() < limit)

    def read_batch(self, owner: str, variable: str) -> np.ndarray:
        """Return a variable of every example, [batch, neurons]."""
        return self.read(owner, variable).reshape(self.batch, -1)

    def write(self, owner: str, variable: str, values: np.ndarray) -> None:
        """Overwrite a variable."""
        found = self._variable(owner, variable)
        if self._listed(owner, variable):
            found.values = values.reshape(-1)[self._places[owner][1]]
        else:
            found.view[:] = values.reshape(found.view.shape)
        found.push_to_device()

    def table(self, owner: str, name: str) -> np.ndarray:
        """Return the contents of a table."""
        found = self._groups[owner].extra_global_params[name]
        found.pull_from_device()
        return np.array(found.view)

    def table_memory(self, owner: str, name: str) -> np.ndarray:
        """Return the host's memory of a table, to be filled; then call ``push``."""
        return self._groups[owner].extra_global_params[name].view

    def push(self, owner: str, name: str) -> None:
        """Copy the host's memory of a table to the device."""
        self._groups[owner].extra_global_params[name].push_to_device()

    def set_parameter(self, owner: str, name: str, value: float) -> None:
        """Set a number that the code of a population or an update uses."""
        if self._parameters.get((owner, name)) != value:
            self._groups[owner].set_dynamic_param_value(name, value)
            self._parameters[owner, name] = value

    def run(self, steps: int, first: int = 0) -> None:
        """Walk all populations through ``steps`` steps of GeNN, from step ``first`` on."""
        if self.graphs is None:
            self._launch(steps, first)
        else:
            self.graphs.run(steps, first)

    def _launch(self, steps: int, first: int) -> None:
        self._model.timestep = first
        step_time = self._model.step_time
        try:
            for _ in range(steps):
                step_time()
        except RuntimeError as error:
            raise NumericalError(f"GeNN's device failed in a step: {error}") from error

    def update(self, group: str) -> None:
        """Run all updates of a group."""
        try:
            self._model.custom_update(group)
        except RuntimeError as error:
            raise NumericalError(f"GeNN's device failed in update {group}: {error}") from error

    @contextmanager
    def timed(self, part: str) -> Iterator[None]:
        """Count the seconds of a part of the work, which ends with results on the host."""
        started = time.monotonic()
        try:
            yield
        finally:
            passed = time.monotonic() - started
            self._seconds[part] = self._seconds.get(part, 0.0) + passed

    def times(self) -> dict[str, float]:
        """Return the seconds spent in each kind of kernel since the model was loaded.

        Of a GPU: in each part of the work. GeNN would wait for the GPU in every step to time its
        kernels.
        """
        if self.apart:
            return dict(self._seconds)
        kinds = ("neuron_update", "presynaptic_update", "postsynaptic_update", "synapse_dynamics")
        return {kind: float(getattr(self._model, f"{kind}_time")) for kind in kinds}
