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
    """A truncated power series of arrays, terms[k] s^k."""

    __array_ufunc__ = None  # arrays leave arithmetic with a series to it

    def __init__(self, terms: Sequence[Any]) -> None:
        self.terms = list(terms)

    def _other(self, other: Any) -> Series:
        if isinstance(other, Series):
            return other
        return Series([other, *(0.0 * self.terms[0] for _ in self.terms[1:])])

    def __add__(self, other: Any) -> Series:
        return Series([a + b for a, b in zip(self.terms, self._other(other).terms, strict=True)])

    def __neg__(self) -> Series:
        return Series([-a for a in self.terms])

    def __sub__(self, other: Any) -> Series:
        return self + -self._other(other)

    def __rsub__(self, other: Any) -> Series:
        return self._other(other) - self

    def __mul__(self, other: Any) -> Series:
        if not isinstance(other, Series):
            return Series([a * other for a in self.terms])
        return Series([_product(self.terms, other.terms, k) for k in range(len(self.terms))])

    def __truediv__(self, other: Any) -> Series:
        if not isinstance(other, Series):
            return Series([a / other for a in self.terms])
        found: list[Any] = []
        for k, term in enumerate(self.terms):
            found.append((term - _product([0.0, *other.terms[1:]], found, k)) / other.terms[0])
        return Series(found)

    def __rtruediv__(self, other: Any) -> Series:
        return self._other(other) / self

    def __pow__(self, power: Any) -> Series:
        if isinstance(power, Series) or not np.all(power == np.round(power)):
            return exp(log(self) * power)
        whole = int(np.max(power))  # a number in the equations
        if whole < 0:
            return 1.0 / self**-whole
        found = self._other(1.0 + 0.0 * self.terms[0])
        for _ in range(whole):
            found = found * self
        return found

    def __rpow__(self, base: Any) -> Series:
        return exp(self * np.log(base))

    __radd__, __rmul__ = __add__, __mul__


def _product(a: Sequence[Any], b: Sequence[Any], k: int) -> Any:
    """Return the sum of a_i b_(k - i), of those terms that there are."""
    pairs = ((a[i], b[k - i]) for i in range(k + 1) if i < len(a) and k - i < len(b))
    return sum((x * y for x, y in pairs), 0.0)


def _from_slope(a: Series, start: Any, slope: Callable[[list[Any]], list[Any]]) -> Series:
    """Return the series h with h_0 = ``start`` and h' = a' times ``slope`` of its terms."""
    rate = [i * term for i, term in enumerate(a.terms)]
    found = [start]
    for k in range(1, len(a.terms)):
        found.append(_product(rate, slope(found), k) / k)
    return Series(found)


def exp(x: Any) -> Any:
    """Return exp of a series or an array, as the functions below."""
    if not isinstance(x, Series):
        return np.exp(x)
    return _from_slope(x, np.exp(x.terms[0]), lambda found: found)


def log(x: Any) -> Any:
    if not isinstance(x, Series):
        return np.log(x)
    inverse = (1.0 / x).terms
    return _from_slope(x, np.log(x.terms[0]), lambda found: inverse)


def sqrt(x: Any) -> Any:
    return exp(log(x) * 0.5)


def tanh(x: Any) -> Any:
    if not isinstance(x, Series):
        return np.tanh(x)

    def slope(found: list[Any]) -> list[Any]:
        return (1.0 - Series(found) * Series(found)).terms

    return _from_slope(x, np.tanh(x.terms[0]), slope)


def absolute(x: Any) -> Any:
    return x * np.sign(x.terms[0]) if isinstance(x, Series) else np.abs(x)


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
        for k in range(ORDER):
            series = [Series([term[..., i] for term in terms]) for i in range(x.shape[-1])]
            found = self._rates(*series, *p)
            rate = [f.terms[k] if isinstance(f, Series) else f * (k == 0) for f in found]
            rate = [np.broadcast_to(r, x.shape[:-1]) for r in rate]
            terms.append(np.where(still, 0.0, np.stack(rate, axis=-1)) / (k + 1))
        return np.array(terms)


def reach(terms: Array) -> float:
    """Return for how long paths with these terms are exact to rounding, the shortest of all."""
    size = np.maximum(np.abs(terms[:2]).max(axis=(0, -1)), np.finfo(float).tiny)
    last = np.abs(terms[-2:]).max(axis=-1) / size  # [2, ...]
    orders = np.array([len(terms) - 2, len(terms) - 1]).reshape(2, *[1] * (last.ndim - 1))
    with np.errstate(divide="ignore"):
        return float(np.min((ROUNDING / last) ** (1 / orders), initial=np.inf))
