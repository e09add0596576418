"""What rule=surrogate computes, in plain NumPy float64, with every derivative written by hand.

The forward pass is that of tests/reference.py; the way back differentiates its steps.

Shapes: S states, N neurons of a layer, T steps.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from oracle import Layer, Problem
from reference import Array, Disturbance, Gradients, Maps, Result, Tape, simulate
from reference_loss import Readout, read_out, van_rossum
from reference_models import IN, MODELS, B, V

Detached = bool | tuple[str, ...]


def fast_sigmoid(x: Array, threshold: Array, scale: float = 10.0) -> Array:
    return 1 / (scale * np.abs(x) + 1) ** 2


def sigmoid(x: Array, threshold: Array, scale: float = 10.0) -> Array:
    s = 1 / (1 + np.exp(-scale * x))
    return scale * s * (1 - s)


def arctan(x: Array, threshold: Array, scale: float = 2.0) -> Array:
    return scale / 2 / (1 + (np.pi / 2 * scale * x) ** 2)


def triangular(x: Array, threshold: Array, scale: float = 1.0, dampening: float = 1.0) -> Array:
    return dampening * np.maximum(0, 1 - scale * np.abs(x))


def piecewise_linear(x: Array, threshold: Array, window: float = 0.5) -> Array:
    return (x >= -window) / threshold


def normal(x: Array, mean: float, deviation: float) -> Array:
    return np.exp(-(((x - mean) / deviation) ** 2) / 2) / (deviation * np.sqrt(2 * np.pi))


def gaussian(x: Array, threshold: Array, width: float = 0.5, dampening: float = 1.0) -> Array:
    return dampening * normal(x, 0, width)


def multi_gaussian(x: Array, threshold: Array, width: float = 0.5, dampening: float = 0.5) -> Array:
    h, wide = 0.15, 6 * width
    found = (1 + h) * normal(x, 0, width)
    return dampening * (found - h * normal(x, width, wide) - h * normal(x, -width, wide))


def exponential(x: Array, threshold: Array, scale: float = 5.0, dampening: float = 0.4) -> Array:
    return dampening * scale / (2 * np.exp(scale * np.abs(x)))


SURROGATES: Mapping[str, Callable[..., Array]] = {
    function.__name__: function
    for function in (
        fast_sigmoid,
        sigmoid,
        arctan,
        triangular,
        piecewise_linear,
        gaussian,
        multi_gaussian,
        exponential,
    )
}


def gradient(
    problem: Problem,
    dt: float,
    example: int,
    surrogate: Callable[[Array, Array], Array],
    *,
    detach: Detached = True,
    maps: Maps | None = None,
    penalty: Callable[[Array, int], Array] | None = None,
    disturbances: Sequence[Disturbance] = (),
    euler: bool = False,
    target: Array | None = None,
) -> Result:
    """Run one example forward and back through time.

    ``penalty``: spike counts [N] of a hidden layer, and its number -> dR/ds of each of its neurons.
    ``detach``: whether the reset is a constant, or the names of the states of which it is.
    ``target``: spikes [T, K] that the outputs should emit, of the van Rossum loss.
    ``start[n]`` is lam = dL/dx at the start of step n, ``end[n]`` before its threshold.
    """
    layers, tapes = problem.layers, simulate(problem, dt, example, maps, disturbances)
    steps = problem.steps(dt)
    arrivals = np.zeros((steps, len(problem.weights[layers[0].feedforward])))
    for event in problem.events(dt, example):
        arrivals[event] += 1.0
    if target is None:
        label, activity = problem.labels[example], arrivals.sum(1)
        V_of, spikes = tapes[-1].stepped[:, V], tapes[-1].spikes
        seen = V_of, spikes, dt, label, activity, euler, problem.course(example)
        readout = read_out(problem.loss, layers[-1], *seen)
    else:
        value, sent_by_loss = van_rossum(problem.loss, target, tapes[-1].spikes, dt)
        readout = Readout(loss=value, prediction=-1)
    drive = np.zeros(tapes[-1].spikes.shape) + readout.drive
    start = [np.zeros((steps + 1, *tape.stepped.shape[1:])) for tape in tapes]
    end = [np.zeros(tape.stepped.shape) for tape in tapes]
    gradients = {f"{x.name}.{name}": np.zeros(x.size) for x in layers for name in x.parameters}
    for n in reversed(range(steps)):
        for index, (layer, tape) in enumerate(zip(layers, tapes, strict=True)):
            lam = start[index][n + 1].copy()
            if layer is layers[-1] and target is None:
                lam[V] += drive[n]
            else:
                last = layer is layers[-1]
                dl_ds = sent_by_loss[n] if last else _sent(problem, index, n, start)
                if penalty is not None and not last:
                    dl_ds += penalty(tape.spikes.sum(0), index)
                active = ~tape.refractory[n]
                if index < len(disturbances):
                    active &= ~disturbances[index].spike_dropout[n]
                lam = _through_spike(
                    layer, tape, n, lam, dl_ds, active, surrogate, detach, gradients
                )
            end[index][n] = lam
            P = np.where(tape.refractory[n][:, None, None], tape.held.P, tape.free.P)
            start[index][n] = np.einsum("nij,in->jn", P, lam)
    for layer, tape, lam0, lam1 in zip(layers, tapes, start, end, strict=True):
        gradients[layer.feedforward] = arrivals.T @ lam0[:-1, IN]
        arrivals = np.concatenate([np.zeros((1, layer.size)), tape.spikes[:-1]])
        if layer.recurrent:
            gradients[layer.recurrent] = arrivals.T @ lam0[:-1, IN]
        for name, dP in tape.free.P_p.items():
            dP_n = np.where(tape.refractory[..., None, None], tape.held.P_p[name], dP)
            gradients[f"{layer.name}.{name}"] += np.einsum(
                "tin,tnij,tjn->n", lam1, dP_n, tape.arrived
            )
    return Result(float(readout.loss), readout.prediction, gradients, tapes)


def _sent(problem: Problem, index: int, n: int, start: list[Array]) -> Array:
    """dL/ds of every neuron in step n by what a spike would add to its targets in step n + 1."""
    total = np.zeros(problem.layers[index].size)
    for target in (index, index + 1):
        layer = problem.layers[target]
        name = layer.recurrent if target == index else layer.feedforward
        if name:
            total += problem.weights[name] @ start[target][n + 1, IN]
    return total


def _attached(detach: Detached, states: int) -> list[int]:
    """Return the rows of the states whose reset is differentiated."""
    rows = [(V, "V"), (IN, "I"), (B, "B")][:states]
    if isinstance(detach, bool):
        return [] if detach else [row for row, _ in rows]
    return [row for row, name in rows if name not in detach]


def _through_spike(
    layer: Layer,
    tape: Tape,
    n: int,
    lam: Array,
    dl_ds: Array,
    active: Array,
    surrogate: Callable[[Array, Array], Array],
    detach: Detached,
    gradients: Gradients,
) -> Array:
    """Take lam from behind the reset to before the threshold."""
    model, p, x, spikes = MODELS[layer.model], layer.parameters, tape.stepped[n], tape.spikes[n]
    dl_ds = dl_ds + (lam * (model.reset(x, p) - x))[_attached(detach, len(x))].sum(0)
    threshold = model.rhs(x, p)
    change = np.where(active, dl_ds * surrogate(x[V] - threshold, threshold), 0.0)
    for name, part in model.r_p(lam).items():
        gradients[f"{layer.name}.{name}"] += spikes * part
    gradients[f"{layer.name}.v_thresh"] -= change
    return np.where(spikes, model.r_x(lam), lam) + np.array(model.g_x)[:, None] * change
