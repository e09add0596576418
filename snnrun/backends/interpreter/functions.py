"""Derived expressions as NumPy functions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import reduce
from typing import Any

import numpy as np
import sympy as sp

Array = np.ndarray
Values = Mapping[sp.Symbol, Any]  # of arrays that broadcast against each other

LARGEST, SMALLEST = sp.Function("largest"), sp.Function("smallest")
NUMPY = [{"largest": np.maximum, "smallest": np.minimum}, "numpy"]


class Expressions:
    """Some expressions, evaluated together."""

    def __init__(self, expressions: Iterable[sp.Expr]) -> None:
        found = [_of_two(sp.sympify(e)) for e in expressions]
        self._symbols = sorted({s for e in found for s in e.free_symbols}, key=sp.default_sort_key)
        # two symbols may have one name: one of the user, one of the derivation
        self._function = sp.lambdify(self._symbols, found, NUMPY, dummify=True)

    def __call__(self, values: Values) -> list[Array]:
        """Return their values, where ``values`` has that of every symbol."""
        return [np.asarray(v) for v in self._function(*(values[s] for s in self._symbols))]


class Named:
    """Expressions by name, each a sum of terms that are added in their order."""

    def __init__(self, expressions: Mapping[str, Any]) -> None:
        self.names = tuple(expressions)
        each = [e if isinstance(e, list) else [e] for e in expressions.values()]
        self._counts = [len(terms) for terms in each]
        self._terms = Expressions(term for terms in each for term in terms)

    def __call__(self, values: Values) -> dict[str, Array]:
        """Return name -> value."""
        terms = iter(self._terms(values))
        sums = (sum((next(terms) for _ in range(n)), np.zeros(())) for n in self._counts)
        return dict(zip(self.names, sums, strict=True))


def _of_two(expression: sp.Expr) -> sp.Expr:
    """Return an expression whose maxima and minima have two arguments, which may broadcast."""
    for kind, pair in ((sp.Max, LARGEST), (sp.Min, SMALLEST)):
        expression = expression.replace(kind, lambda *each, pair=pair: reduce(pair, each))
    return expression
