"""The losses on the time grid in plain NumPy float64, with their derivatives by hand."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from oracle import Layer
from oracle_loss import TIME_WEIGHTS, Loss

Array = np.ndarray


@dataclass(frozen=True, kw_only=True)
class Readout:
    """Value of the loss and what it sends into the backward pass."""

    loss: float
    prediction: int
    drive: Array | float = 0.0  # [T, K]
    dl_dt: Array | float = 0.0  # [T, K] at output spikes
    push: Array | float = 0.0  # [K] lam_V after the last step


def read_out(
    loss: Loss,
    layer: Layer,
    voltage: Array,
    spikes: Array,
    dt: float,
    label: int,
    arrivals: Array,
    euler: bool = False,
    course: Array | None = None,
) -> Readout:
    """Evaluate the loss on the output ``layer``: ``voltage`` and ``spikes`` are [T, K].

    ``arrivals`` [T]: input events of each step. ``euler``: their activity decays by a step of it.
    ``course`` [T, K]: of the loss mse.
    """
    steps, n_classes = voltage.shape
    first, last = loss.window or (0, steps)
    read = ((np.arange(steps) >= first) & (np.arange(steps) < last))[:, None] / (last - first)
    target = np.eye(n_classes)[label]
    if loss.name.startswith("first_spike"):
        return _first_spike(loss, layer, spikes, dt, label)
    if loss.name == "relative_mse":
        return _relative_mse(loss, layer, spikes, dt, label)
    if loss.name == "avg_xentropy":
        p = softmax(voltage)
        value = -(read[:, 0] * np.log(p[:, label])).sum()
        prediction = int((read * p).sum(0).argmax())
        return Readout(loss=value, prediction=prediction, drive=read * (p - target))
    if loss.name == "sum_softmax":
        share = softmax(voltage) * read * steps * dt / loss.dt_ms
        u = share.sum(0)
        by_u = softmax(u) - target
        drive = share * (by_u - (softmax(voltage) * by_u).sum(1, keepdims=True))
        return Readout(loss=-np.log(softmax(u)[label]), prediction=int(u.argmax()), drive=drive)
    if loss.name == "mse":
        d = voltage - course
        return Readout(
            loss=(read * d**2).sum() / n_classes, prediction=-1, drive=2 * read * d / n_classes
        )
    if loss.name == "max":
        peak = np.where(read > 0, voltage, -np.inf).argmax(0)
        weight = (np.arange(steps)[:, None] == peak) * 1.0
    else:
        weight = TIME_WEIGHTS[loss.name](np.arange(1, steps + 1) / steps)[:, None] * read
    if loss.name == "sum_weigh_input":
        rate = dt / loss.tau_accumulator
        f, decay = 0.0, 1 - rate if euler else np.exp(-rate)
        weight = weight.copy()
        for n in range(steps):
            f = (f + 0.01 * arrivals[n]) * decay
            weight[n] *= f
    u = (weight * voltage).sum(0)
    p = softmax(u)
    return Readout(loss=-np.log(p[label]), prediction=int(u.argmax()), drive=weight * (p - target))


def _first_spike(loss: Loss, layer: Layer, spikes: Array, dt: float, label: int) -> Readout:
    """Losses of the first spike times.

    A silent output counts as a spike 1 ms after the end, or with first_spike_wp not at all, unless
    it is the label's. A silent label has no spike time to differentiate by: it gets a push instead,
    and with first_spike_wp nothing else is learned from the example.
    """
    T, happened, first = len(spikes) * dt, spikes.any(0), spikes.argmax(0)
    alone = loss.name == "first_spike_wp"
    t = np.where(happened, (first + 1) * dt, 1e9 if alone else T + 1.0)
    t[label] = min(t[label], T + 1.0)
    p, own = softmax(-t / loss.tau_0), min(t[label], T)
    if loss.name == "first_spike":
        late, slope = loss.alpha / (1.01 * T - own), loss.alpha / (1.01 * T - own) ** 2
    else:
        late = loss.alpha * (np.exp(own / loss.tau_1) - 1)
        slope = loss.alpha / loss.tau_1 * np.exp(own / loss.tau_1)
    target = np.eye(t.size)[label]
    strength = 1.0 if alone else layer.parameters["tau_mem"][0] * slope  # TAU_MEM, for all outputs
    learned = happened & (happened[label] | (not alone))
    at_first = (np.arange(len(spikes))[:, None] == first) & learned
    return Readout(
        loss=late - np.log(p[label]),
        prediction=int(t.argmin()) if happened.any() else -1,
        dl_dt=at_first * ((target - p) / loss.tau_0 + slope * target),
        push=-strength * target * ~happened,
    )


def _relative_mse(loss: Loss, layer: Layer, spikes: Array, dt: float, label: int) -> Readout:
    """Half the squares of t_k - t_label - delta_t, summed over the other outputs k.

    A silent output counts as a spike 1 ms after the end. A silent label has no spike time to
    differentiate by: it is pushed by the derivative there times TAU_MEM.
    """
    happened, first = spikes.any(0), spikes.argmax(0)
    t = np.where(happened, (first + 1) * dt, len(spikes) * dt + 1.0)
    excess = t - t[label] - loss.delta_t
    excess[label] = 0.0
    value = (excess**2).sum() / 2
    slope = excess.copy()
    slope[label] = -excess.sum()
    at_first = (np.arange(len(spikes))[:, None] == first) & happened
    push = np.zeros(t.size)
    if not happened[label]:
        push[label] = -layer.parameters["tau_mem"][0] * slope[label]
    return Readout(
        loss=value,
        prediction=int(t.argmin()) if happened.any() else -1,
        dl_dt=at_first * slope,
        push=push,
    )


def van_rossum(loss: Loss, target: Array, spikes: Array, dt: float) -> tuple[float, Array]:
    """Half the squared difference of the filtered ``spikes`` from ``target``, both [T, K].

    Also its derivative by the spikes. The filter is a matrix, [T, T].
    """
    rise, decay = loss.tau_rise, loss.tau_decay

    def double(t: Array) -> Array:
        return np.where(t >= 0, np.exp(-np.abs(t) / decay) - np.exp(-np.abs(t) / rise), 0.0)

    top = double(np.array(np.log(decay / rise) / (1 / rise - 1 / decay)))
    t = np.arange(len(spikes)) * dt
    alpha = double(t[:, None] - t) / top
    error = alpha @ (target * 1.0 - spikes)
    return dt / 2 * (error**2).sum(), -dt * alpha.T @ error


def softmax(u: Array) -> Array:
    """Softmax over the last axis."""
    e = np.exp(u - u.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)
