"""SymPy expressions to C++ with typed literals."""

from __future__ import annotations

from typing import Any

import sympy as sp
from sympy.printing.c import C99CodePrinter


class CxxPrinter(C99CodePrinter):  # SymPy looks its methods up by these names
    """Prints numbers as ``Real(0.05)``, so that no literal widens a float expression to double."""

    def __init__(self, literal: str = "Real({})") -> None:
        super().__init__({"precision": 17})
        self._literal = literal

    def number(self, value: float) -> str:
        """Return a literal that reads back as exactly ``value``."""
        return self._literal.format(repr(float(value)))

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
        return self._fold("maximum", expr.args)

    def _print_Min(self, expr: Any) -> str:
        return self._fold("minimum", expr.args)

    def _fold(self, function: str, arguments: tuple[Any, ...]) -> str:
        text = f"splat({self._print(arguments[0])})"
        for argument in arguments[1:]:
            text = f"{function}({text}, splat({self._print(argument)}))"
        return text


def print_formula(expression: sp.Expr, literal: str = "Real({})") -> str:
    """Return ``expression`` as C++."""
    return str(CxxPrinter(literal).doprint(expression))
