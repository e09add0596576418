"""What a network that learns online carries from trial to trial: a GeNN model's memory by the names
and in the layout of :func:`snnrun.backends.online.carried_names`, which all backends share.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from snnrun.backends.genn.device import Device
from snnrun.backends.genn.online_population import OnlineLayer
from snnrun.backends.genn.printer import state_name
from snnrun.backends.online import carried_names, delay_steps, lag_steps, online_of
from snnrun.compile.program import Program

Read = Callable[[], np.ndarray]
Write = Callable[[np.ndarray], None]
STAY = ("mean_square", "own_sum")  # what stays where trials begin from rest


class OnlineState:
    """Reads and writes the state between two trials, or two segments of one."""

    def __init__(self, device: Device, program: Program, layers: list[OnlineLayer]) -> None:
        self._device = device
        self._program = program
        self._layers = layers
        self._delay = delay_steps(online_of(program), program.dt)
        self._fields: dict[str, tuple[Read, Write]] = {}
        for layer in layers:
            self._add(layer)
        assert list(self._fields) == carried_names(program)

    def read(self) -> dict[str, np.ndarray]:
        """Return everything, as matrices of float64."""
        return {name: read().astype(np.float64) for name, (read, _) in self._fields.items()}

    def write(self, kept: Mapping[str, np.ndarray]) -> None:
        """Overwrite everything."""
        for name, (_, write) in self._fields.items():
            write(kept[name])

    def rest(self) -> None:
        """Set potentials to rest and traces to 0, where each trial begins so."""
        kept = self.read()
        for name, values in kept.items():
            if not name.endswith(STAY):
                values[:] = 0.0
        for layer in self._layers:
            initial = layer.steps.initial
            start = [float(layer.compiled.fold(initial[s])) for s in layer.steps.states]
            kept[f"{layer.compiled.population.name}_states"][:] = np.array(start)[:, None]
        self.write(kept)

    def _add(self, layer: OnlineLayer) -> None:
        own, before = layer.compiled.population.name, self._before(layer)
        found: dict[str, tuple[Read, Write]] = {}
        for name in ("e", "lambda"):
            found[name] = self._synapses(layer, name)
        for name in ("z", "z_filtered"):
            found[name] = self._variable(before, name)
        found["states"] = self._states(layer)
        found["refractory"] = self._refractory(layer)
        for name, owner in (("trace", before), ("slope", own), ("error", own)):
            found[f"{name}_rows"] = self._rows(owner, name)
        if lag_steps(self._program, layer.layer) > 0:
            found["underway"] = self._underway(layer)
        if layer.output:
            for name in ("error_rise", "error_decay", "mean_square"):
                found[name] = self._variable(own, name)
        elif layer.het:
            found["own_trace"] = self._variable(own, "own_trace")
            found["own_sum"] = self._table(own, "own_sum")
            found["own_rows"] = self._rows(own, "own")
        self._fields |= {f"{own}_{name}": field for name, field in found.items()}

    def _before(self, layer: OnlineLayer) -> str:
        return self._program.network.layers[layer.layer].forward.source

    def _variable(self, owner: str, name: str) -> tuple[Read, Write]:
        return (
            lambda: self._device.read(owner, name)[None],
            lambda values: self._device.write(owner, name, values),
        )

    def _table(self, owner: str, name: str) -> tuple[Read, Write]:
        def write(values: np.ndarray) -> None:
            memory = self._device.table_memory(owner, name)
            memory[:] = values.ravel()
            self._device.push(owner, name)

        return lambda: self._device.table(owner, name)[None], write

    def _synapses(self, layer: OnlineLayer, name: str) -> tuple[Read, Write]:
        projection = self._program.network.layers[layer.layer].forward
        shape = self._program.network.size(projection.source), layer.size
        return (
            lambda: self._device.read(projection.name, name).reshape(shape),
            lambda values: self._device.write(projection.name, name, values),
        )

    def _states(self, layer: OnlineLayer) -> tuple[Read, Write]:
        own, names = layer.compiled.population.name, [state_name(s) for s in layer.steps.states]

        def write(values: np.ndarray) -> None:
            for name, row in zip(names, values, strict=True):
                self._device.write(own, name, row)

        return lambda: np.stack([self._device.read(own, name) for name in names]), write

    def _refractory(self, layer: OnlineLayer) -> tuple[Read, Write]:
        if layer.compiled.refractory_steps:
            return self._variable(layer.compiled.population.name, "left")
        return lambda: np.zeros((1, layer.size)), lambda values: None

    def _rows(self, owner: str, name: str) -> tuple[Read, Write]:
        """Return the last values that synapses see, the oldest first: as many as the delay."""
        if not self._delay:
            return self._variable(owner, f"shown_{name}")
        return self._ring(owner, f"past_{name}", "past_at", self._delay)

    def _ring(self, owner: str, table: str, at: str, rows: int) -> tuple[Read, Write]:
        """Return a table of rows that is written round and round; ``at`` is the oldest row."""
        _, write_table = self._table(owner, table)

        def read() -> np.ndarray:
            values = self._device.table(owner, table).reshape(rows, -1)
            return np.roll(values, -int(self._device.read(owner, at)[0]), axis=0)

        def write(values: np.ndarray) -> None:
            write_table(values)  # all rings that share ``at`` are written together
            self._device.write(owner, at, np.zeros(values.shape[1], np.int32))

        return read, write

    def _underway(self, layer: OnlineLayer) -> tuple[Read, Write]:
        before, lag = self._before(layer), lag_steps(self._program, layer.layer)
        read_out, write_out = self._variable(before, "out")
        if lag == 1:
            return read_out, write_out
        read_ring, write_ring = self._ring(before, "underway", "underway_at", lag - 1)

        def write(values: np.ndarray) -> None:
            write_out(values[:1])
            write_ring(values[1:])

        return lambda: np.concatenate([read_out(), read_ring()]), write
