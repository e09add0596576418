"""SuperSpike as plain loops over steps in NumPy: what the compiled rule is compared with.

Written from the equations alone (Zenke & Ganguli 2018, Neural Computation 30:1514; the update as in
fzenke/pub2018superspike): one step after the other, every synapse in every step, all in float64,
with the published leaking maximum of squares and the heterosynaptic term inside the accumulator.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass
class Layer:
    """Neurons and the synapses into them; all arrays [pre, post] or [post] or [pre]."""

    w: np.ndarray
    lag: int  # steps from a presynaptic spike to its arrival
    waiting: list[np.ndarray] = field(default_factory=list)  # spikes underway, the oldest first

    def __post_init__(self) -> None:
        pre, post = self.w.shape
        self.e, self.lam, self.m, self.v2 = (np.zeros((pre, post)) for _ in range(4))
        self.rest()

    def rest(self) -> None:
        pre, post = self.w.shape
        self.e[:], self.lam[:] = 0, 0
        self.V, self.I, self.own = np.zeros(post), np.zeros(post), np.zeros(post)
        self.held = np.zeros(post, int)
        self.z, self.zf = np.zeros(pre), np.zeros(pre)
        self.slope, self.spikes = np.zeros(post), np.zeros(post)
        self.err = np.zeros(post)
        self.waiting = [np.zeros(pre) for _ in range(self.lag)]
        self.past: list[tuple[np.ndarray, ...]] = []  # z~, s', err, zeta of the last steps


class Reference:
    """A network input -> (hidden ->) output. ``options`` are those of the rule, times in ms."""

    def __init__(
        self,
        weights: list[np.ndarray],
        options: Any,
        *,
        dt: float,
        tau_mem: float,
        tau_syn: float,
        threshold: float,
        t_ref: float,
        feedback: np.ndarray | None = None,
    ) -> None:
        self.o, self.dt = options, dt
        self.delay = round(options.delay_ms / dt)
        self.layers = [Layer(w.copy(), self.delay + (k > 0)) for k, w in enumerate(weights)]
        self.tau_mem, self.tau_syn, self.threshold = tau_mem, tau_syn, threshold
        self.ref_steps = round(t_ref / dt)
        self.feedback = feedback  # fixed [hidden, outputs]; None: the forward weights
        self.rise, self.decay = (np.zeros(weights[-1].shape[1]) for _ in range(2))
        self.mean_square = np.zeros(weights[-1].shape[1])
        self.norm = 1.0 / peak(options.tau_rise, options.tau_decay)
        self.clock = 0
        self.since = 0  # steps since the last update
        self.updates = 0

    def begin_trial(self) -> None:
        if self.o.reset_state_per_trial:
            for layer in self.layers:
                layer.rest()
            self.rise[:], self.decay[:] = 0, 0
        if self.o.update_aligned:
            self.since = 0

    def step(self, inputs: np.ndarray, targets: np.ndarray, r0: float, last: bool) -> None:
        """One step: input spikes [pre] and target spikes [post], 0 or 1; ``last`` of a trial."""
        given = inputs
        for layer in self.layers:
            layer.waiting.append(given)
            given = self._neurons(layer, layer.waiting.pop(0))
        self._errors(targets)
        for k, layer in enumerate(self.layers):
            self._synapses(layer, hidden=k < len(self.layers) - 1)
        self.clock += 1
        self.since += 1
        n = round(self.o.update_ms / self.dt)
        if self.since == n or (last and self.o.update_aligned):
            self._update(r0)

    def _neurons(self, layer: Layer, arrived: np.ndarray) -> np.ndarray:
        dt, a, b = self.dt, 1 / self.tau_mem, 1 / self.tau_syn
        layer.z += arrived
        layer.z -= layer.z * dt / self.o.tau_rise
        layer.zf += (layer.z - layer.zf) * dt / self.o.tau_decay
        layer.I = layer.I + arrived @ layer.w
        driven = layer.V * np.exp(-a * dt)
        driven = driven + layer.I * a / (a - b) * (np.exp(-b * dt) - np.exp(-a * dt))
        free = layer.held == 0
        layer.V = np.where(free, driven, layer.V)
        layer.I = layer.I * np.exp(-b * dt)
        away = 1 + np.abs(self.o.beta * (layer.V - self.threshold))
        layer.slope = np.where(self.o.sigma_floor > layer.V, 0.0, 1 / away**2)
        spikes = free & (self.threshold <= layer.V)
        layer.held = np.where(spikes, self.ref_steps, np.maximum(layer.held - 1, 0))
        layer.V = np.where(spikes, 0.0, layer.V)
        layer.own = layer.own * np.exp(-dt / self.o.het_tau) + spikes
        layer.spikes = spikes.astype(float)
        return layer.spikes

    def _errors(self, targets: np.ndarray) -> None:
        dt, out = self.dt, self.layers[-1]
        mismatch = targets - out.spikes
        self.rise = self.rise * np.exp(-dt / self.o.tau_rise) + mismatch
        self.decay = self.decay * np.exp(-dt / self.o.tau_decay) + mismatch
        out.err = self.norm * (self.decay - self.rise)
        keep = np.exp(-dt / self.o.tau_error)
        self.mean_square = self.mean_square * keep + out.err**2 * dt * 0.001
        if len(self.layers) > 1:
            back = out.w if self.feedback is None else self.feedback
            self.layers[0].err = back @ out.err

    def _synapses(self, layer: Layer, hidden: bool) -> None:
        dt = self.dt
        zeta = layer.own**self.o.het_a
        layer.past.append((layer.zf.copy(), layer.slope.copy(), layer.err.copy(), zeta))
        if len(layer.past) <= self.delay:
            zf, slope, err, zeta = (np.zeros_like(x) for x in layer.past[0])
        else:
            zf, slope, err, zeta = layer.past.pop(0)
        layer.e += (np.outer(zf, slope) - layer.e / self.o.tau_rise) * dt
        layer.lam += (layer.e - layer.lam) / self.o.tau_decay * dt
        layer.m += layer.lam * err
        if hidden and self.o.het_rho:
            if self.o.het_error_scaled:
                zeta = zeta * err**2
            layer.m -= self.o.het_rho * (layer.w / 1000.0) * zeta

    def _update(self, r0: float) -> None:
        burning = self.clock - self.since < round(self.o.burn_in_ms / self.dt)
        for layer in self.layers:
            if not burning:
                g = layer.m / self.since
                passed = self.since * self.dt / self.o.tau_rms
                layer.v2 = np.maximum(layer.v2 * np.exp(-passed), g**2)
                w = layer.w + r0 / (np.sqrt(layer.v2) + self.o.epsilon) * g
                layer.w = np.clip(w, -self.o.w_limit, self.o.w_limit)
            layer.m[:] = 0
        self.since = 0
        self.updates += 1


def peak(rise: float, decay: float) -> float:
    """Return the highest value of exp(-t / decay) - exp(-t / rise), by bisection of its slope."""
    low, high = 0.0, 20 * decay
    for _ in range(200):
        t = 0.5 * (low + high)
        rising = np.exp(-t / rise) / rise > np.exp(-t / decay) / decay
        low, high = (t, high) if rising else (low, t)
    return float(np.exp(-t / decay) - np.exp(-t / rise))
