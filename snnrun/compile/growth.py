"""growth(z) = (exp(z) - 1) / z and its derivative, to rounding also where z is 0."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import sympy as sp

NEAR = 0.5  # below which the series is summed
TERMS = 15  # then what is left out is below one ulp of a double
SERIES = [1 / math.factorial(n + 1) for n in range(TERMS)]
SLOPE_SERIES = [(n + 1) / math.factorial(n + 2) for n in range(TERMS)]


def _evaluated(z: Any, series: list[float], far: Callable[[Any], Any]) -> Any:
    z = np.asarray(z, float)
    near = np.abs(z) < NEAR
    return np.where(near, np.polyval(series[::-1], z), far(np.where(near, 1.0, z)))


def growth_of(z: Any) -> Any:
    """Return growth(z) of numbers or arrays (float64)."""
    return _evaluated(z, SERIES, lambda far: np.expm1(far) / far)


def slope_of(z: Any) -> Any:
    """Return its derivative."""
    return _evaluated(z, SLOPE_SERIES, lambda far: (np.exp(far) - np.expm1(far) / far) / far)


class growth(sp.Function):  # noqa: N801 - printers name a function by its class
    """(exp(z) - 1) / z, and 1 where z is 0."""

    _imp_ = staticmethod(growth_of)  # what lambdify calls

    @classmethod
    def eval(cls, z: sp.Expr) -> sp.Expr | None:
        """Return the value at a number."""
        if z == 0:
            return sp.Integer(1)
        return sp.Float(float(growth_of(float(z)))) if z.is_number else None

    def fdiff(self, argindex: int = 1) -> sp.Expr:
        """Return the derivative."""
        return growth_slope(self.args[0])


class growth_slope(sp.Function):  # noqa: N801
    """The derivative of growth."""

    _imp_ = staticmethod(slope_of)

    @classmethod
    def eval(cls, z: sp.Expr) -> sp.Expr | None:
        """Return the value at a number."""
        return sp.Float(float(slope_of(float(z)))) if z.is_number else None
