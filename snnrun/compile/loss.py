"""A loss bound to a program: its expressions with all keys as numbers, and its value on the host.

L = -log softmax_k(score(y_k))_label + label_term(y_label), or with lags
L = sum over k != label of lag_cost(y_k - y_label) + label_term(y_label)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import sympy as sp

from snnrun.compile.program import Program
from snnrun.models.equations import symbol
from snnrun.models.kernel import Kernel

Y, TIME, LAG, V = symbol("y"), symbol("t"), symbol("d"), symbol("V")


@dataclass(frozen=True, kw_only=True)
class BoundLoss:
    """The expressions of a loss; only ``y``, and the names of keys where they are kept, are free.

    In ``weight`` it is the time ``t`` (ms), in ``integrand`` the potential ``V`` too, in
    ``lag_cost`` the lag ``d`` (ms). ``lags`` tells whether lags are compared instead of scores. In
    each step the input's activity is multiplied by ``accumulator_decay``.
    """

    integrand: sp.Expr
    integrand_slope: sp.Expr
    score: sp.Expr
    score_slope: sp.Expr
    label_term: sp.Expr
    label_term_slope: sp.Expr
    weight: sp.Expr
    silent_push: sp.Expr
    lags: bool
    lag_cost: sp.Expr
    lag_slope: sp.Expr
    silent_factor: sp.Expr
    accumulator_decay: float
    accumulator_weight: float

    def weights(self, steps: int, dt: float) -> np.ndarray:
        """Return dt / T x weight(t_n) of every step [T], t_n = (n + 1) dt."""
        times = np.arange(1, steps + 1) * dt
        weight = sp.lambdify(TIME, self.weight, "numpy")
        return np.broadcast_to(weight(times), steps) / steps

    def values(self, y_BK: np.ndarray, labels: np.ndarray, latest: float = np.inf) -> np.ndarray:
        """Return the loss of B examples from their readouts y [B, K], in float64.

        The label's own term is taken at ``latest`` where y is beyond it.
        """
        rows = np.arange(len(labels))
        y_B = y_BK[rows, labels]
        term = self._term(np.minimum(y_B, latest))
        if self.lags:
            costs = np.array(np.broadcast_to(self._cost(y_BK - y_B[:, None]), y_BK.shape), float)
            costs[rows, labels] = 0
            return costs.sum(axis=1) + term
        z = self.scores(y_BK)
        top = z.max(axis=1)
        total = np.log(np.exp(z - top[:, None]).sum(axis=1))
        return total + top - z[rows, labels] + term

    def scores(self, y_BK: np.ndarray) -> np.ndarray:
        """Return what enters the softmax, in float64 [B, K]."""
        return np.broadcast_to(self._score(y_BK), y_BK.shape).astype(float)

    @cached_property
    def _score(self) -> Callable[[np.ndarray], np.ndarray]:
        return sp.lambdify(Y, self.score, "numpy")

    @cached_property
    def _cost(self) -> Callable[[np.ndarray], np.ndarray]:
        return sp.lambdify(LAG, self.lag_cost, "numpy")

    @cached_property
    def _term(self) -> Callable[[np.ndarray], np.ndarray]:
        return sp.lambdify(Y, self.label_term, "numpy")


def kernel_of(program: Program) -> Kernel:
    """Return the filter of a loss of spike trains."""
    values = program.loss_values
    return Kernel(rise=values["TAU_RISE"], decay=values["TAU_DECAY"])


def bind_loss(program: Program, *, named: bool = False) -> BoundLoss:
    """Return the expressions of the program's loss with the values of its keys.

    ``named``: the keys stay names in them.
    """
    loss = program.loss
    values = {symbol(key): value for key, value in program.loss_values.items()}
    values[symbol("T")] = program.duration

    def number(name: str) -> float:
        return float(loss.expression(name).subs(values))

    def bound(expression: sp.Expr) -> sp.Expr:
        return sp.sympify(expression).subs({} if named else values)

    integrand = loss.readout.of_potential()
    score, term = loss.expression("score"), loss.expression("label_term")
    cost, tau = loss.expression("lag_cost"), number("accumulator_tau")
    euler = program.integrator == "euler"
    return BoundLoss(
        score=bound(score),
        score_slope=bound(score.diff(Y)),
        label_term=bound(term),
        label_term_slope=bound(term.diff(Y)),
        weight=bound(loss.expression("weight")),
        silent_push=bound(loss.expression("silent_push")),
        integrand=bound(integrand),
        integrand_slope=bound(integrand.diff(V)),
        lags=loss.readout.lags,
        lag_cost=bound(cost),
        lag_slope=bound(cost.diff(LAG)),
        silent_factor=bound(loss.expression("silent_factor")),
        accumulator_decay=1 - program.dt / tau if euler else float(np.exp(-program.dt / tau)),
        accumulator_weight=number("accumulator_weight"),
    )
