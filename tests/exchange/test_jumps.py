"""Neurons of this project in the fields of NIR."""

from __future__ import annotations

import numpy as np
import pytest
from runs import here

from snnrun.exchange.jumps import fields_of, for_euler

STEPS, DT_MS = 50, 2.0


def exact(x: np.ndarray, tau_mem: float, tau_syn: float) -> np.ndarray:
    """Return the potentials of LIF below its threshold, solved in 400 pieces of a step."""
    v = current = 0.0
    found, pieces = [], 400
    for weight in x:
        current += weight
        for _ in range(pieces):  # the midpoint rule
            h = DT_MS / pieces
            half_v, half = v + h / 2 * (current - v) / tau_mem, current * (1 - h / 2 / tau_syn)
            v, current = v + h * (half - half_v) / tau_mem, current - h * half / tau_syn
        found.append(v)
    return np.array(found)


@pytest.mark.parametrize(("tau_mem", "tau_syn"), [(10.0, 5.0), (5.0, 5.0), (3.0, 20.0)])
def test_forward_euler_takes_the_exact_steps_with_other_time_constants(
    tau_mem: float, tau_syn: float
) -> None:
    x = np.random.default_rng(1).normal(0, 1, STEPS)
    values = {"tau_mem": tau_mem, "tau_syn": tau_syn, "gain": 1.0, "v_leak": 0.0}
    dt = DT_MS / 1000
    found = for_euler(fields_of(values, 1, DT_MS), dt)
    a, b = dt / found["tau_syn"], dt / found["tau_mem"]
    v = current = np.zeros(1)
    potentials = []
    for weight in x:
        current = current + a * (found["w_in"] * weight - current)
        v = v + b * (found["r"] * current - v)
        potentials.append(v[0])
    assert potentials == pytest.approx(exact(x, tau_mem, tau_syn), rel=1e-5, abs=1e-6)


def test_a_lif_of_nir_that_spikes_raise_at_once_takes_the_exact_steps_too() -> None:
    tau, r, v_leak, dt = 0.01, 3.0, 0.2, 0.002
    fields = {"tau": np.array([tau]), "r": np.array([r]), "v_leak": np.array([v_leak])}
    found = for_euler(fields, dt)
    decay = np.exp(-dt / tau)
    expected = decay * (0.5 + r * 0.7 * dt / tau) + v_leak * (1 - decay)
    share = dt / found["tau"]
    assert 0.5 + share * (v_leak - 0.5 + found["r"] * 0.7) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nir", "--stepping", "rk4"], "--stepping rk4: must be euler, or left out"),
        (["npz", "--stepping", "euler"], "--stepping is for --to nir alone"),
    ],
)
def test_other_steppings_and_formats_are_refused(words: list[str], said: str) -> None:
    found = here("export", "--to", *words)
    assert found.returncode == 2
    assert said in found.stderr
