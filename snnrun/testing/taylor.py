"""The path of equations that are not linear, as a Taylor series: for the exact simulation.

The terms of x(s) follow from those of f(x(s)) one by one, x_(k+1) = f_k / (k + 1), and those of f
from the arithmetic of truncated series. How far a path may be followed is seen in its last terms.

Source: Jorba & Zou 2005, Experimental Mathematics 14:99, sections 2 (the recurrences) and 3.2.1
(the length of a step).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import sympy as sp

from snnrun.models.equations import symbol

Array = np.ndarray

ORDER = 18
ROUNDING = 1e-16  # of what the last terms may contribute, relative to the states


class Series:
    """A power series of arrays, of which each term is computed once, when it is asked for.

    So a term may depend on earlier ones of a series that is still to be found.

    Args:
        term: Returns the factor of s^k.
    """

    __array_ufunc__ = None  # arrays leave arithmetic with a series to it

    def __init__(self, term: Callable[[int], Any]) -> None:
        self._term = term
        self._known: list[Any] = []

    def __getitem__(self, k: int) -> Any:
        while len(self._known) <= k:
            self._known.append(self._term(len(self._known)))
        return self._known[k]

    def _other(self, other: Any) -> Series:
        if isinstance(other, Series):
            return other
        return Series(lambda k: other if k == 0 else 0.0 * self[0])

    def __add__(self, other: Any) -> Series:
        one = self._other(other)
        return Series(lambda k: self[k] + one[k])

    def __neg__(self) -> Series:
        return Series(lambda k: -self[k])

    def __sub__(self, other: Any) -> Series:
        return self + -self._other(other)

    def __rsub__(self, other: Any) -> Series:
        return self._other(other) - self

    def __mul__(self, other: Any) -> Series:
        if not isinstance(other, Series):
            return Series(lambda k: self[k] * other)
        return Series(lambda k: sum((self[i] * other[k - i] for i in range(k + 1)), 0.0))

    def __truediv__(self, other: Any) -> Series:
        if not isinstance(other, Series):
            return Series(lambda k: self[k] / other)

        def term(k: int) -> Any:
            return (self[k] - sum((other[k - i] * found[i] for i in range(k)), 0.0)) / other[0]

        found = Series(term)
        return found

    def __rtruediv__(self, other: Any) -> Series:
        return self._other(other) / self

    def __pow__(self, power: Any) -> Series:
        if isinstance(power, Series) or not np.all(power == np.round(power)):
            return exp(log(self) * power)
        whole = int(np.max(power))  # a number in the equations
        if whole < 0:
            return 1.0 / self**-whole
        found = self._other(1.0)
        for _ in range(whole):
            found = found * self
        return found

    def __rpow__(self, base: Any) -> Series:
        return exp(self * np.log(base))

    __radd__, __rmul__ = __add__, __mul__


def _from_slope(
    x: Series, start: Callable[[Any], Any], slope: Callable[[Series], Series]
) -> Series:
    """Return the series h with h_0 = ``start`` of x_0, and h' = x' times ``slope`` of h."""

    def term(k: int) -> Any:
        if k == 0:
            return start(x[0])
        return sum((i * x[i] * of_slope[k - i] for i in range(1, k + 1)), 0.0) / k

    found = Series(term)
    of_slope = slope(found)
    return found


def exp(x: Any) -> Any:
    """Return exp of a series or an array, as the functions below."""
    return _from_slope(x, np.exp, lambda h: h) if isinstance(x, Series) else np.exp(x)


def log(x: Any) -> Any:
    return _from_slope(x, np.log, lambda _: 1.0 / x) if isinstance(x, Series) else np.log(x)


def tanh(x: Any) -> Any:
    return _from_slope(x, np.tanh, lambda h: 1.0 - h * h) if isinstance(x, Series) else np.tanh(x)


def sqrt(x: Any) -> Any:
    return exp(log(x) * 0.5)


def absolute(x: Any) -> Any:
    return Series(lambda k: x[k] * np.sign(x[0])) if isinstance(x, Series) else np.abs(x)


def larger(*given: Any) -> Any:
    first, *rest = given
    if not rest:
        return first
    second = larger(*rest)
    return 0.5 * (first + second + absolute(first - second))


def smaller(*given: Any) -> Any:
    return -larger(*(-x for x in given))


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "exp": exp,
    "log": log,
    "sqrt": sqrt,
    "tanh": tanh,
    "Abs": absolute,
    "Max": larger,
    "Min": smaller,
}


class Rates:
    """f(x) of the equations dx/dt = f(x), of numbers and of series."""

    def __init__(
        self, rates: Sequence[sp.Expr], states: Sequence[str], parameters: Sequence[str]
    ) -> None:
        names = [symbol(name) for name in (*states, *parameters)]
        self._rates = sp.lambdify(names, list(rates), modules=[FUNCTIONS])

    def path(self, x: Array, p: Sequence[Array], still: Array) -> Array:
        """Return the terms [ORDER + 1, ..., S] of the path from x [..., S].

        States where ``still`` is true do not move.
        """
        terms = [x]
        states = [_entry(terms, i) for i in range(x.shape[-1])]
        found = self._rates(*states, *p)
        for k in range(ORDER):
            rate = [f[k] if isinstance(f, Series) else f * (k == 0) for f in found]
            rate = [np.broadcast_to(r, x.shape[:-1]) for r in rate]
            terms.append(np.where(still, 0.0, np.stack(rate, axis=-1)) / (k + 1))
        return np.array(terms)


def _entry(terms: Sequence[Array], i: int) -> Series:
    """Return the series of state i, as far as there are terms of all."""
    return Series(lambda k: terms[k][..., i])


def reach(terms: Array) -> float:
    """Return for how long paths with these terms are exact to rounding, the shortest of all."""
    size = np.maximum(np.abs(terms[:2]).max(axis=(0, -1)), np.finfo(float).tiny)
    last = np.abs(terms[-2:]).max(axis=-1) / size  # [2, ...]
    orders = np.array([len(terms) - 2, len(terms) - 1]).reshape(2, *[1] * (last.ndim - 1))
    with np.errstate(divide="ignore"):
        return float(np.min((ROUNDING / last) ** (1 / orders), initial=np.inf))
