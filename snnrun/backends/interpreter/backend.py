"""The numpy backend: the derived program as it stands, run by NumPy in float64."""

from __future__ import annotations

import numpy as np

from snnrun.backends.base import (
    LARGEST_VALUE,
    NO_NOISE,
    UNSEEN,
    Backend,
    Exchange,
    Noise,
    Results,
    Trial,
    by_tensor,
    require_fitting,
)
from snnrun.backends.courses import CourseFigures
from snnrun.backends.interpreter.passes import Passes, Tape
from snnrun.backends.interpreter.readouts import Outputs, Read, Readout
from snnrun.backends.interpreter.traces import Traces
from snnrun.backends.parts import part_of, read_ahead, sum_over_ranks
from snnrun.backends.pattern import TrainFigures
from snnrun.compile.program import DELAYS, PARAMETERS, WEIGHTS, Program, Tensor
from snnrun.datasets.spikes import SpikeData
from snnrun.optimisers.evaluate import apply, scale_of, shared_values

AT_ONCE = 64  # examples of an evaluation; another number changes rounding errors only


class NumpyBackend(Backend):
    """A program that NumPy runs; see :class:`snnrun.backends.base.Backend`.

    Where processes share mini-batches, sums have another order than in one, and other roundings.
    """

    at_once = AT_ONCE

    def __init__(self, program: Program) -> None:
        self.program = program
        self._by_name = {tensor.name: tensor for tensor in program.tensors}
        self._held = {
            which: {t.name: np.zeros(t.shape) for t in program.tensors}
            for which in ("value", "gradient", *program.optimiser.states)
        }
        self._passes = Passes(program=program, tensors=self._held["value"])
        self._readout = Readout(program)
        self._patterns = TrainFigures.for_loss(program)
        self._courses = CourseFigures.for_loss(program)
        for tensor in program.tensors:
            if tensor.kind == DELAYS:
                self.set(tensor.name, program.start_values(tensor))
        parameters = {t.layer: t for t in program.tensors if t.kind == PARAMETERS}
        for layer in range(len(program.populations)):
            if own := parameters.get(layer):
                self.set(own.name, program.start_values(own))
            else:
                self._passes.set_parameters(None, layer)

    def get(self, name: str, which: str = "value") -> np.ndarray:
        """Return a copy of a tensor, float64."""
        return self._held[which][name].copy()

    def set(self, name: str, array: np.ndarray, which: str = "value") -> None:
        """Overwrite a tensor."""
        tensor = self._by_name[name]
        if np.shape(array) != tensor.shape:
            raise ValueError(f"{name} has shape {tensor.shape}, not {np.shape(array)}")
        self._held[which][name][:] = array
        if which == "value":
            self._changed(tensor)

    def _changed(self, tensor: Tensor) -> None:
        if tensor.kind == PARAMETERS:
            self._passes.set_parameters(tensor, tensor.layer)

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
        read_ahead(data, examples, batch, self.exchange, self.parts)
        rates = by_tensor(rates, self.program)
        call = Call(self.program, len(examples), self.no_activations(), self.counts_inputs)
        call.shared = self.exchange is not None
        if self.program.update_steps:
            self._train_online(data, examples, batch, rates, updates, noise, call)
            return call.results(self._figures(data, examples, call))
        for number, first in enumerate(range(0, len(examples), batch)):
            chosen = examples[first : first + batch]
            if not self._learn_from(data, chosen, noise, call, first, self.exchange):
                call.failed_batch = number
                break
            call.failed_tensor = self._update(rates[number], updates + number + 1)
            if call.failed_tensor:
                call.failed_batch = number
                break
        return call.results(self._figures(data, examples, call))

    def evaluate(self, data: SpikeData, examples: np.ndarray) -> Results:
        """Run ``examples`` without learning and without noise."""
        data.read_ahead(examples)
        call = Call(self.program, len(examples), self.no_activations(), self.counts_inputs)
        for first in range(0, len(examples), AT_ONCE):
            self._run(data, examples[first : first + AT_ONCE], NO_NOISE, call, first)
        return call.results(self._figures(data, examples, call))

    def gradient(self, data: SpikeData, examples: np.ndarray, noise: Noise = NO_NOISE) -> Results:
        """Leave the gradient of the examples' mean loss in the tensors."""
        call = Call(self.program, len(examples))
        self._learn_from(data, examples, noise, call, 0)
        return call.results(self._figures(data, examples, call))

    def trial(self, data: SpikeData, example: int, noise: Noise = NO_NOISE) -> Trial:
        """Run one example and return everything that happened, with the weights as they are."""
        call = Call(self.program, 1)
        arrivals, tapes, read = self._run(data, np.array([example]), noise, call, 0)
        spikes = [_events(tape.spikes[:, 0]) for tape in tapes]
        input_steps, input_channels = _events(arrivals[:, 0])
        return Trial(
            loss=float(read.loss[0]),
            prediction=int(read.prediction[0]),
            steps=tuple(steps for steps, _ in spikes),
            neurons=tuple(neurons for _, neurons in spikes),
            states=tuple(
                {s: tape.stepped[:, i, 0] for i, s in enumerate(layer.neurons.states)}
                for layer, tape in zip(self._passes.layers, tapes, strict=True)
            ),
            input_steps=input_steps,
            input_channels=input_channels,
        )

    def _run(
        self, data: SpikeData, examples: np.ndarray, noise: Noise, call: Call, first: int
    ) -> tuple[np.ndarray, list[Tape], Read]:
        """Run examples forward, and enter their figures from place ``first`` of the call on."""
        require_fitting(data, self.program)
        arrivals = self._passes.arrivals(data, examples, noise)
        tapes = self._passes.forward(arrivals, examples, noise)
        read = self._readout(self._outputs(data, examples, arrivals, tapes))
        call.enter(first, arrivals, tapes, read)
        return arrivals, tapes, read

    def _outputs(
        self, data: SpikeData, examples: np.ndarray, arrivals: np.ndarray, tapes: list[Tape]
    ) -> Outputs:
        """Return what the outputs did, and should have done."""
        targets = None
        if self._patterns is not None:
            wanted = self._patterns.require(data)
            targets = np.zeros(tapes[-1].spikes.shape)
            for b, example in enumerate(examples.tolist()):
                steps, neurons = wanted.of(example)
                np.add.at(targets[:, b], (steps, neurons), 1.0)
        elif data.courses is not None:
            targets = data.courses.of(examples).transpose(1, 0, 2).astype(float)
        return Outputs(
            potential=tapes[-1].stepped[:, 0],
            spikes=tapes[-1].spikes,
            arrivals=arrivals.sum(axis=2),
            labels=data.labels[examples],
            targets=targets,
        )

    def _train_online(
        self,
        data: SpikeData,
        examples: np.ndarray,
        batch: int,
        rates: np.ndarray,
        updates: int,
        noise: Noise,
        call: Call,
    ) -> None:
        """Learn as ``train`` does, with updates while the trials of a mini-batch run."""
        require_fitting(data, self.program)
        steps, every = self.program.steps, self.program.update_steps
        of_batch = -(-steps // every)
        for number, first in enumerate(range(0, len(examples), batch)):
            chosen = examples[first : first + batch]
            arrivals = self._passes.arrivals(data, chosen, noise)
            tapes = self._passes.tapes(arrivals)
            self._passes.set_links(noise.delay_width)
            traces = Traces(self._passes, arrivals, tapes)
            outputs = self._outputs(data, chosen, arrivals, tapes)
            done = of_batch * (updates + number)
            for n in self._passes.steps(tapes, arrivals, chosen, noise):
                drive = self._readout(outputs.of_step(n)).drive
                assert drive is not None
                traces.step(n, drive[0] / len(chosen))
                if (n + 1) % every == 0 or n + 1 == steps:
                    for name, gradient in traces.gradients().items():
                        self._held["gradient"][name][:] = gradient
                    done += 1
                    call.failed_tensor = self._update(rates[number], done)
                    if call.failed_tensor:
                        call.failed_batch = number
                        return
                    self._passes.set_links(noise.delay_width)
            call.enter(first, arrivals, tapes, self._readout(outputs))

    def _learn_from(
        self,
        data: SpikeData,
        examples: np.ndarray,
        noise: Noise,
        call: Call,
        first: int,
        exchange: Exchange | None = None,
    ) -> bool:
        """Run examples in both directions, and leave the gradient of their mean loss.

        Of those that are shared by ``exchange`` only this process's part is run. Returns whether
        all losses are finite.
        """
        size, (low, high) = len(examples), part_of(len(examples), exchange)
        arrivals, tapes, read = self._run(data, examples[low:high], noise, call, first + low)

        def average(spikes: np.ndarray) -> np.ndarray:
            counts = spikes.sum(axis=0).astype(np.int64)
            if exchange is not None:
                exchange.counts(counts)
            return counts / size

        of_all = average if self.program.average_spikes else None
        found = self._passes.backward(arrivals, tapes, read, 1 / size, of_all)
        finite = bool(np.isfinite(read.loss).all())
        if exchange is not None:
            finite = sum_over_ranks(exchange, [*found.values()], finite)
        for name, gradient in found.items():
            self._held["gradient"][name][:] = gradient
        return finite

    def _update(self, rates: np.ndarray, step: int) -> str:
        """Let the optimiser update what is trained; return a tensor that has exploded, if any."""
        update = self.program.optimiser
        rated = zip(self.program.tensors, rates.tolist(), strict=True)
        trained = [(tensor, rate) for tensor, rate in rated if tensor.trained]
        scale = scale_of(update, (self._learned("gradient", t) for t, _ in trained))
        for tensor, rate in trained:
            w, g = self._learned("value", tensor), self._learned("gradient", tensor)
            weights = tensor.kind == WEIGHTS
            shared = shared_values(update, rate=rate, step=step, weights=weights, scale=scale)
            apply(update, shared, w, g, {s: self._learned(s, tensor) for s in update.states})
            np.clip(w, *tensor.bounds, out=w)
            if tensor.kind == PARAMETERS:
                population = self.program.populations[tensor.layer].population
                for row, name in enumerate(tensor.parameters[: len(w)]):
                    np.clip(w[row], *population.bounds(name), out=w[row])
            if not (np.isfinite(g).all() and (np.abs(w) < LARGEST_VALUE).all()):
                return tensor.name
            self._changed(tensor)
        return ""

    def _learned(self, which: str, tensor: Tensor) -> np.ndarray:
        """Return the part of a tensor that learns."""
        return self._held[which][tensor.name][: self._trained_rows(tensor)]

    def _trained_rows(self, tensor: Tensor) -> int:
        """Return how many rows of a tensor learn: of parameters, which come first, some may."""
        if tensor.kind != PARAMETERS:
            return tensor.shape[0]
        return len(self.program.populations[tensor.layer].population.trained)

    def _figures(self, data: SpikeData, examples: np.ndarray, call: Call) -> dict[str, np.ndarray]:
        if self._courses is not None and len(examples):
            return self._courses.of(data, call.loss)
        if self._patterns is None or not len(examples):
            return {}
        steps, neurons = (np.concatenate(each) for each in zip(*call.emitted, strict=True))
        return self._patterns.of_loss(
            data, examples, call.loss, call.layer_spikes, (steps, neurons)
        )


class Call:
    """The figures of the examples of a call; ``activations`` as of Results, before it.

    ``shared``: other processes run some of them; see UNSEEN.
    """

    shared = False

    def __init__(
        self,
        program: Program,
        count: int,
        activations: np.ndarray | None = None,
        counts_inputs: bool = True,
    ) -> None:
        self.loss = np.zeros(count)
        self.failed_batch, self.failed_tensor = -1, ""
        self.layer_spikes = np.zeros((count, len(program.populations)), np.int32)
        nothing = np.zeros(0, np.int32)
        self.emitted = [(nothing, nothing)] * count  # output spikes of each example
        self._prediction, self._seen = np.zeros(count, np.int32), np.zeros(count, bool)
        sizes = [c.population.size for c in program.populations]
        self._neuron_spikes = np.zeros(sum(sizes), np.int64)
        self._activations, self._counts_inputs = activations, counts_inputs

    def enter(self, first: int, arrivals: np.ndarray, tapes: list[Tape], read: Read) -> None:
        """Enter some examples."""
        here = slice(first, first + len(read.loss))
        self.loss[here], self._prediction[here] = read.loss, read.prediction
        self._seen[here] = True
        counts = [tape.spikes.sum(axis=0) for tape in tapes]
        self.layer_spikes[here] = np.array([c.sum(axis=1) for c in counts]).T
        self._neuron_spikes += np.concatenate([c.sum(axis=0) for c in counts]).astype(np.int64)
        self.emitted[here] = [_events(tapes[-1].spikes[:, b]) for b in range(len(read.loss))]
        if self._activations is not None:
            inputs = arrivals if self._counts_inputs else np.zeros_like(arrivals)
            spikes = np.concatenate([inputs, *(tape.spikes for tape in tapes)], axis=2)
            late = self._activations.shape[1] - 1
            for kind, active in enumerate((spikes == 1, spikes > 1)):
                steps = active.sum(axis=1)[::-1]  # the last step first
                self._activations[kind, : len(steps[:late])] += steps[:late]
                self._activations[kind, late] += steps[late:].sum(axis=0)

    def results(self, figures: dict[str, np.ndarray]) -> Results:
        """Return them."""
        return Results(
            loss=self.loss,
            prediction=np.where(self._seen | (not self.shared), self._prediction, UNSEEN),
            layer_spikes=self.layer_spikes,
            neuron_spikes=self._neuron_spikes,
            failed_batch=self.failed_batch,
            failed_tensor=self.failed_tensor,
            figures=figures,
            activations=self._activations,
        )


def _events(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return step and neuron of each spike of [T, N], by step and then by neuron, int32."""
    found = np.nonzero(counts)
    times = counts[found].astype(int)
    steps, neurons = (np.repeat(axis, times).astype(np.int32) for axis in found)
    return steps, neurons
