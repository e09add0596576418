"""Integrators: the step of equations that are not linear in the states.

F(x) is the map of a named integrator for dx/dt = f(x), derived from the equations; both passes use
it as they use an update (compile/update.py), so that the gradient is that of the program:

    euler               F = x + dt f(x)
    exponential_euler   F_i = x_i + dt growth(a_i dt) f_i(x)        growth(z) = (exp(z) - 1) / z
    rk2                 F = x + dt f(x + dt/2 f(x))                 explicit midpoint
    rk4                 the classical Runge-Kutta method of order 4

In exponential Euler a_i is the factor of x_i in f_i, where f_i = a_i x_i + terms of another kind: a
state that decays, or that conductances pull, stays stable for any dt. The terms of another kind, as
the square or the exponential of a membrane potential, are taken at the start of the step; so is a_i
x_i where a_i is a number above 0, which drives away and does not pull.

Source: Hairer, Norsett & Wanner 1993, Solving Ordinary Differential Equations I, Table II.1.1
(midpoint), II.1.2 (order 4); Hochbruck & Ostermann 2010, Acta Numerica 19:209, eq. 2.4 (exponential
Euler, here state by state).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import sympy as sp

from snnrun.compile.growth import growth
from snnrun.models.equations import internal, symbol

DT = internal("P_dt")  # length of a step (ms)
Values = Sequence[sp.Expr]  # one a state
# By stage but the first, how far along the rate of the one before it lies; weights of the rates
RUNGE_KUTTA: Mapping[str, tuple[tuple[sp.Rational, ...], tuple[sp.Rational, ...]]] = {
    "euler": ((), (sp.Integer(1),)),
    "rk2": ((sp.Rational(1, 2),), (sp.Integer(0), sp.Integer(1))),
    "rk4": (
        (sp.Rational(1, 2), sp.Rational(1, 2), sp.Integer(1)),
        (sp.Rational(1, 6), sp.Rational(1, 3), sp.Rational(1, 3), sp.Rational(1, 6)),
    ),
}
EXPONENTIAL = "exponential_euler"
SMOOTH = (EXPONENTIAL, "rk2", "rk4")  # those of equations that are not linear only


def of_nonlinear(integrator: str) -> str:
    """Return what an integrator, as network.integrator names it, means where no step is exact."""
    return EXPONENTIAL if integrator == "exact" else integrator


def exponential_euler(rates: Values, states: Sequence[str]) -> tuple[sp.Expr, ...]:
    """Return F(x), the values of ``states`` after a step, in terms of those before it and DT."""
    each = zip((symbol(s) for s in states), rates, strict=True)
    return tuple(state + DT * growth(own_factor(state, rate) * DT) * rate for state, rate in each)


def own_factor(state: sp.Symbol, rate: sp.Expr) -> sp.Expr:
    """Return a, where ``rate`` is a times ``state`` and terms of another kind; 0 for a > 0."""
    factors = (term.coeff(state) for term in sp.Add.make_args(sp.expand(rate)) if term.has(state))
    total = sp.factor(sp.Add(*(factor for factor in factors if not factor.has(state))))
    return sp.Integer(0) if total.is_positive else total
