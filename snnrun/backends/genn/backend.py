"""The genn backend at run time: mini-batches through the two passes of a GeNN model.

    exact        forward pass, softmax, backward pass, ..., sum over the mini-batch, Adam
    pipelined    a backward pass runs in the same steps as the next forward pass, which so uses
                 weights that are one update older; at the end of a call the last one is learned too

Examples run in units of as many as the model holds: a mini-batch on a GPU, one on GeNN's CPU
backend. The units of a mini-batch add to one gradient.
"""

from __future__ import annotations

import numpy as np

from snnrun.backends.base import (
    NO_NOISE,
    Backend,
    Noise,
    Results,
    Trial,
    by_tensor,
    count_activations,
    require_fitting,
)
from snnrun.backends.draws import draw_keys, dropout_keys, dropout_limit, kept_events
from snnrun.backends.genn.call import Call
from snnrun.backends.genn.delayed import shape_of
from snnrun.backends.genn.description import Description
from snnrun.backends.genn.device import Device
from snnrun.backends.genn.events import EventTables
from snnrun.backends.genn.outcome import outcome_of
from snnrun.backends.genn.readout import UPDATES
from snnrun.backends.genn.settings import Settings
from snnrun.backends.genn.synapse import learns_from_input
from snnrun.backends.genn.tensors import TensorStore
from snnrun.backends.genn.units import Unit, mini_batches, own_examples, units
from snnrun.backends.genn.watch import watch
from snnrun.compile.population import CompiledPopulation
from snnrun.compile.program import Program
from snnrun.datasets.spikes import SpikeData

TABLES = ("channel_start", "event_step")
PIPELINED_BATCHES = 32  # of a call: the pipeline must run empty at the same batches in every run


class GennBackend(Backend):
    """A program compiled by GeNN; see :class:`snnrun.backends.base.Backend`.

    ``drop_spikes``: spikes beyond a buffer are counted, and learned without their gradient.
    """

    def __init__(
        self,
        device: Device,
        description: Description,
        program: Program,
        settings: Settings,
        events: EventTables,
        *,
        drop_spikes: bool = False,
    ) -> None:
        self.program = program
        self.batches_per_call = PIPELINED_BATCHES if settings.pipeline else None
        self.late_steps = settings.late_steps
        self._device = device
        self._settings = settings
        self._events = events
        self._drop_spikes = drop_spikes
        self._tensors = TensorStore(device, description, program)
        self._watched = watch(program, settings)
        self._updates = [g for g in UPDATES if any(u.group == g for u in description.updates)]
        self._outcome = outcome_of(program)
        self._regularised = [
            (layer, compiled.population.name)
            for layer, compiled in enumerate(program.populations)
            if program.push(compiled) is not None
        ]
        self._noisy = [
            (layer, c.population.name)
            for layer, c in enumerate(program.populations)
            if c.population.noise or c.population.spike_dropout
        ]
        self._delayed = [p.name for p in program.network.projections if p.delays is not None]
        self._trains_input = learns_from_input(program)
        self._parity = 0
        self._fill_events()
        self._tensors.set_start()

    def get(self, name: str, which: str = "value") -> np.ndarray:
        """Return a copy of a tensor, in the model's precision."""
        return self._tensors.get(name, which)

    def set(self, name: str, array: np.ndarray, which: str = "value") -> None:
        """Overwrite a tensor; the array is rounded to the model's precision."""
        self._tensors.set(name, array, which)

    def kernel_times(self) -> dict[str, float]:
        """Return the seconds of each kind of kernel (0 without TIMING), of a GPU of the passes."""
        return self._device.times()

    def close(self) -> None:
        """Free the model's memory."""
        self._device.close()

    def train(
        self,
        data: SpikeData,
        examples: np.ndarray,
        batch: int,
        rates: np.ndarray,
        updates: int,
        noise: Noise,
    ) -> Results:
        """Learn ``examples`` in order, in batches of ``batch``."""
        rates = by_tensor(rates, self.program)
        exchange = self.exchange
        own = own_examples(examples, batch, exchange)
        call = self._counted_call(data, examples, noise, own, shared=exchange is not None)
        self._begin(data, noise)

        def ended(unit: Unit) -> bool:
            """Learn the mini-batch that ends with a unit; return whether training can go on."""
            if not unit.last:
                return True
            with self._device.timed("backward"):
                self._tensors.add_up()
                finite = not 0 <= call.failed_batch <= unit.batch
                if exchange is not None and not self._tensors.sum_over_ranks(exchange, finite):
                    call.fail(unit.batch, "")
                    return False
                self._tensors.learn(rates[unit.batch], updates + unit.batch + 1)
                tensor = self._tensors.exploded()
            if tensor:
                call.fail(unit.batch, tensor)
            return not tensor

        behind: Unit | None = None  # its backward pass is still to come
        for ahead in mini_batches(examples, batch, self._settings.batch, exchange):
            self._count_ahead(data, ahead, noise.key)
            for unit in ahead:
                self._forward(data, unit, noise.key, behind)
                if behind is not None and not ended(behind):
                    return call.results()
                finite = self._collect(call, unit, learning=True)
                if not finite and exchange is None:  # or all stop where the mini-batch ends
                    return call.results()
                if self._settings.pipeline:
                    behind = unit
                    continue
                self._backward(data, unit, noise.key)
                if not ended(unit):
                    return call.results()
        if behind is not None:
            self._backward(data, behind, noise.key)
            ended(behind)
        return call.results()

    def evaluate(self, data: SpikeData, examples: np.ndarray) -> Results:
        """Run ``examples`` without learning, dropout, noise and spike dropout."""
        call = self._counted_call(data, examples, NO_NOISE, examples)
        self._begin(data, NO_NOISE)
        for unit in units(examples, self._settings.batch):
            self._forward(data, unit, NO_NOISE.key, None)
            self._collect(call, unit, learning=False)
        return call.results()

    def gradient(self, data: SpikeData, examples: np.ndarray, noise: Noise = NO_NOISE) -> Results:
        """Leave the gradient of the examples' mean loss in the tensors."""
        call = Call(self.program, data.labels[examples], drop=self._drop_spikes)
        self._begin(data, noise)
        ahead = units(examples, self._settings.batch)
        self._count_ahead(data, ahead, noise.key)
        for unit in ahead:
            self._forward(data, unit, noise.key, None)
            self._collect(call, unit, learning=True)
            self._backward(data, unit, noise.key)
        self._tensors.add_up()
        return call.results()

    def trial(self, data: SpikeData, example: int, noise: Noise = NO_NOISE) -> Trial:
        """Run one example and return everything that happened, with the weights as they are.

        States are there only if the model was built to be traced.
        """
        examples = np.array([example], np.int64)
        call = Call(self.program, data.labels[examples], drop=False)  # records hold every spike
        self._begin(data, noise)
        (unit,) = units(examples, self._settings.batch)
        self._forward(data, unit, noise.key, None)
        self._collect(call, unit, learning=True)
        spikes = [self._spikes(compiled) for compiled in self.program.populations]
        input_steps, input_channels = kept_events(data, example, noise.dropout, noise.key)
        return Trial(
            loss=float(call.loss[0]),
            prediction=int(call.prediction[0]),
            steps=tuple(steps for steps, _ in spikes),
            neurons=tuple(neurons for _, neurons in spikes),
            states=tuple(self._states(compiled) for compiled in self.program.populations),
            input_steps=input_steps,
            input_channels=input_channels,
        )

    def _counted_call(
        self,
        data: SpikeData,
        examples: np.ndarray,
        noise: Noise,
        own: np.ndarray,
        *,
        shared: bool = False,
    ) -> Call:
        """Return what collects the results of a call, with the activations of the input.

        ``own``: those of the examples that this process runs.
        """
        activations = self.no_activations()
        if activations is not None:
            for example in own.tolist() if self.counts_inputs else ():
                events = kept_events(data, example, noise.dropout, noise.key)
                count_activations(activations, *events, self.program.steps)
        labels = data.labels[examples]
        return Call(
            self.program, labels, drop=self._drop_spikes, activations=activations, shared=shared
        )

    def _begin(self, data: SpikeData, noise: Noise) -> None:
        """Have the data on the device, and set what holds for a whole call."""
        require_fitting(data, self.program)
        if noise.delay_width > self._settings.delay_width:
            raise ValueError(
                f"built for a delay_width of at most {self._settings.delay_width:g}, not "
                f"{noise.delay_width:g}"
            )
        if self._events.find(data) is None:
            placed, grown = self._events.add(data)
            if grown:
                self._grow_tables()
                self._fill_events()
            else:
                self._events.write(placed, data, *self._event_memory())
                self._push_events()
        source = self.program.network.input.name
        self._device.set_parameter(source, "drop_below", dropout_limit(noise.dropout))
        for projection in self._delayed:
            for name, value in shape_of(noise.delay_width).items():
                self._device.set_parameter(projection, name, value)
        for _, name in self._noisy:
            self._device.set_parameter(name, "noise_acts", int(noise.in_network))

    def _grow_tables(self) -> None:
        saved = self._tensors.snapshot()
        sizes: dict[str, np.ndarray] = {
            "event_step": np.zeros(self._events.event_capacity, np.uint16),
            "channel_start": np.zeros(self._events.row_capacity, np.uint32),
        }
        self._device.resize(self.program.network.input.name, sizes)
        self._tensors.restore(saved)

    def _fill_events(self) -> None:
        self._events.fill(*self._event_memory())
        self._push_events()

    def _event_memory(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the host's memory of the tables of events."""
        source = self.program.network.input.name
        starts, steps = (self._device.table_memory(source, name) for name in TABLES)
        return starts, steps

    def _push_events(self) -> None:
        for name in TABLES:
            self._device.push(self.program.network.input.name, name)

    def _forward(self, data: SpikeData, unit: Unit, key: int, behind: Unit | None) -> None:
        """Run a unit forward and, pipelined, the one behind it backward in the same steps."""
        with self._device.timed("forward"):
            self._turn()
            self._place(data, unit, key)
            for layer, name in self._noisy:
                for name_of_key, array in draw_keys(key, unit.examples, layer).items():
                    self._device.write(name, name_of_key, array)
            output = self.program.populations[-1].population.name
            real = unit.examples >= 0
            labels = np.where(real, data.labels[np.where(real, unit.examples, 0)], -1)
            self._device.write(output, "label", labels)
            self._device.write(output, "scale", np.where(real, unit.scale, 0.0))
            if behind is not None:
                self._place(data, behind, key, "_back")
            self._run(forward=True, backward=behind is not None)

    def _backward(self, data: SpikeData, unit: Unit, key: int) -> None:
        with self._device.timed("backward"):
            self._turn()
            if self._settings.pipeline:
                self._place(data, unit, key, "_back")
            self._run(forward=False, backward=True)

    def _turn(self) -> None:
        """Change the half of the buffers that is written, so that the other one can be read."""
        if not self._settings.pipeline:
            return
        self._parity = 1 - self._parity
        for compiled in self.program.populations:
            self._device.set_parameter(compiled.population.name, "parity", self._parity)

    def _place(self, data: SpikeData, unit: Unit, key: int, back: str = "") -> None:
        """Tell the input population where its examples begin."""
        if back and not self._trains_input:
            return
        source = self.program.network.input.name
        values = self._events.beginnings(data, unit.examples)
        values["low"], values["high"] = dropout_keys(key, unit.examples)
        for name, array in values.items():
            self._device.write(source, f"{name}{back}", array)

    def _run(self, *, forward: bool, backward: bool) -> None:
        source = self.program.network.input.name
        for name in (source, *(c.population.name for c in self.program.populations)):
            self._device.set_parameter(name, "forward", int(forward))
            if name != source or self._trains_input:
                self._device.set_parameter(name, "backward", int(backward))
        self._device.run(self.program.steps + 1 + (self._watched.steps_after if forward else 0))

    def _collect(self, call: Call, unit: Unit, *, learning: bool) -> bool:
        """Enter a forward pass's figures; run the softmax. Return whether losses are finite."""
        room = self._settings.spikes if learning else None
        with self._device.timed("forward"):
            call.count_spikes(self._device, unit, room)
            finite = call.collect(self._device, unit, self._watched.outputs, self._outcome)
            if learning:
                self._regularise(call, unit)
                for group in self._updates:
                    self._device.update(group)
        return finite

    def _regularise(self, call: Call, unit: Unit) -> None:
        """Tell regularised populations what their push depends on beside their own spikes."""
        for layer, name in self._regularised:
            total, scale = np.zeros((2, self._settings.batch))
            scale[: unit.count] = unit.scale
            self._device.write(name, "scale", scale)
            if self.program.average_spikes:
                if unit.alone:
                    self._set_average(name, self._spikes_of_neurons(name, unit) * unit.scale)
                continue
            total[: unit.count] = call.layer_spikes[unit.place, layer]
            self._device.write(name, "total", total)

    def _count_ahead(self, data: SpikeData, ahead: list[Unit], key: int) -> None:
        """Average the spikes of a mini-batch of several units, before the first is learned."""
        if not self.program.average_spikes or not self._regularised or not ahead:
            return
        if ahead[0].alone:
            return
        sums: dict[str, np.ndarray | int] = {name: 0 for _, name in self._regularised}
        for unit in ahead:
            self._forward(data, unit, key, None)
            for name in sums:
                sums[name] = sums[name] + self._spikes_of_neurons(name, unit)
        for name, spikes in sums.items():
            if self.exchange is not None:
                spikes = np.asarray(spikes, np.int64)
                self.exchange.counts(spikes)
            self._set_average(name, np.asarray(spikes * ahead[0].scale))

    def _spikes_of_neurons(self, name: str, unit: Unit) -> np.ndarray:
        """Return how often each neuron spiked in the trials of a unit."""
        counts = self._device.table(name, "count").reshape(self._settings.batch, -1)
        return counts[: unit.count].sum(axis=0)

    def _set_average(self, name: str, average: np.ndarray) -> None:
        """Give a population its spikes per neuron and in total, means over the mini-batch."""
        self._device.table_memory(name, "average")[:] = average
        self._device.push(name, "average")
        self._device.write(name, "total", np.full(self._settings.batch, average.sum()))

    def _spikes(self, compiled: CompiledPopulation) -> tuple[np.ndarray, np.ndarray]:
        """Return steps and neurons of the spikes of the last trial, by step."""
        if not compiled.spiking:
            return np.empty(0, np.int32), np.empty(0, np.int32)
        name, size = compiled.population.name, compiled.population.size
        room, half = self._settings.spikes, self._parity * self._settings.batch
        stored = self._device.table(name, "spike_step").reshape(-1, size, room)[half]
        counts = np.minimum(self._device.table(name, "count")[:size], room)
        neurons = np.repeat(np.arange(size, dtype=np.int32), counts)
        steps = stored[np.arange(room) < counts[:, None]].astype(np.int32)
        order = np.lexsort((neurons, steps))
        return steps[order], neurons[order]

    def _states(self, compiled: CompiledPopulation) -> dict[str, np.ndarray]:
        if not self._settings.traced:
            return {}
        name, shape = compiled.population.name, (self.program.steps, compiled.population.size)
        return {
            state: self._device.table(name, f"trace_{state}").reshape(shape)
            for state in compiled.dynamics.neuron.states
        }
