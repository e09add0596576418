"""Any declared loss in continuous time, of a trial that was simulated exactly.

Shapes: C copies, K outputs, R pieces of the trial, M nodes of a quadrature.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from snnrun.models.equations import symbol
from snnrun.models.losses import Loss
from snnrun.testing.equations import Array, derivative, numeric, polynomial
from snnrun.testing.exact import POINTS, History, find_root

NODES, NODE_WEIGHTS = np.polynomial.legendre.leggauss(12)
AFTER_TRIAL = 1.0  # ms: a silent output counts as one that spikes so long after the trial


def exact_loss(history: History, loss: Loss, values: Mapping[str, float], label: int) -> Array:
    """Return the loss of every copy, [C]; ``values`` holds those of the loss's config keys.

    With T the length of the trial, a weighted sum is (1 / T) int weight(t) V dt, a loss of each
    step is (1 / T) int L(V) dt, a mean share is (1 / T) int softmax(V) dt, a maximum is that of the
    continuous V, an integral is one. The
    input's activity is f(t) = accumulator_weight x sum over input spikes at t_e <= t of
    exp((t_e - t) / tau). Target courses are those of ``target_course``.
    """
    formula = _Formula(loss, values, history.duration)
    if loss.spiking:
        times = history.first_spikes
        label_time = np.minimum(times[:, label], history.duration)
        silent = np.isinf(times)
        late = np.where(silent, history.duration + AFTER_TRIAL, times)
        if loss.readout.lags:
            return formula.lag_costs(late, label) + formula.label_term(label_time)
        excluded = silent & loss.silent_excluded & (np.arange(times.shape[1]) != label)
        return formula.cross_entropy(late, label, excluded) + formula.label_term(label_time)
    if loss.readout.peaks:
        return formula.total(_maxima(history), label)
    t = np.array([piece.t for piece in history.pieces])  # [R, C]
    length = np.array([piece.length for piece in history.pieces])
    readout = np.stack([piece.readout for piece in history.pieces], axis=1)  # [terms, R, C, K]
    s = (0.5 + 0.5 * NODES)[:, None, None] * length  # [M, R, C]
    share = 0.5 * NODE_WEIGHTS[:, None, None] * length / history.duration
    V = polynomial(readout, s[..., None])
    if loss.readout.courses:
        weighted = share * formula.weight(t + s)
        cost = formula.cost(V - target_course(t + s, V.shape[-1], history.duration))
        return (weighted * cost.mean(-1)).sum((0, 1))
    if loss.readout.of_steps:
        return (share * formula.total(V, label)).sum((0, 1))
    if loss.readout.shares:
        p = np.exp(V - V.max(-1, keepdims=True))
        p /= p.sum(-1, keepdims=True)
        return formula.total((share[..., None] * p).sum((0, 1)), label)
    if loss.readout.integrand:
        return formula.total((share[..., None] * formula.integrand(V, t + s)).sum((0, 1)), label)
    weighted = share * formula.weight(t + s)
    if "accumulator_weight" in loss.readout.fields:
        weighted = weighted * formula.activity(history.input_times, t, s)
    return formula.total((weighted[..., None] * V).sum((0, 1)), label)


def target_course(t: Array, outputs: int, duration: float) -> Array:
    """Return the targets of a check at times ``t`` [...], [..., outputs]: a sinusoid for each."""
    return 0.5 * np.sin(2 * np.pi * t[..., None] * (1 + np.arange(outputs)) / duration)


class _Formula:
    """The loss's expressions as functions of arrays."""

    def __init__(self, loss: Loss, values: Mapping[str, float], duration: float) -> None:
        known = {symbol(key): value for key, value in values.items()}
        known[symbol("T")] = duration

        def function(field: str, variable: str) -> Callable[..., Array]:
            return numeric(loss.expression(field).subs(known), [variable])

        self._score, self._label_term = function("score", "y"), function("label_term", "y")
        self._weight, self._lag_cost = function("weight", "t"), function("lag_cost", "d")
        self._cost = function("cost", "d")
        self._integrand = numeric(loss.readout.of_potential().subs(known), ["V", "t"])
        self._tau, self._increment = (
            float(loss.expression(f"accumulator_{name}").subs(known)) for name in ("tau", "weight")
        )

    def integrand(self, V: Array, t: Array) -> Array:
        return np.broadcast_to(self._integrand(V, t[..., None]), V.shape)

    def weight(self, t: Array) -> Array:
        return np.broadcast_to(self._weight(t), t.shape)

    def cost(self, d: Array) -> Array:
        return np.broadcast_to(self._cost(d), d.shape)

    def label_term(self, y: Array) -> Array:
        return np.broadcast_to(self._label_term(y), y.shape)

    def activity(self, events: Array, start: Array, s: Array) -> Array:
        """Activity ``s`` ms behind the ``start`` of each piece, [M, R, C].

        Events at the start count; none lies inside a piece.
        """
        ages = start[..., None] - events
        at_start = np.where(ages >= 0, np.exp(-np.maximum(ages, 0) / self._tau), 0.0).sum(-1)
        return self._increment * at_start * np.exp(-s / self._tau)

    def lag_costs(self, y: Array, label: int) -> Array:
        """Cost of the lags behind the label's y, summed over the other outputs."""
        d = np.delete(y, label, axis=-1) - y[..., [label]]
        return np.broadcast_to(self._lag_cost(d), d.shape).sum(-1)

    def cross_entropy(self, y: Array, label: int, excluded: Array | bool = False) -> Array:
        """-log softmax(score(y))_label over the last axis, the ``excluded`` outputs left out."""
        z = np.where(excluded, -np.inf, self._score(y))
        top = z.max(-1, keepdims=True)
        return np.log(np.exp(z - top).sum(-1)) + top[..., 0] - z[..., label]

    def total(self, y: Array, label: int) -> Array:
        return self.cross_entropy(y, label) + self.label_term(y[..., label])


def _maxima(history: History) -> Array:
    """Return the largest V of every output over the trial, [C, K]."""
    length = np.array([piece.length for piece in history.pieces])
    readout = np.stack([piece.readout for piece in history.pieces], axis=1)  # [terms, R, C, K]
    ends = polynomial(readout, length[..., None])
    highest = np.maximum(readout[0], ends).max(0)
    s = np.linspace(0, 1, POINTS)[:, None, None] * length  # [M, R, C]
    rises = polynomial(derivative(readout), s[..., None]) > 0
    m, r, c, k = np.nonzero(rises[:-1] & ~rises[1:])
    if not m.size:
        return highest
    own = readout[:, r, c, k]
    fall, curve = -derivative(own), -derivative(derivative(own))
    top = find_root(
        lambda at: (polynomial(fall, at), polynomial(curve, at)), s[m, r, c], s[m + 1, r, c]
    )
    np.maximum.at(highest, (c, k), polynomial(own, top))
    return highest
