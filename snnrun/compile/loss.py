"""A loss bound to a program: its expressions, the numbers in them, and its value on the host.

L = -log softmax_k(score(y_k))_label + label_term(y_label), or with lags
L = sum over k != label of lag_cost(y_k - y_label) + label_term(y_label), or with target courses
L = mean over the steps that count, and outputs k, of weight(t_n) cost(V_k(t_n) - target_k(t_n))
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import sympy as sp

from snnrun.compile.program import Program
from snnrun.models.equations import symbol
from snnrun.models.kernel import Kernel

NEVER_MS = 1e9  # time of a first spike that does not come, where silent outputs do not count
Y, TIME, LAG, V = symbol("y"), symbol("t"), symbol("d"), symbol("V")


@dataclass(frozen=True, kw_only=True)
class BoundLoss:
    """The expressions of a loss, of ``y`` and of the names in ``numbers``: its keys, and T.

    In ``weight`` it is the time ``t`` (ms), in ``integrand`` the potential ``V`` too, in
    ``lag_cost`` the lag ``d`` (ms), in ``cost`` the difference ``d``. ``lags`` tells whether lags
    are compared instead of scores. In each step the input's activity is multiplied by
    ``accumulator_decay``. Of the steps of a trial those in ``counted`` count.
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
    cost: sp.Expr
    cost_slope: sp.Expr
    silent_factor: sp.Expr
    accumulator_decay: float
    accumulator_weight: float
    numbers: Mapping[sp.Symbol, float]
    counted: slice

    @property
    def steps_counted(self) -> int:
        """How many steps count."""
        return int(self.counted.stop - self.counted.start)

    @property
    def accumulator(self) -> dict[str, float]:
        """What generated code names in a step of the input's activity."""
        weight, decay = self.accumulator_weight, self.accumulator_decay
        return {"ACCUMULATOR_WEIGHT": weight, "ACCUMULATOR_DECAY": decay}

    def weights(self, steps: int, dt: float) -> np.ndarray:
        """Return weight(t_n) of every step [T] over the number of those that count, else 0.

        t_n = (n + 1) dt is the end of step n.
        """
        times = np.arange(1, steps + 1) * dt
        weights = np.zeros(steps)
        weights[self.counted] = np.broadcast_to(self._function(TIME, self.weight)(times), steps)[
            self.counted
        ]
        return weights / self.steps_counted

    def course_costs(self, d: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the costs of differences from targets, and their derivatives, as arrays alike."""
        pair = (self._function(LAG, each)(d) for each in (self.cost, self.cost_slope))
        cost, slope = (np.array(np.broadcast_to(each, d.shape), float) for each in pair)
        return cost, slope

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
        return self._function(Y, self.score)

    @cached_property
    def _cost(self) -> Callable[[np.ndarray], np.ndarray]:
        return self._function(LAG, self.lag_cost)

    @cached_property
    def _term(self) -> Callable[[np.ndarray], np.ndarray]:
        return self._function(Y, self.label_term)

    def _function(self, of: sp.Symbol, expression: sp.Expr) -> Callable[[np.ndarray], np.ndarray]:
        return sp.lambdify(of, expression.subs(self.numbers), "numpy")


def kernel_of(program: Program) -> Kernel:
    """Return the filter of a loss of spike trains."""
    values = program.loss_values
    return Kernel(rise=values["TAU_RISE"], decay=values["TAU_DECAY"])


def bind_loss(program: Program) -> BoundLoss:
    """Return the expressions of the program's loss, with the values of its keys."""
    loss = program.loss
    numbers = {symbol(key): float(value) for key, value in program.loss_values.items()}
    numbers[symbol("T")] = program.duration
    score, term, cost = (loss.expression(n) for n in ("score", "label_term", "lag_cost"))
    tau, weight = (
        float(loss.expression(f"accumulator_{n}").subs(numbers)) for n in ("tau", "weight")
    )
    integrand, of_course = loss.readout.of_potential(), loss.expression("cost")
    euler = program.integrator == "euler"
    return BoundLoss(
        score=score,
        score_slope=score.diff(Y),
        label_term=term,
        label_term_slope=term.diff(Y),
        weight=loss.expression("weight"),
        silent_push=loss.expression("silent_push"),
        integrand=integrand,
        integrand_slope=integrand.diff(V),
        lags=loss.readout.lags,
        lag_cost=cost,
        lag_slope=cost.diff(LAG),
        cost=of_course,
        cost_slope=of_course.diff(LAG),
        silent_factor=loss.expression("silent_factor"),
        accumulator_decay=1 - program.dt / tau if euler else float(np.exp(-program.dt / tau)),
        accumulator_weight=weight,
        numbers=numbers,
        counted=slice(*(program.window or (0, program.steps))),
    )
