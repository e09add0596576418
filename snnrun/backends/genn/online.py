"""The genn backend at run time for rules that learn online: segments between updates of weights.

See online_population.py for what GeNN's steps of a segment do.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import pairwise

import numpy as np

from snnrun.backends.genn.device import Device
from snnrun.backends.genn.flags import raised
from snnrun.backends.genn.online_population import NONE, OnlineLayer
from snnrun.backends.genn.online_state import OnlineState
from snnrun.backends.genn.online_synapse import FED_BACK, UPDATE, update_of
from snnrun.backends.genn.settings import Settings
from snnrun.backends.online import OnlineRuns, Presented
from snnrun.backends.pattern import Spikes
from snnrun.compile.program import Program
from snnrun.datasets.spikes import SpikeData, Targets
from snnrun.errors import CapacityError


class GennOnlineBackend(OnlineRuns):
    """A program compiled by GeNN; see :class:`snnrun.backends.base.Backend`."""

    def __init__(self, device: Device, program: Program, settings: Settings) -> None:
        super().__init__(program)
        self._device = device
        self._settings = settings
        self._layers = [OnlineLayer(program, i, settings) for i in range(len(program.populations))]
        self._names = [c.population.name for c in program.populations]
        self._state = OnlineState(device, program, self._layers)
        self._projections = [layer.forward.name for layer in program.network.layers]
        self._shapes = {t.name: t.shape for t in program.tensors}
        self._update_steps = round(self.rule.update_ms / program.dt)
        self._burn_in = round(self.rule.burn_in_ms / program.dt)
        self._placed: tuple[SpikeData, int] | None = None  # the example in the tables
        self._starts: dict[str, np.ndarray] = {}
        self._shown: list[list[Spikes]] = [[] for _ in self._layers]
        self._set_feedback()
        self._state.rest()

    def close(self) -> None:
        """Free the model's memory."""
        self._device.close()

    def kernel_times(self) -> dict[str, float]:
        """Return the seconds of each kind of kernel (0 without TIMING), of a GPU of the trials."""
        return self._device.times()

    def get(self, name: str, which: str = "value") -> np.ndarray:
        """Return a copy of weights, of their accumulators, or of their scale, as rounded here."""
        return self._device.read(*self._place(name, which)).reshape(self._shapes[name])

    def set(self, name: str, array: np.ndarray, which: str = "value") -> None:
        """Overwrite a tensor; the array is rounded to the model's precision."""
        if np.shape(array) != self._shapes[name]:
            raise ValueError(f"{name} has shape {self._shapes[name]}, not {np.shape(array)}")
        self._device.write(*self._place(name, which), np.asarray(array))
        if which == "value":
            self._follow()

    def _place(self, name: str, which: str) -> tuple[str, str]:
        """Return the owner and the name of the variable that holds a tensor."""
        if which == "second":
            return update_of(name), which
        return name, {"value": "g", "first": "m"}[which]

    def carried(self) -> dict[str, np.ndarray]:
        """Return what the next trial begins with, beside the tensors."""
        return {"clock": np.array(self._clock, np.int64), **self._state.read()}

    def carry(self, kept: Mapping[str, np.ndarray]) -> None:
        """Go on from what ``carried`` returned, on this backend or another."""
        self._clock = int(kept["clock"])
        self._state.write(kept)

    def _set_feedback(self) -> None:
        fixed = self.fixed_feedback()
        if fixed is not None:
            self._device.write(FED_BACK, "g", fixed.T)

    def _follow(self) -> None:
        """Keep symmetric feedback equal to the forward connection."""
        if self.rule.feedback == "symmetric":
            self._device.write(FED_BACK, "g", self.get(self._projections[-1]).T)

    def _present(
        self,
        data: SpikeData,
        targets: Targets,
        examples: np.ndarray,
        rates: np.ndarray | None,
        *,
        trace: bool,
    ) -> Presented:
        """Present ``examples`` in order; without ``rates`` the weights are frozen."""
        count, output = len(examples), self._names[-1]
        error, square = np.zeros(count), np.zeros(count)
        layer_spikes = np.zeros((count, len(self._names)), np.int32)
        neuron_spikes: list[np.ndarray] = [np.zeros(layer.size, np.int64) for layer in self._layers]
        self._shown = [[] for _ in self._layers]
        failed = -1
        for i, example in enumerate(examples.tolist()):
            self._begin(data, targets, example)
            with self._device.timed("trials"):
                good = self._trial(self._clock + i * self.stop, None if rates is None else rates[i])
                read = [self._read_spikes(layer) for layer in self._layers]
            for k, (layer, spikes) in enumerate(zip(self._layers, read, strict=True)):
                self._shown[k].append(spikes)
                layer_spikes[i, k] = len(spikes[0])
                neuron_spikes[k] += np.bincount(spikes[1], minlength=layer.size)
            error[i] = self._device.read(output, "mean_square").mean()
            square[i] = self._device.read(output, "square").mean()
            if not good:
                failed = i
                break
        return Presented(
            error=error,
            square=square,
            layer_spikes=layer_spikes,
            neuron_spikes=np.concatenate(neuron_spikes),
            failed=failed,
        )

    def _begin(self, data: SpikeData, targets: Targets, example: int) -> None:
        """Put an example into the tables, and the neurons in front of it."""
        if self._placed is None or self._placed[0] is not data or self._placed[1] != example:
            self._upload(data, targets, example)
            self._placed = (data, example)
        if self.rule.reset_state_per_trial:
            self._state.rest()
        for owner, start in self._starts.items():
            self._fill(owner, "next", start[:-1])
            steps = np.append(self._device.table(owner, f"{self._kind(owner)}_step"), 0)
            due = np.where(start[:-1] < start[1:], steps[start[:-1]].astype(np.int32), NONE)
            self._device.write(owner, "due", due)
        for name in self._names:
            self._fill(name, "count", np.zeros(1, np.int32))
        self._device.write(self._names[-1], "square", np.zeros(self._layers[-1].size))

    def _kind(self, owner: str) -> str:
        return "target" if owner == self._names[-1] else "event"

    def _fill(self, owner: str, table: str, values: np.ndarray) -> None:
        self._device.table_memory(owner, table)[:] = values
        self._device.push(owner, table)

    def _upload(self, data: SpikeData, targets: Targets, example: int) -> None:
        source, output = self.program.network.input.name, self._names[-1]
        first, last = data.offsets[example], data.offsets[example + 1]
        steps, neurons = targets.of(example)
        order = np.lexsort((steps, neurons))
        ends = np.arange(self._layers[-1].size + 1)
        self._starts = {
            source: data.channel_pointers[example].astype(np.int64),
            output: np.searchsorted(neurons[order], ends),
        }
        found = {source: data.step_by_channel[first:last], output: steps[order]}
        for owner, values in found.items():
            self._make_room(owner, len(values))
        for owner, values in found.items():
            kind = self._kind(owner)
            memory = self._device.table_memory(owner, f"{kind}_step")
            memory[: len(values)] = values
            self._device.push(owner, f"{kind}_step")
            self._fill(owner, f"{kind}_start", self._starts[owner].astype(np.uint32))

    def _make_room(self, owner: str, count: int) -> None:
        """Let a table grow, for which GeNN loads the model anew; everything else is kept."""
        table = f"{self._kind(owner)}_step"
        if count <= len(self._device.table_memory(owner, table)):
            return
        kept = self.carried()
        tensors = {
            (name, which): self.get(name, which)
            for name in self._shapes
            for which in ("value", "first", "second")
        }
        self._device.resize(owner, {table: np.zeros(count, np.uint16)})
        self._set_feedback()
        for (name, which), values in tensors.items():
            self.set(name, values, which)
        self.carry(kept)

    def _trial(self, clock: int, rate: float | None) -> bool:
        """Run a trial; return whether all gradients were finite."""
        steps, every = self.stop, self._update_steps
        if rate is None:
            self._segment(0, steps, learn=False)
            return True
        good, n = True, 0
        while n < steps:
            due = every - (n if self.rule.update_aligned else clock + n) % every
            if self.rule.update_aligned:
                due = min(due, steps - n)
            count = min(due, steps - n)
            self._segment(n, count, learn=True)
            n += count
            if count == due:
                since = (n % every or every) if self.rule.update_aligned else every
                good &= self._update(since, rate, apply=clock + n - since >= self._burn_in)
        return good

    def _segment(self, first: int, count: int, *, learn: bool) -> None:
        """Run ``count`` steps of a trial, from step ``first`` on."""
        end = count + 3
        edges = sorted({0, 1, 2, 3, count, count + 1, count + 2, end})
        for at, until in pairwise(edges):
            self._switch(
                emit=at < count,
                live=1 <= at <= count,
                shift=2 <= at <= count + 1,
                learn=learn and at >= 3,
            )
            self._device.run(until - at, first + at)

    def _switch(self, *, emit: bool, live: bool, shift: bool, learn: bool) -> None:
        source = self.program.network.input.name
        for name in (source, *self._names):
            self._device.set_parameter(name, "live", int(live))
            self._device.set_parameter(name, "shift", int(shift))
            if name != self._names[-1]:
                self._device.set_parameter(name, "emit", int(emit))
        for name in self._projections:
            self._device.set_parameter(name, "learn", int(learn))

    def _update(self, steps: int, rate: float, *, apply: bool) -> bool:
        """Update the weights after ``steps`` steps; return whether all gradients are finite."""
        apart = self._device.apart  # see TensorStore.exploded
        good = apart or all(self._device.within(n, "m", math.inf) for n in self._projections)
        numbers = {
            "rate": rate,
            "steps": steps,
            "decay": math.exp(-0.5 * steps * self.program.dt / self.rule.tau_rms),
            "apply": int(apply),
        }
        for projection in self._projections:
            for name, value in numbers.items():
                self._device.set_parameter(update_of(projection), name, value)
        self._device.update(UPDATE)
        if apart:
            good = not len(raised(self._device, self._names[-1]))
        for layer in self._layers:
            if layer.het:
                self._fill(layer.compiled.population.name, "own_sum", np.zeros(1))
        self._follow()
        return good or not apply

    def _read_spikes(self, layer: OnlineLayer) -> Spikes:
        """Return steps and neurons of the trial's spikes of a layer, by step, then by neuron."""
        name, room = layer.compiled.population.name, layer.room
        counts = self._device.table(name, "count")
        if counts.max() > room:
            raise CapacityError(
                f"population {name}: a neuron spiked {counts.max()} times in one trial, but its "
                f"buffer on the device holds N_MAX_SPIKE={room}, and later spikes would have no "
                f"record. Use N_MAX_SPIKE={counts.max()} or more"
            )
        table = self._device.table(name, "spike_step").reshape(layer.size, room)
        taken = np.arange(room) < counts[:, None]
        steps, neurons = table[taken].astype(np.int32), np.nonzero(taken)[0].astype(np.int32)
        order = np.lexsort((neurons, steps))
        return steps[order], neurons[order]

    def _spikes(self, layer: int) -> Spikes:
        """Return steps and neurons of the last call's spikes of a layer, trial after trial."""
        none = (np.zeros(0, np.int32), np.zeros(0, np.int32))
        steps, neurons = zip(*(self._shown[layer] or [none]), strict=True)
        return np.concatenate(steps), np.concatenate(neurons)

    def _states(self, layer: int) -> dict[str, np.ndarray]:
        """Return the states of a layer in every step of a traced trial, [steps, neurons]."""
        if not self._settings.traced:
            return {}
        name, size = self._names[layer], self._layers[layer].size
        return {
            s: self._device.table(name, f"trace_{s}").reshape(-1, size)[: self.stop]
            for s in self._layers[layer].steps.states
        }
