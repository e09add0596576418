"""SymPy expressions to the C of a backend: typed literals, names that do not collide."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import sympy as sp
from sympy.printing.c import C99CodePrinter

from snnrun.compile.growth import SERIES, SLOPE_SERIES


def not_taken(taken: frozenset[str], prefixes: tuple[str, ...]) -> Callable[[sp.Symbol], str]:
    """Return a function that names symbols: names that users chose and that are taken get a tail.

    ``taken`` are the names, and ``prefixes`` the beginnings of names, that a backend's code uses
    itself.
    """

    def name_of(symbol: sp.Symbol) -> str:
        name = str(symbol)
        if symbol.is_real and (name in taken or name.startswith(prefixes)):
            return f"{name}_of_model"
        return name

    return name_of


@dataclass(frozen=True, kw_only=True)
class Dialect:
    """What differs between the backends' languages.

    ``literal`` is a number's form, in which ``{}`` stands for its digits; ``largest`` and
    ``smallest`` are the functions of two arguments. ``sign`` and ``side`` are functions for the
    derivatives of abs, max and min: -1, 0 or 1, and 0, 1/2 or 1, below, at and above 0; without
    them these are written as comparisons of numbers. ``growth`` and ``growth_slope`` are those of
    compile/growth.py; without them they are written with exp and expm1.
    """

    literal: str
    largest: str
    smallest: str
    name_of: Callable[[sp.Symbol], str]
    sign: str | None = None
    side: str | None = None
    growth: str | None = None
    growth_slope: str | None = None


class FormulaPrinter(C99CodePrinter):  # SymPy looks its methods up by these names
    """Prints every number in the dialect's form, so that no literal widens a float to a double."""

    def __init__(self, dialect: Dialect) -> None:
        super().__init__({"precision": 17})
        self._dialect = dialect

    def number(self, value: float) -> str:
        """Return a literal that reads back as exactly ``value``."""
        return self._dialect.literal.format(repr(float(value)))

    def _print_Symbol(self, expr: Any) -> str:
        return self._dialect.name_of(expr)

    def _print_Float(self, expr: Any) -> str:
        return self.number(float(expr))

    def _print_Integer(self, expr: Any) -> str:
        return self.number(int(expr))

    def _print_Rational(self, expr: Any) -> str:
        return self.number(float(expr))

    def _print_Zero(self, expr: Any) -> str:
        return self.number(0.0)

    def _print_One(self, expr: Any) -> str:
        return self.number(1.0)

    def _print_NegativeOne(self, expr: Any) -> str:
        return self.number(-1.0)

    def _print_Half(self, expr: Any) -> str:
        return self.number(0.5)

    def _print_Exp1(self, expr: Any) -> str:
        return self.number(float(sp.E))

    def _print_Pow(self, expr: Any) -> str:
        base, exponent = expr.args
        if exponent.is_Integer and 1 <= abs(int(exponent)) <= 4:
            factors = "*".join([self.parenthesize(base, 100)] * abs(int(exponent)))
            return f"({factors})" if exponent > 0 else f"({self.number(1)}/({factors}))"
        if exponent == sp.Rational(1, 2):
            return f"sqrt({self._print(base)})"
        return f"pow({self._print(base)}, {self._print(exponent)})"

    def _print_Max(self, expr: Any) -> str:
        return self._nested(self._dialect.largest, expr.args)

    def _print_Min(self, expr: Any) -> str:
        return self._nested(self._dialect.smallest, expr.args)

    def _print_sign(self, expr: Any) -> str:
        argument = self._print(expr.args[0])
        if self._dialect.sign is None:
            return f"(({argument} > 0) - ({argument} < 0))"
        return f"{self._dialect.sign}({argument})"

    def _print_Heaviside(self, expr: Any) -> str:
        argument = self._print(expr.args[0])
        if self._dialect.side is None:
            half = self.number(0.5)
            return f"({half} * (({argument} > 0) + ({argument} >= 0)))"
        return f"{self._dialect.side}({argument})"

    def _print_growth(self, expr: Any) -> str:
        z = self._print(expr.args[0])
        if self._dialect.growth is not None:
            return f"{self._dialect.growth}({z})"
        return self._near(z, SERIES[:3], 1e-5, f"expm1({z}) / ({z})")

    def _print_growth_slope(self, expr: Any) -> str:
        z = self._print(expr.args[0])
        if self._dialect.growth_slope is not None:
            return f"{self._dialect.growth_slope}({z})"
        far = f"(exp({z}) - expm1({z}) / ({z})) / ({z})"
        return self._near(z, SLOPE_SERIES[:9], 0.1, far)

    def _near(self, z: str, series: Sequence[float], end: float, far: str) -> str:
        """Return code for a series of z where it is near 0, and ``far`` elsewhere."""
        near = self.number(series[-1])
        for term in series[-2::-1]:
            near = f"({near} * ({z}) + {self.number(term)})"
        return f"(fabs({z}) < {self.number(end)} ? {near} : {far})"

    def _nested(self, function: str, arguments: tuple[Any, ...]) -> str:
        text = self._print(arguments[0])
        for argument in arguments[1:]:
            text = f"{function}({text}, {self._print(argument)})"
        return str(text)


def print_in(dialect: Dialect, expression: sp.Expr) -> str:
    """Return ``expression`` in a backend's language."""
    return str(FormulaPrinter(dialect).doprint(expression))
