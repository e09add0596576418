"""SymPy expressions to C++ with typed literals."""

from __future__ import annotations

from typing import Any

import sympy as sp
from sympy.printing.c import C99CodePrinter

TAKEN = frozenset(  # by the generated functions, the runtime and C++
    """
    x k v lam input kept spiking gradient inverse_slope R dl_dt release drive held g value step
    A dA DT EULER SIZE STATES INPUT READOUT RECORDS REFRACTORY PER_NEURON TRAINED ARRAYS SPIKING
    TIMED RESTS STRIDE DURATION SILENT_EXCLUDED Number Real Int vf vi vectors splat maximum minimum
    exp log sqrt tanh fabs pow alignas and asm auto bool break case catch char class const
    constexpr continue default delete do double else enum explicit export extern false float for
    friend goto if inline int long mutable namespace new noexcept not operator or private protected
    public register return short signed sizeof static struct switch template this throw true try
    typedef typeid typename union unsigned using virtual void volatile while xor INFINITY NAN
    """.split()  # noqa: SIM905
)
PREFIXES = ("lam_", "P_", "H_", "Pu_", "Hu_", "dP_", "dH_", "u_", "__", "SNN_", "_")


def cxx_name(symbol: sp.Symbol) -> str:
    """Return the C++ name of a symbol. Names that users chose and that are taken get a tail."""
    name = str(symbol)
    if symbol.is_real and (name in TAKEN or name.startswith(PREFIXES)):
        return f"{name}_of_model"
    return name


class CxxPrinter(C99CodePrinter):  # SymPy looks its methods up by these names
    """Prints numbers as ``Real(0.05)``, so that no literal widens a float expression to double."""

    def __init__(self, literal: str = "Real({})") -> None:
        super().__init__({"precision": 17})
        self._literal = literal

    def number(self, value: float) -> str:
        """Return a literal that reads back as exactly ``value``."""
        return self._literal.format(repr(float(value)))

    def _print_Symbol(self, expr: Any) -> str:
        return cxx_name(expr)

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
        return self._nested("maximum", expr.args)

    def _print_Min(self, expr: Any) -> str:
        return self._nested("minimum", expr.args)

    def _nested(self, function: str, arguments: tuple[Any, ...]) -> str:
        text = self._print(arguments[0])
        for argument in arguments[1:]:
            text = f"{function}({text}, {self._print(argument)})"
        return str(text)


def print_formula(expression: sp.Expr, literal: str = "Real({})") -> str:
    """Return ``expression`` as C++."""
    return str(CxxPrinter(literal).doprint(expression))
