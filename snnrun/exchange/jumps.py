"""Neurons that a spike raises at once, by its weight, as neurons of NIR."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

MS = 1000.0  # in a second; files have seconds
Fields = dict[str, np.ndarray]


def spread(value: Any, size: int) -> np.ndarray:
    return np.broadcast_to(np.asarray(value, float), size).copy()


def fields_of(values: Mapping[str, Any], size: int, dt: float) -> Fields:
    """Return the fields of a CubaLIF that a spike moves as it does here, in steps of ``dt`` ms.

    Here a spike of weight w raises I by w, and tau_mem dV/dt = v_leak + gain I - V. In NIR it
    raises I by w_in w dt / tau_syn, and r I drives V: r w_in dt / tau_syn must be the gain.
    With r = tau_mem / dt, as snnTorch has it, that is w_in = gain tau_syn / tau_mem.
    """
    tau_mem, tau_syn = (spread(values[n], size) for n in ("tau_mem", "tau_syn"))
    fields = {
        "tau_mem": tau_mem / MS,
        "tau_syn": tau_syn / MS,
        "r": tau_mem / dt,
        "w_in": spread(values["gain"], size) * tau_syn / tau_mem,
        "v_leak": spread(values["v_leak"], size),
    }
    for ours, theirs in (("v_thresh", "v_threshold"), ("v_reset", "v_reset")):
        if ours in values:
            fields[theirs] = spread(values[ours], size)
    return fields


def for_euler(fields: Fields, dt: float) -> Fields:
    """Return fields with which forward Euler takes the exact steps, of ``dt`` s.

    Here spikes raise I at the start of a step, and the step is then solved exactly,

        I <- a I,  V <- b V + c I      a = exp(-dt / tau_syn), b = exp(-dt / tau_mem)

    Norse and snnTorch have I <- (1 - dt / tau_syn) I + w_in dt / tau_syn S, and then
    V <- (1 - dt / tau_mem) V + r dt / tau_mem I. Their I is what I is here before the step, so that
    both do the same with 1 - dt / tau_syn = a, 1 - dt / tau_mem = b and factors that give c. A LIF
    of NIR is one without I: c = r b dt / tau.
    """
    name = "tau_mem" if "tau_syn" in fields else "tau"
    if name not in fields:  # nothing decays
        return fields
    tau_mem = fields[name]
    changed = {name: -dt / np.expm1(-dt / tau_mem)}
    if name == "tau":
        changed["r"] = fields["r"] * np.exp(-dt / tau_mem) * changed[name] / tau_mem
        return fields | changed
    tau_syn = fields["tau_syn"]
    x = dt / 2 * (1 / tau_mem - 1 / tau_syn)
    small = np.abs(x) < 1e-4
    series = np.where(small, 1 + x**2 / 6, np.sinh(x) / np.where(small, 1, x))
    moved = dt / tau_mem * np.exp(-dt / 2 * (1 / tau_mem + 1 / tau_syn)) * series
    changed["tau_syn"] = -dt / np.expm1(-dt / tau_syn)
    changed["r"] = changed[name] / dt  # as snnTorch demands it
    gain = fields["r"] * fields["w_in"] * dt / tau_syn
    changed["w_in"] = gain * moved * changed["tau_syn"] / dt
    return fields | changed
