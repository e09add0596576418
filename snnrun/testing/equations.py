"""A neuron's declaration as NumPy functions: what the exact simulation and the problems run on.

Made from the declaration's SymPy expressions alone. Nothing is shared with ``snnrun.compile``,
which the exact simulation checks.

Shapes: C copies, N neurons, S states; further leading axes are allowed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import sympy as sp

from snnrun.errors import ModelError
from snnrun.models.declare import Neuron
from snnrun.models.equations import symbol

Array = np.ndarray
Values = Mapping[str, Array]  # parameter -> [C, N]

ORDER = 18  # of the Taylor series: with |A| s <= 1 the remainder is below 1 / 19! = 1e-17


def numeric(expression: sp.Expr, names: Sequence[str]) -> Callable[..., Array]:
    """Return ``expression`` as a function of arrays, given in the order of ``names``."""
    larger, smaller = sp.Function("larger"), sp.Function("smaller")
    plain = sp.sympify(expression)
    plain = plain.replace(sp.Max, lambda *given: _nested(larger, given))
    plain = plain.replace(sp.Min, lambda *given: _nested(smaller, given))
    known = {"larger": np.maximum, "smaller": np.minimum}
    function: Callable[..., Array] = sp.lambdify(
        [symbol(name) for name in names], plain, modules=[known, "numpy"]
    )
    return function


def _nested(function: sp.Function, given: Sequence[sp.Expr]) -> sp.Expr:
    first, *rest = given
    return function(first, _nested(function, rest)) if rest else first


@dataclass(frozen=True)
class Path:
    """States without events, from the time 0 on: x(s) = sum_k terms[k] s^k."""

    terms: Array  # [ORDER + 1, C, N, S]

    def at(self, s: Array) -> Array:
        """Return the states [..., N, S] at the times ``s`` [..., 1 or N]."""
        return polynomial(self.terms, s[..., None])

    def rate(self, s: Array) -> Array:
        """Return dx/ds at the times ``s``."""
        return polynomial(derivative(self.terms), s[..., None])


def polynomial(terms: Array, s: Array) -> Array:
    """Return sum_k terms[k] s^k."""
    total = terms[-1]
    for term in terms[-2::-1]:
        total = total * s + term
    return total


def derivative(terms: Array) -> Array:
    """Return the terms of the derivative of a polynomial."""
    powers = np.arange(1, len(terms)).reshape(-1, *[1] * (terms.ndim - 1))
    return terms[1:] * powers


class Equations:
    """x' = A x + b, the threshold function g, the reset and the initial state of one neuron model.

    Raises:
        ModelError: The rates are not linear in the states.
    """

    def __init__(self, neuron: Neuron) -> None:
        system = neuron.system
        self.neuron = neuron
        self.states = system.states
        self.parameters = tuple(p.name for p in neuron.parameters)
        self.input = self.states.index(neuron.input)
        self.held = np.array([state in neuron.held for state in self.states])
        x = sp.Matrix([symbol(state) for state in self.states])
        rates = sp.Matrix(system.rates)
        A = rates.jacobian(x)
        if A.free_symbols & set(x):
            raise ModelError(
                f"neuron {neuron.name}: the equations are not linear in the states, so there is no "
                "exact simulation to check them against"
            )
        b = rates.subs(dict.fromkeys(x, 0))
        self._A = [[numeric(entry, self.parameters) for entry in A.row(i)] for i in range(len(x))]
        self._b = [numeric(entry, self.parameters) for entry in b]
        names = (*self.states, *self.parameters)
        self._g = None
        if system.threshold_value is not None:
            g = symbol(str(system.threshold_state)) - system.threshold_value
            self._g = numeric(g, names)
            self._g_x = [numeric(g.diff(state), names) for state in x]
        self._reset = {s: numeric(value, names) for s, value in system.resets.items()}
        self._start = {s: numeric(v, self.parameters) for s, v in system.initial.items()}

    @property
    def spiking(self) -> bool:
        """Whether there is a threshold."""
        return self._g is not None

    def matrices(self, p: Values) -> tuple[Array, Array]:
        """Return A [C, N, S, S] and b [C, N, S]."""
        shape, n = p[self.parameters[0]].shape, len(self.states)
        A, b = np.empty((*shape, n, n)), np.empty((*shape, n))
        given = [p[name] for name in self.parameters]
        for i in range(n):
            b[..., i] = self._b[i](*given)
            for j in range(n):
                A[..., i, j] = self._A[i][j](*given)
        return A, b

    def start(self, p: Values) -> Array:
        """Return the states [C, N, S] at the begin of a trial."""
        x = np.zeros((*p[self.parameters[0]].shape, len(self.states)))
        for state, value in self._start.items():
            x[..., self.states.index(state)] = value(*[p[name] for name in self.parameters])
        return x

    def threshold(self, x: Array, p: Values) -> Array:
        """Return g(x), >= 0 where the threshold is reached."""
        assert self._g is not None
        return np.broadcast_to(self._g(*self._given(x, p)), x.shape[:-1])

    def threshold_rate(self, x: Array, rate: Array, p: Values) -> Array:
        """Return dg/dt where x moves at ``rate``."""
        given = self._given(x, p)
        return np.sum([g_x(*given) * rate[..., i] for i, g_x in enumerate(self._g_x)], axis=0)

    def reset(self, x: Array, p: Values) -> Array:
        """Return the states after a spike."""
        after, given = x.copy(), self._given(x, p)
        for state, value in self._reset.items():
            after[..., self.states.index(state)] = value(*given)
        return after

    def _given(self, x: Array, p: Values) -> list[Array]:
        return [*np.moveaxis(x, -1, 0), *(p[name] for name in self.parameters)]


def flow(A: Array, b: Array, x: Array) -> Path:
    """Return the path of x' = A x + b from x: the Taylor series of the matrix exponential."""
    terms = [x, np.einsum("...ij,...j->...i", A, x) + b]
    for k in range(2, ORDER + 1):
        terms.append(np.einsum("...ij,...j->...i", A, terms[-1]) / k)
    return Path(np.array(terms))


def fastest_rate(A: Array) -> float:
    """Return a bound close to the largest eigenvalue of A, 1 / ms, whatever the states' units."""
    power = np.linalg.matrix_power(A, 16)
    return float(np.abs(power).sum(-1).max() ** (1 / 16))
