"""The two passes of a mini-batch: the schedule in which the moments of populations are carried out.

Step n covers [n dt, (n + 1) dt). Input spikes of step n arrive in step n, those of neurons in step
n + 1, or later by the delay of their projection. T steps, B examples, S states, N neurons of a
layer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from snnrun.backends.base import Noise
from snnrun.backends.draws import kept_events
from snnrun.backends.interpreter.drawn import draws, kept_currents
from snnrun.backends.interpreter.functions import Array
from snnrun.backends.interpreter.links import Link
from snnrun.backends.interpreter.neurons import JumpingNeurons, Neurons, SteppedNeurons
from snnrun.backends.interpreter.readouts import Read
from snnrun.compile.derive import HELD
from snnrun.compile.program import PARAMETERS, Program, Tensor
from snnrun.datasets.spikes import SpikeData
from snnrun.network.delays import in_steps
from snnrun.network.network import Way
from snnrun.rules.learning import Engine


@dataclass(kw_only=True)
class Tape:
    """What a layer did in every step."""

    arrived: Array  # [T, S, B, N] states after the arrivals
    stepped: Array  # [T, S, B, N] states after the step, before a reset
    spikes: Array  # [T, B, N] how many
    held: Array  # [T, B, N] refractory
    dropped: Array  # [T, B, N] kept from spiking, should it be on its threshold
    crossed: Array  # [T, B, N] of a spike: the step in which the threshold was crossed

    @property
    def postponed(self) -> Array:
        """Spikes that come steps after their crossing, [T, B, N]."""
        steps = np.arange(len(self.spikes))[:, None, None]
        return (self.spikes > 0) & (self.crossed < steps)


@dataclass(frozen=True, kw_only=True)
class Layer:
    """A population with the projections that end in it."""

    neurons: Neurons
    links: Sequence[Link]


@dataclass(kw_only=True)
class Passes:
    """Runs mini-batches of a program."""

    program: Program
    tensors: Mapping[str, Array]
    layers: Sequence[Layer] = field(init=False)
    links: Sequence[Link] = field(init=False)

    def __post_init__(self) -> None:
        kind = JumpingNeurons if self.program.engine is Engine.JUMPS else SteppedNeurons
        self.layers = [
            Layer(neurons=kind(self.program, compiled), links=self._links(index))
            for index, compiled in enumerate(self.program.populations)
        ]
        self.links = [link for layer in self.layers for link in layer.links]

    def _links(self, layer: int) -> list[Link]:
        network = self.program.network
        names = [x.population.name for x in network.layers]
        return [
            Link(
                projection=projection,
                source=names.index(projection.source) if projection.source in names else None,
                target=layer,
                port=network.port_of(projection),
                most=projection.delays.steps(self.program.dt) if projection.delays else 0,
            )
            for projection in network.into(network.layers[layer])
        ]

    def set_parameters(self, tensor: Tensor | None, layer: int) -> None:
        """Compute what follows from the parameters of a layer."""
        values = np.zeros((0, 0)) if tensor is None else self.tensors[tensor.name]
        self.layers[layer].neurons.set_parameters(values)

    def set_links(self, width: float) -> None:
        """Compute what follows from weights and delays; ``width`` (steps): of delayed spikes."""
        for link in self.links:
            delays = self.tensors.get(f"{link.name}_delays")
            steps = None if delays is None else in_steps(delays, self.program.dt)
            link.set(self.tensors[link.name], steps, width)

    # Forward
    def arrivals(self, data: SpikeData, examples: Array, noise: Noise) -> Array:
        """Return the input spikes that dropout leaves, [T, B, channels]."""
        found = np.zeros((data.n_steps, len(examples), data.n_channels))
        for b, example in enumerate(examples.tolist()):
            steps, channels = kept_events(data, example, noise.dropout, noise.key)
            np.add.at(found[:, b], (steps, channels), 1.0)
        return found

    def forward(self, arrivals: Array, examples: Array, noise: Noise) -> list[Tape]:
        """Run examples forward."""
        tapes = self.tapes(arrivals)
        for _ in self.steps(tapes, arrivals, examples, noise):
            pass
        return tapes

    def steps(
        self, tapes: list[Tape], arrivals: Array, examples: Array, noise: Noise
    ) -> Iterator[int]:
        """Run examples forward, and yield each step once ``tapes`` have it."""
        steps, batch = arrivals.shape[:2]
        self.set_links(noise.delay_width)
        states = [layer.neurons.start(batch) for layer in self.layers]
        free_from = [np.zeros((batch, layer.neurons.size), int) for layer in self.layers]
        suppressed = [np.full((batch, layer.neurons.size), -1) for layer in self.layers]
        for number, link in enumerate(self.links):
            link.begin(batch, kept_currents(link, number, examples, noise, steps))
        for n in range(steps):
            for link in self.links:
                if link.projection.way is Way.BACK:
                    continue
                if link.source is None:
                    link.send(arrivals[n], n)
                elif n:
                    link.send(tapes[link.source].spikes[n - 1], n - 1)
            for index, (layer, tape) in enumerate(zip(self.layers, tapes, strict=True)):
                neurons, x = layer.neurons, states[index]
                for link in layer.links:
                    x[neurons.ports[link.port]] += link.arrived(n)
                tape.arrived[n] = x
                x = neurons.advance(x)
                drawn = draws(neurons, index, examples, n, noise)
                if drawn is not None:
                    x[neurons.threshold_state] += drawn[0]
                    tape.dropped[n] = drawn[1]
                if neurons.refractory:
                    tape.held[n] = n < free_from[index]
                    x = np.where(tape.held[n], neurons.advance(tape.arrived[n], HELD), x)
                tape.stepped[n] = states[index] = x
                if neurons.compiled.spiking:
                    fires = neurons.crosses(x) & ~tape.held[n]
                    tape.crossed[n] = np.where(suppressed[index] >= 0, suppressed[index], n)
                    suppressed[index] = np.where(fires & tape.dropped[n], tape.crossed[n], -1)
                    fires &= ~tape.dropped[n]
                    tape.spikes[n] = np.where(fires, neurons.count(x), 0.0)
                    free_from[index][fires] = n + 1 + neurons.refractory
                    states[index] = neurons.reset(x, tape.spikes[n])
            yield n

    def tapes(self, arrivals: Array) -> list[Tape]:
        """Return a tape for each layer, of the steps and examples of ``arrivals``."""
        return [self._tape(layer, *arrivals.shape[:2]) for layer in self.layers]

    def _tape(self, layer: Layer, steps: int, batch: int) -> Tape:
        shape = (batch, layer.neurons.size)
        states = np.empty((2, steps, len(layer.neurons.states), *shape))
        flags = np.zeros((2, steps, *shape), bool)
        return Tape(
            arrived=states[0],
            stepped=states[1],
            spikes=np.zeros((steps, *shape)),
            held=flags[0],
            dropped=flags[1],
            crossed=np.zeros((steps, *shape), int),
        )

    # Backward
    def backward(
        self,
        arrivals: Array,
        tapes: list[Tape],
        read: Read,
        scale: float,
        average: Callable[[Array], Array] | None,
    ) -> dict[str, Array]:
        """Return the gradient of ``scale`` times the losses' sum, by the names of tensors.

        ``average`` returns the mean spikes of each neuron in the mini-batch, from those of the
        examples, [B, N], where the regulariser sees it.
        """
        steps, batch = arrivals.shape[:2]
        last = len(self.layers) - 1
        lam = [np.zeros(tape.stepped.shape[1:]) for tape in tapes]
        # of the ports at the start of each step: what a spike that arrives there changes, by link
        input_adjoint = [
            np.zeros((steps + 2, batch, self.layers[link.target].neurons.size))
            for link in self.links
        ]
        if read.silent_push is not None:
            lam[last][0] += scale * read.silent_push
            for link, adjoint in zip(self.links, input_adjoint, strict=True):
                if link.target == last:
                    adjoint[steps] = lam[last][self.layers[last].neurons.ports[link.port]]
        time_gradients = self._time_gradients(tapes, read, scale)
        pushes = [self._pushes(i, tape, scale, average) for i, tape in enumerate(tapes)]
        sums: list[dict[str, Array]] = [{} for _ in self.layers]
        released = [np.zeros((batch, layer.neurons.size)) for layer in self.layers]
        pending = [np.zeros(tape.spikes.shape) for tape in tapes]
        for n in reversed(range(steps)):
            for index, (layer, tape) in enumerate(zip(self.layers, tapes, strict=True)):
                neurons = layer.neurons
                if isinstance(neurons, JumpingNeurons) and neurons.refractory:
                    self._release(neurons, tape, n, lam[index], released[index])
                if index == last and read.drive is not None:
                    lam[index][0] += scale * read.drive[n]
                sent = self._sent(index, n, input_adjoint)
                if not neurons.compiled.spiking:
                    pass
                elif isinstance(neurons, JumpingNeurons):
                    change = time_gradients[index][n], sent, released[index]
                    moved = self._through_jumps(
                        neurons, tape, n, lam[index], change, pushes[index], pending[index]
                    )
                    lam[index] = _added(sums[index], moved)
                elif isinstance(neurons, SteppedNeurons):
                    if index == last and read.spike_gradient is not None:
                        sent = sent + scale * read.spike_gradient[n]
                    active = ~tape.held[n] & ~tape.dropped[n]
                    moved = neurons.through_spike(
                        lam[index], tape.stepped[n], tape.spikes[n], sent + pushes[index], active
                    )
                    lam[index] = _added(sums[index], moved)
                lam[index] = self.through_step(neurons, tape, n, lam[index], sums[index])
                for link, adjoint in zip(self.links, input_adjoint, strict=True):
                    if link.target == index:
                        adjoint[n] = link.found(lam[index][neurons.ports[link.port]], n)
        return self._gradients(arrivals, tapes, input_adjoint, sums)

    def _time_gradients(self, tapes: list[Tape], read: Read, scale: float) -> list[Array]:
        """Return the derivative of the loss by spike times, of each layer [T, B, N].

        Where arriving spikes turn a rising potential into a falling one, its maximum lies at their
        time: a spike that is later by dt raises it by the rate before. Spikes of one step share
        this by how much each pulls the rate down.
        """
        found = [np.zeros(tape.spikes.shape) for tape in tapes]
        if read.time_gradient is not None:
            found[-1] += scale * read.time_gradient
        if (
            read.peak is None
            or read.delta is None
            or len(tapes) < 2
            or self.program.engine is not Engine.JUMPS
        ):
            return found
        output = self.layers[-1]
        batch, outputs = np.indices(read.peak.shape)
        at_peak = tapes[-1].stepped[read.peak, :, batch, outputs].transpose(2, 0, 1)
        rise, by_port = output.neurons.readout(at_peak)
        links = [link for link in output.links if link.source is not None and link.plain]
        pulls = []
        for link in links:
            assert link.source is not None
            spikes = tapes[link.source].spikes[read.peak, batch]  # [B, K, N]
            pulls.append(spikes * link.weights.T * by_port[link.port][..., None])
        every = np.concatenate(pulls, axis=2) if pulls else np.zeros((*rise.shape, 0))
        last = self.program.window[1] if self.program.window else len(found[0])
        moves = (rise > 0) & (rise + every.sum(axis=2) < 0) & (read.peak < last - 1)
        total = np.where(moves, np.minimum(every, 0.0).sum(axis=2), 1.0)
        share = np.where(moves, scale * read.delta * rise / total, 0.0)
        for link, pull in zip(links, pulls, strict=True):
            assert link.source is not None
            for b, k in zip(*np.nonzero(moves), strict=True):
                of_spikes = share[b, k] * np.minimum(pull[b, k], 0.0)
                found[link.source][read.peak[b, k], b] += of_spikes
        return found

    def _pushes(
        self, index: int, tape: Tape, scale: float, average: Callable[[Array], Array] | None
    ) -> Array:
        """Return what the regulariser adds at each spike, or in each step, [B, N]."""
        neurons = self.layers[index].neurons
        if neurons.push is None:
            return np.zeros(tape.spikes.shape[1:])
        n = tape.spikes.sum(axis=0)
        if average is not None:
            n = np.broadcast_to(average(n), n.shape)
        return scale * np.broadcast_to(neurons.pushed(n, n.sum(axis=1, keepdims=True)), n.shape)

    def _sent(self, index: int, n: int, input_adjoint: list[Array]) -> Array:
        """Return what targets send back to a spike of step n.

        It is the derivative of the loss by the spike, or minus that by the time of its arrival: one
        that comes a step later changes the loss by w (lam(a + 1) - lam(a)), lam that of the
        target's port, where a is the step in which it arrives.
        """
        total = np.zeros((input_adjoint[0].shape[1], self.layers[index].neurons.size))
        for link, adjoint in zip(self.links, input_adjoint, strict=True):
            if link.source != index or link.projection.way is Way.FORWARD:
                continue
            if self.program.engine is Engine.JUMPS:
                adjoint = (adjoint[:-1] - adjoint[1:]) / self.program.dt
            else:
                adjoint = adjoint[:-1]
            total += link.sent_back(adjoint[:-1], n)
        return total

    def _release(
        self, neurons: JumpingNeurons, tape: Tape, n: int, lam: Array, released: Array
    ) -> None:
        """Note what the end of a refractory period sends to the spike that began it."""
        began = n - neurons.refractory
        if began < 0:
            return
        ends = tape.spikes[began] > 0
        value = neurons.release(lam, tape.stepped[n]) if n + 1 < len(tape.spikes) else 0.0
        released[ends] = np.broadcast_to(value, ends.shape)[ends]

    def _through_jumps(
        self,
        neurons: JumpingNeurons,
        tape: Tape,
        n: int,
        lam: Array,
        change: tuple[Array, Array, Array],
        push: Array,
        pending: Array,
    ) -> tuple[Array, dict[str, Array]]:
        """Return lam before the spikes and the crossings of step n, and what they add.

        ``pending`` holds S of postponed spikes in the steps of their crossings.
        """
        gradients: dict[str, Array] = {}
        spiking, postponed = tape.spikes[n] > 0, tape.postponed[n]
        crossing = pending[n] != 0
        if not spiking.any() and not crossing.any():
            return lam, gradients
        time_gradient, sent, released = change
        x = tape.stepped[n].copy()
        x[neurons.ports] = tape.arrived[n][neurons.ports]  # so that a crossing goes upwards
        there = neurons.on_threshold(x)
        if spiking.any():
            at_spike = np.where(postponed, x, there)
            strength = neurons.strength(lam, at_spike, sent, time_gradient, released)
            drive = np.where(spiking & ~postponed, neurons.drive(there, strength), 0.0)
            for b, i in zip(*np.nonzero(postponed), strict=True):
                pending[tape.crossed[n, b, i], b, i] = strength[b, i]
            lam = _added(gradients, neurons.jump(lam, at_spike, drive, spiking))
            lam[neurons.threshold_state] += spiking * push
        if crossing.any():
            drive = neurons.drive(there, pending[n])
            lam = _added(gradients, neurons.jump(lam, there, drive, crossing, "crossing"))
        return lam, gradients

    def through_step(
        self, neurons: Neurons, tape: Tape, n: int, lam: Array, sums: dict[str, Array]
    ) -> Array:
        """Return lam at the start of step n; what the step adds to gradients goes to ``sums``."""
        arrived, held = tape.arrived[n], tape.held[n]
        before = neurons.adjoint(lam, arrived)
        gradients = neurons.step_gradients(lam, arrived) if neurons.trained else {}
        if neurons.refractory:
            before = np.where(held, neurons.adjoint(lam, arrived, HELD), before)
            if neurons.trained:
                others = neurons.step_gradients(lam, arrived, HELD)
                gradients = {p: np.where(held, others[p], g) for p, g in gradients.items()}
        return _added(sums, (before, gradients))

    def _gradients(
        self,
        arrivals: Array,
        tapes: list[Tape],
        input_adjoint: list[Array],
        sums: list[dict[str, Array]],
    ) -> dict[str, Array]:
        found = {}
        for link, adjoint in zip(self.links, input_adjoint, strict=True):
            spikes = arrivals if link.source is None else tapes[link.source].spikes
            of_weights, by_delay = link.gradients(spikes, adjoint)
            found[link.name] = link.gathered(of_weights)
            if by_delay is not None:
                found[f"{link.name}_delays"] = by_delay / self.program.dt
        for tensor in self.program.tensors:
            if tensor.kind == PARAMETERS:
                of_layer, shape = sums[tensor.layer], arrivals.shape[1:2] + tensor.shape[1:]
                zero = np.zeros(shape)
                found[tensor.name] = np.array(
                    [
                        np.broadcast_to(of_layer.get(p, zero), shape).sum(axis=0)
                        for p in tensor.parameters
                    ]
                )
        return found


def _added(sums: dict[str, Array], moved: tuple[Array, dict[str, Array]]) -> Array:
    """Add gradients to sums by name, and return the adjoint that came with them."""
    lam, gradients = moved
    for name, value in gradients.items():
        sums[name] = sums.get(name, 0.0) + value
    return lam
