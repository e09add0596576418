"""Derived expressions as NumPy functions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import reduce
from typing import Any

import numpy as np
import sympy as sp

from snnrun.compile.steps import Steps

Array = np.ndarray
Values = Mapping[sp.Symbol, Any]  # of arrays that broadcast against each other

LARGEST, SMALLEST = sp.Function("largest"), sp.Function("smallest")
NUMPY = [{"largest": np.maximum, "smallest": np.minimum}, "numpy"]


class Expressions:
    """Some expressions, evaluated together; ``defined`` are names that they use, in their order."""

    def __init__(
        self, expressions: Iterable[sp.Expr], defined: Mapping[sp.Symbol, sp.Expr] | None = None
    ) -> None:
        self._defined = {name: Expressions([value]) for name, value in (defined or {}).items()}
        found = [_of_two(sp.sympify(e)) for e in expressions]
        self._symbols = sorted({s for e in found for s in e.free_symbols}, key=sp.default_sort_key)
        # two symbols may have one name: one of the user, one of the derivation
        self._function = sp.lambdify(self._symbols, found, NUMPY, dummify=True)

    def __call__(self, values: Values) -> list[Array]:
        """Return their values, where ``values`` has that of every other symbol."""
        if self._defined:
            values = dict(values)
            for name, value in self._defined.items():
                [values[name]] = value(values)
        return [np.asarray(v) for v in self._function(*(values[s] for s in self._symbols))]


class Named:
    """Expressions by name, each a sum of terms that are added in their order.

    ``steps`` know the definitions that the expressions use.
    """

    def __init__(self, expressions: Mapping[str, Any], steps: Steps | None = None) -> None:
        self.names = tuple(expressions)
        each = [e if isinstance(e, list) else [e] for e in expressions.values()]
        self._counts = [len(terms) for terms in each]
        every = [term for terms in each for term in terms]
        self._terms = Expressions(every, steps.defined(every) if steps else None)

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
