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

from snnrun.models.declare import Neuron
from snnrun.models.equations import symbol
from snnrun.testing.taylor import ORDER, Rates, reach

Array = np.ndarray
Values = Mapping[str, Array]  # parameter -> [C, N]


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
    """x' = f(x), the threshold function g, the reset and the initial state of one neuron model."""

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
        self.linear = not A.free_symbols & set(x)
        names = (*self.states, *self.parameters)
        self._A = [[numeric(entry, names) for entry in A.row(i)] for i in range(len(x))]
        self._b = [numeric(entry, self.parameters) for entry in rates.subs(dict.fromkeys(x, 0))]
        self._rates = None if self.linear else Rates(rates, self.states, self.parameters)
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

    def flow(self, p: Values) -> Flow:
        """Return what moves neurons with these parameters."""
        if self._rates is not None:
            return SmoothFlow(self._rates, [p[name] for name in self.parameters])
        b = np.zeros((*p[self.parameters[0]].shape, len(self.states)))
        for i, entry in enumerate(self._b):
            b[..., i] = entry(*[p[name] for name in self.parameters])
        return LinearFlow(self.jacobian(b, p), b)

    def jacobian(self, x: Array, p: Values) -> Array:
        """Return df/dx [C, N, S, S], that of linear equations in any state."""
        given, n = self._given(x, p), len(self.states)
        A = np.empty((*x.shape, n))
        for i in range(n):
            for j in range(n):
                A[..., i, j] = self._A[i][j](*given)
        return A

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


class LinearFlow:
    """x' = A x + b."""

    def __init__(self, A: Array, b: Array) -> None:
        self.A, self.b = A, b
        self._longest = 1.0 / max(fastest_rate(A), 1e-12)

    def path(self, x: Array, still: Array | None = None) -> Path:
        """Return the path from x: the Taylor series of the matrix exponential.

        States where ``still`` is true do not move.
        """
        A, b = self.A, self.b
        if still is not None:
            A, b = np.where(still[..., None], 0.0, A), np.where(still, 0.0, b)
        terms = [x, np.einsum("...ij,...j->...i", A, x) + b]
        for k in range(2, ORDER + 1):
            terms.append(np.einsum("...ij,...j->...i", A, terms[-1]) / k)
        return Path(np.array(terms))

    def longest(self, path: Path) -> float:
        """Return for how long a path may be followed: with |A| s <= 1 to 1 / 19! = 1e-17."""
        return self._longest


class SmoothFlow:
    """x' = f(x), not linear."""

    def __init__(self, rates: Rates, parameters: Sequence[Array]) -> None:
        self.rates, self.parameters = rates, parameters

    def path(self, x: Array, still: Array | None = None) -> Path:
        """Return the path from x, as that of LinearFlow."""
        return Path(
            self.rates.path(x, self.parameters, np.zeros(1, bool) if still is None else still)
        )

    def longest(self, path: Path) -> float:
        """Return for how long a path may be followed."""
        return reach(path.terms)


Flow = LinearFlow | SmoothFlow


def fastest_rate(A: Array) -> float:
    """Return a bound close to the largest eigenvalue of A, 1 / ms, whatever the states' units."""
    power = np.linalg.matrix_power(A, 16)
    return float(np.abs(power).sum(-1).max() ** (1 / 16))
