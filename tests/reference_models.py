"""The models of tests/reference.py, with their derivatives by hand.

Shapes: S states, N neurons of a layer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

V, IN, B, ONE = 0, 1, 2, 2  # rows of the state: V, input, then adaptation or the constant 1
Array = np.ndarray
Parameters = Mapping[str, Array]  # name -> [N]


@dataclass(frozen=True, kw_only=True)
class Model:
    """dx/dt = A x; spike at V >= v_thresh (+ B where there is one); then V is set or lowered.

    ``ode`` lists (row, column, numerator, tau): A[row, column] = numerator / tau, where a numerator
    (and an initial value) is a number or a parameter. A constant drive is a state that stays 1.
    """

    name: str
    parameters: tuple[str, ...]
    ode: tuple[tuple[int, int, float | str, str], ...]
    initial: tuple[float | str, ...] = (0.0, 0.0)
    g_x: tuple[float, ...] = (1.0, 0.0)  # gradient of g = V - rhs by the state
    spiking: bool = True
    subtract: bool = False
    adaptive: bool = False

    def matrix(self, p: Parameters) -> Array:
        """Matrix of the ODE, [N, S, S]."""
        A = np.zeros((p["tau_mem"].size, len(self.initial), len(self.initial)))
        for row, column, numerator, tau in self.ode:
            A[:, row, column] = _value(numerator, p) / p[tau]
        return A

    def matrix_p(self, p: Parameters) -> dict[str, Array]:
        """Derivative of A by every parameter."""
        d = {name: np.zeros_like(self.matrix(p)) for name in self.parameters}
        for row, column, numerator, tau in self.ode:
            d[tau][:, row, column] = -_value(numerator, p) / p[tau] ** 2
            if isinstance(numerator, str):
                d[numerator][:, row, column] = 1 / p[tau]
        return d

    def start(self, p: Parameters) -> Array:
        """State at time 0, [S, N]."""
        return np.array([_value(number_or_name, p) for number_or_name in self.initial])

    def rhs(self, x: Array, p: Parameters) -> Array:
        return p["v_thresh"] + x[B] if self.adaptive else p["v_thresh"]

    def reset(self, x: Array, p: Parameters) -> Array:
        x = x.copy()
        x[V] = x[V] - p["v_thresh"] if self.subtract else p["v_reset"]
        if self.adaptive:
            x[B] = x[B] + p["b_incr"]
        return x

    def r_x(self, vector: Array) -> Array:
        """Product of the Jacobian of the reset (diagonal here) and a vector [S, N]."""
        return vector * np.array([self.subtract, *[1] * (len(vector) - 1)])[:, None]

    def r_p(self, lam: Array) -> dict[str, Array]:
        """lam . dr/dp of the parameters that the reset contains, [N] each."""
        d = {"v_thresh": -lam[V]} if self.subtract else {"v_reset": lam[V]}
        return d | ({"b_incr": lam[B]} if self.adaptive else {})


def _value(number_or_name: float | str, p: Parameters) -> Array:
    named = isinstance(number_or_name, str)
    return p[str(number_or_name)] if named else np.full(p["tau_mem"].shape, number_or_name)


MEMBRANE = ((V, V, -1.0, "tau_mem"), (V, IN, 1.0, "tau_mem"), (IN, IN, -1.0, "tau_syn"))
LIF = ("tau_mem", "tau_syn", "v_thresh", "v_reset")
MODELS: dict[str, Model] = {}
for _model in (
    Model(name="lif", parameters=LIF, ode=MEMBRANE),
    Model(name="lif_subtract", parameters=LIF[:3], ode=MEMBRANE, subtract=True),
    Model(
        name="alif",
        parameters=(*LIF, "tau_b", "b_incr", "b_init"),
        ode=(*MEMBRANE, (B, B, -1.0, "tau_b")),
        initial=(0.0, 0.0, "b_init"),
        g_x=(1.0, 0.0, -1.0),
        adaptive=True,
    ),
    Model(  # a constant term in the ODE: dV/dt = (v_rest + I - V) / tau_mem
        name="lif_rest",
        parameters=(*LIF, "v_rest"),
        ode=(*MEMBRANE, (V, ONE, "v_rest", "tau_mem")),
        initial=(0.0, 0.0, 1.0),
        g_x=(1.0, 0.0, 0.0),
    ),
    Model(name="li", parameters=LIF[:2], ode=MEMBRANE, spiking=False),
):
    MODELS[_model.name] = _model
