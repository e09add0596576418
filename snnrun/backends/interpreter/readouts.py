"""What a loss makes of the outputs, and what it sends into the backward pass.

T steps, B examples, K outputs. See models/readouts.py for y.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import sympy as sp

from snnrun.backends.interpreter.functions import Array, Expressions
from snnrun.compile.loss import LAG, NEVER_MS, TIME, BoundLoss, V, Y, bind_loss, kernel_of
from snnrun.compile.program import Program


@dataclass(frozen=True, kw_only=True)
class Read:
    """Of B examples: their losses and predictions [B], and derivatives of the loss, unscaled."""

    loss: Array
    prediction: Array
    drive: Array | None = None  # dL/dV [T, B, K]
    time_gradient: Array | None = None  # by the times of output spikes, [T, B, K]
    spike_gradient: Array | None = None  # by the output spikes of each step, [T, B, K]
    silent_push: Array | None = None  # on the adjoint of V after the last step, [B, K]
    delta: Array | None = None  # dL/dy [B, K], where y is a maximum; ``peak`` is its step
    peak: Array | None = None


@dataclass(frozen=True, kw_only=True)
class Outputs:
    """What the outputs did: potentials before resets, spikes, the input's spikes, and targets."""

    potential: Array  # [T, B, K]
    spikes: Array  # [T, B, K]
    arrivals: Array  # input spikes of each step, [T, B]
    labels: Array  # [B]
    targets: Array | None = None  # spikes or potentials, [T, B, K]
    first: int = 0  # the first of these T steps

    def of_step(self, n: int) -> Outputs:
        """Return the same of one step."""
        targets = None if self.targets is None else self.targets[n : n + 1]
        return replace(
            self,
            first=self.first + n,
            potential=self.potential[n : n + 1],
            spikes=self.spikes[n : n + 1],
            arrivals=self.arrivals[n : n + 1],
            targets=targets,
        )


class Readout:
    """A program's loss."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.loss: BoundLoss = bind_loss(program)
        self._numbers = dict(self.loss.numbers)
        self._compiled: dict[sp.Expr, Expressions] = {}
        self._read = READOUTS[program.loss.readout.kernel]

    def __call__(self, outputs: Outputs) -> Read:
        """Return the losses, and what they send back."""
        return self._read(self, outputs)

    def of(self, expression: sp.Expr, **names: Array | float) -> Array:
        """Return an expression of the loss, of ``y``, ``t``, ``V`` or ``d``."""
        values = self._numbers | {NAMES[name]: value for name, value in names.items()}
        if expression not in self._compiled:
            self._compiled[expression] = Expressions([expression])
        [value] = self._compiled[expression](values)
        return value

    def cross_entropy(self, y_BK: Array, labels: Array, latest: float = np.inf) -> Array:
        """Return dL/dy [B, K]."""
        rows = np.arange(len(labels))
        z = self.loss.scores(y_BK)
        p = softmax(z)
        p[rows, labels] -= 1.0
        slope = p * self.of(self.loss.score_slope, y=y_BK)
        own = np.minimum(y_BK[rows, labels], latest)
        slope[rows, labels] += self.of(self.loss.label_term_slope, y=own)
        return slope

    def of_numbers(self, y_BK: Array, outputs: Outputs, weight: Array) -> Read:
        """Return the loss of one y per output, to which dV adds ``weight`` in each step."""
        delta = self.cross_entropy(y_BK, outputs.labels)
        return Read(
            loss=self.loss.values(y_BK, outputs.labels),
            prediction=self.loss.scores(y_BK).argmax(axis=1),
            drive=weight * delta,
        )


def softmax(z: Array) -> Array:
    """Return the softmax over the last axis."""
    p = np.exp(z - z.max(axis=-1, keepdims=True))
    return p / p.sum(axis=-1, keepdims=True)


def weighted_sum(readout: Readout, outputs: Outputs) -> Read:
    """Return the loss of a sum over time."""
    program = readout.program
    weight = readout.loss.weights(program.steps, program.dt)[:, None, None]
    return readout.of_numbers((weight * outputs.potential).sum(axis=0), outputs, weight)


def input_weighted_sum(readout: Readout, outputs: Outputs) -> Read:
    """Return the loss of a sum over time that is weighted by the input's activity."""
    program, loss = readout.program, readout.loss
    activity = np.zeros(outputs.arrivals.shape)
    f = np.zeros(outputs.arrivals.shape[1])
    for n, arrived in enumerate(outputs.arrivals):
        activity[n] = f = (f + loss.accumulator_weight * arrived) * loss.accumulator_decay
    weight = (loss.weights(program.steps, program.dt)[:, None] * activity)[:, :, None]
    return readout.of_numbers((weight * outputs.potential).sum(axis=0), outputs, weight)


def integral(readout: Readout, outputs: Outputs) -> Read:
    """Return the loss of an integral over time of any function of V."""
    program, loss = readout.program, readout.loss
    t = ((np.arange(program.steps) + 1) * program.dt)[:, None, None]
    integrand, slope = (
        np.broadcast_to(readout.of(e, V=outputs.potential, t=t), outputs.potential.shape)
        for e in (loss.integrand, loss.integrand_slope)
    )
    weight = np.zeros(slope.shape)
    weight[loss.counted] = slope[loss.counted] / loss.steps_counted
    return readout.of_numbers(integrand[loss.counted].mean(axis=0), outputs, weight)


def maximum(readout: Readout, outputs: Outputs) -> Read:
    """Return the loss of the maximum over time."""
    counted = readout.loss.counted
    peak = counted.start + outputs.potential[counted].argmax(axis=0)
    y = outputs.potential[counted].max(axis=0)
    at_peak = np.arange(readout.program.steps)[:, None, None] == peak
    read = readout.of_numbers(y, outputs, at_peak)
    return replace(read, delta=readout.cross_entropy(y, outputs.labels), peak=peak)


def each_step(readout: Readout, outputs: Outputs) -> Read:
    """Return the loss that is averaged over the steps."""
    edges = readout.loss.counted.start, readout.loss.counted.stop
    counted = slice(*(max(edge - outputs.first, 0) for edge in edges))
    y_TBK, steps = outputs.potential[counted], readout.loss.steps_counted
    if not len(y_TBK):  # one step, which does not count
        return Read(
            loss=np.zeros(len(outputs.labels)),
            prediction=np.full(len(outputs.labels), -1),
            drive=np.zeros(outputs.potential.shape),
        )
    losses = [readout.loss.values(y, outputs.labels) for y in y_TBK]
    slopes = [readout.cross_entropy(y, outputs.labels) for y in y_TBK]
    z = readout.loss.scores(y_TBK.reshape(-1, y_TBK.shape[2])).reshape(y_TBK.shape)
    drive = np.zeros(outputs.potential.shape)
    drive[counted] = np.array(slopes) / steps
    prediction = softmax(z).sum(axis=0).argmax(axis=1)
    return Read(loss=np.mean(losses, axis=0), prediction=prediction, drive=drive)


def mean_share(readout: Readout, outputs: Outputs) -> Read:
    """Return the loss of the outputs' shares in the softmax of each step, averaged over time."""
    counted, steps = readout.loss.counted, readout.loss.steps_counted
    p_TBK = np.zeros(outputs.potential.shape)
    p_TBK[counted] = softmax(outputs.potential[counted]) / steps
    read = readout.of_numbers(p_TBK.sum(axis=0), outputs, p_TBK)
    assert read.drive is not None
    mean = read.drive.sum(axis=2, keepdims=True)  # of dL/dy, by the shares
    return replace(read, drive=read.drive - p_TBK * mean * steps)


def first_spike(readout: Readout, outputs: Outputs) -> Read:
    """Return the loss of first spike times, or of their lags behind the label's.

    A silent output counts as a spike 1 ms after the trial, or not at all. A silent label has no
    spike time to differentiate by, and is pushed instead.
    """
    program, loss, labels = readout.program, readout.loss, outputs.labels
    duration, excluded = program.duration, program.loss.silent_excluded
    rows = np.arange(len(labels))
    fired = np.asarray(outputs.spikes > 0)
    spiked, first = fired.any(axis=0), fired.argmax(axis=0)
    times = np.where(spiked, (first + 1) * program.dt, NEVER_MS if excluded else duration + 1)
    times[rows, labels] = np.minimum(times[rows, labels], duration + 1)
    if loss.lags:
        own = times[rows, labels][:, None]
        delta = np.broadcast_to(readout.of(loss.lag_slope, d=times - own), times.shape).copy()
        delta[rows, labels] = 0.0
        delta[rows, labels] = -delta.sum(axis=1)
        late = np.minimum(own[:, 0], duration)
        delta[rows, labels] += readout.of(loss.label_term_slope, y=late)
        push = readout.of(loss.silent_factor) * delta[rows, labels]
    else:
        delta = readout.cross_entropy(times, labels, duration)
        push = np.broadcast_to(readout.of(loss.silent_push), len(labels))
    known = np.asarray(spiked)[rows, labels]
    learned = spiked & (known[:, None] | (not excluded))
    pushed = np.zeros(times.shape)
    pushed[rows, labels] = np.where(known, 0.0, -push)
    scores = loss.scores(times)
    return Read(
        loss=loss.values(times, labels, latest=duration),
        prediction=np.where(fired.any(axis=(0, 2)), scores.argmax(axis=1), -1),
        time_gradient=(np.arange(program.steps)[:, None, None] == first) * learned * delta,
        silent_push=pushed,
    )


def spike_train(readout: Readout, outputs: Outputs) -> Read:
    """Return the van Rossum distance of the outputs' spikes from target spikes."""
    program, kernel = readout.program, kernel_of(readout.program)
    assert outputs.targets is not None
    steps, examples, size = outputs.spikes.shape
    dt = program.dt

    def filtered(spikes: Array) -> Array:
        flat = spikes.reshape(steps, -1)
        return kernel.filtered(flat, dt).reshape(steps, examples, size)

    error = filtered(outputs.targets - outputs.spikes)
    return Read(
        loss=0.5 * dt * (error**2).sum(axis=(0, 2)),
        prediction=np.full(examples, -1),
        spike_gradient=-dt * filtered(error[::-1])[::-1],
    )


def target_course(readout: Readout, outputs: Outputs) -> Read:
    """Return the mean cost of the potentials' differences from target courses."""
    program = readout.program
    assert outputs.targets is not None
    steps, _, size = outputs.potential.shape
    here = slice(outputs.first, outputs.first + steps)
    weight = readout.loss.weights(program.steps, program.dt)[here] / size
    cost, slope = readout.loss.course_costs(outputs.potential - outputs.targets)
    return Read(
        loss=np.einsum("t,tbk->b", weight, cost),
        prediction=np.full(len(outputs.labels), -1),
        drive=weight[:, None, None] * slope,
    )


NAMES = {"y": Y, "t": TIME, "V": V, "d": LAG}
READOUTS: dict[str, Callable[[Readout, Outputs], Read]] = {
    "WeightedSum": weighted_sum,
    "InputWeightedSum": input_weighted_sum,
    "Integral": integral,
    "Maximum": maximum,
    "EachStep": each_step,
    "MeanShare": mean_share,
    "FirstSpike": first_spike,
    "FirstSpikeLag": first_spike,
    "SpikeTrain": spike_train,
    "TargetCourse": target_course,
}
