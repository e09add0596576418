"""Neurons that are declared by an update: the steps are those of their formulas."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
from discrete import Array, Run, data_of, network, program, walk
from draws import hashes, layer_keys, normal
from hypothesis import given, settings
from hypothesis import strategies as st
from long import long_but
from parity import gradients_of, load_weights, native

from snnrun.backends.base import Noise
from snnrun.backends.native.library import NativeBackend
from snnrun.models.declare import Neuron
from snnrun.models.neurons import FLUX_LIF, LIF, ROCKPOOL_LIF, ROCKPOOL_LIF_DELTA, SPYTORCH_LIF
from snnrun.models.surrogates import SpikeDerivative

DT, TAU_MEM, TAU_SYN, THETA = 0.5, 9.0, 4.0, 0.7
T, P, N = 150, 13, 37
GIVEN: dict[str, Any] = {"tau_mem": TAU_MEM, "tau_syn": TAU_SYN, "v_thresh": THETA}


def given_to(neuron: Neuron, **more: Any) -> dict[str, Any]:
    return {k: v for k, v in {**GIVEN, **more}.items() if k in {p.name for p in neuron.parameters}}


def inputs(seed: int, rate: float = 0.2) -> np.ndarray:
    return np.random.default_rng(seed).random((2, T, P)) < rate


def weights(seed: int, mean: float, std: float, recurrent: float) -> dict[str, Array]:
    draw = np.random.default_rng(seed).normal
    return {
        "in_to_hid": draw(mean, std, (P, N)),
        "hid_to_hid": draw(0.0, recurrent, (N, N)),
        "hid_to_out": draw(0.0, 0.1, (N, 3)),
    }


def run_native(backend: NativeBackend, spikes: np.ndarray, w: dict[str, Array]) -> list[Run]:
    load_weights(backend, w)
    runs = []
    for example in range(len(spikes)):
        trial = backend.trial(data_of(spikes), example)
        counts = np.zeros((T, N))
        np.add.at(counts, (trial.steps[0], trial.neurons[0]), 1)
        runs.append(Run(spikes=counts, states=dict(trial.states[0])))
    return runs


def rockpool_delta(bias: float | Array, most: int) -> Any:
    def step(x: dict[str, Array], arriving: Array) -> tuple[Array, dict[str, Array]]:
        V = x["V"] * np.exp(-DT / TAU_MEM)
        V = V + arriving
        V = V + bias
        s = np.minimum((V >= THETA) * np.floor(V / THETA), most)
        x["V"] = V - s * THETA
        return s, {"V": V}

    return step


def rockpool_current(bias: float | Array, most: int) -> Any:
    def step(x: dict[str, Array], arriving: Array) -> tuple[Array, dict[str, Array]]:
        I = x["I"] + arriving  # noqa: E741
        V = x["V"] * np.exp(-DT / TAU_MEM)
        I = I * np.exp(-DT / TAU_SYN)  # noqa: E741
        V = V + I + bias
        s = np.minimum((V >= THETA) * np.floor(V / THETA), most)
        x["V"], x["I"] = V - s * THETA, I
        return s, {"V": V, "I": I}

    return step


def gist(x: dict[str, Array], arriving: Array) -> tuple[Array, dict[str, Array]]:
    I_next = x["I"] + (DT / TAU_SYN) * (-x["I"] + arriving)
    V_ = x["V"] + (DT / TAU_MEM) * (-x["V"] + I_next)
    S_next = V_ >= THETA
    x["V"], x["I"] = (1 - S_next) * V_, I_next
    return S_next.astype(float), {"V": V_, "I": I_next}


def spytorch(x: dict[str, Array], arriving: Array) -> tuple[Array, dict[str, Array]]:
    """Take mem from t to t + 1; the notebook sees the spikes of mem(t + 1) in its next pass."""
    out = x["V"] - THETA >= 0
    new_syn = np.exp(-DT / TAU_SYN) * x["I"] + arriving
    new_mem = (np.exp(-DT / TAU_MEM) * x["V"] + x["I"]) * (1 - out)
    x["V"], x["I"] = new_mem, new_syn
    return (new_mem - THETA >= 0).astype(float), {"V": new_mem, "I": new_syn}


BIAS = np.random.default_rng(5).normal(0, 0.02, N)
CASES: dict[str, tuple[Neuron, dict[str, Any], Any, tuple[float, float, float]]] = {
    "rockpool, delta": (
        ROCKPOOL_LIF_DELTA,
        {"bias": BIAS},
        rockpool_delta(BIAS, 15),
        (0.2, 0.5, 0.05),
    ),
    "rockpool, delta, at most 3": (
        ROCKPOOL_LIF_DELTA,
        {"bias": 0.01, "max_spikes_per_dt": 3},
        rockpool_delta(0.01, 3),
        (0.3, 0.5, 0.0),
    ),
    "rockpool, current": (
        ROCKPOOL_LIF,
        {"bias": -0.02},
        rockpool_current(-0.02, 15),
        (0.1, 0.2, 0.02),
    ),
    "flux": (FLUX_LIF, {}, gist, (2.0, 2.0, 0.5)),
    "spytorch": (SPYTORCH_LIF, {}, spytorch, (0.02, 0.05, 0.02)),
}


@pytest.mark.parametrize(
    ("name", "precision"),
    long_but(
        [*((name, "float64") for name in CASES), ("rockpool, delta", "float32")],
        [("rockpool, delta", "float32")],
    ),
)
def test_steps_are_those_of_the_formulas(name: str, precision: str) -> None:
    neuron, more, step, (mean, std, recurrent) = CASES[name]
    net = network((P, N), neuron, given_to(neuron, **more), recurrent=recurrent > 0)
    w = weights(3, mean, std, recurrent)
    if not recurrent:
        del w["hid_to_hid"]
    backend = native(program(net, T, DT), precision=precision)
    spikes = inputs(4)
    for x, found in zip(spikes, run_native(backend, spikes, w), strict=True):
        wanted = walk(x.astype(float), w["in_to_hid"], step, w.get("hid_to_hid"))
        assert 0.005 < (wanted.spikes > 0).mean() < 0.9
        if neuron.count is not None:
            most = more.get("max_spikes_per_dt", 15)
            assert wanted.spikes.max() == most if most == 3 else wanted.spikes.max() > 2
        np.testing.assert_array_equal(found.spikes, wanted.spikes)
        tolerance = 1e-12 if precision == "float64" else 2e-5
        for state, values in wanted.states.items():
            np.testing.assert_allclose(found.states[state], values, rtol=tolerance, atol=tolerance)


# the same neuron, by equations and by its closed form as an update

TAUS = ("tau_mem", "tau_syn", "v_thresh")
WRITTEN_OUT = Neuron(
    name="lif_written_out",
    update="I = I + input\n"
    "V = V * exp(-dt / tau_mem) + I * tau_syn / (tau_mem - tau_syn)"
    " * (exp(-dt / tau_mem) - exp(-dt / tau_syn))\n"
    "I = I * exp(-dt / tau_syn)",
    threshold="V >= v_thresh",
    reset="V = v_reset",
    refractory="t_ref",
    held=("V",),
    parameters=LIF.parameters,
    meaning="lif, by the closed form of its step",
    source="tests only",
)


@cache
def both() -> tuple[NativeBackend, NativeBackend]:
    """Return the two neurons in a recurrent network of rule=surrogate."""
    own = {name: np.full(N, GIVEN[name]) for name in TAUS}
    nets = (
        network(
            (P, N), neuron, {**own, "v_reset": -0.1, "t_ref": 2 * DT}, recurrent=True, trained=TAUS
        )
        for neuron in (LIF, WRITTEN_OUT)
    )
    spikes = SpikeDerivative(values={"scale": 5.0}, detach_reset=False)
    one, other = (native(program(net, T, DT, spikes=spikes)) for net in nets)
    return one, other


@pytest.mark.long
@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 2**32 - 1),
    mean=st.floats(0.0, 1.0),
    recurrent=st.floats(0.0, 0.5),
    rate=st.floats(0.02, 0.3),
)
def test_a_closed_form_written_as_an_update_does_what_the_equations_do(
    seed: int, mean: float, recurrent: float, rate: float
) -> None:
    draw = np.random.default_rng(seed)
    own = [draw.uniform(8, 30, N), draw.uniform(2, 6, N), draw.uniform(0.4, 1.2, N)]
    w, x = weights(seed, mean, 1.0, recurrent), inputs(seed, rate)
    found = []
    for backend in both():
        backend.set("hidden_parameters", np.array(own))
        runs = run_native(backend, x, w)
        loss = backend.gradient(data_of(x), np.arange(2)).loss
        found.append((runs, loss, gradients_of(backend)))
    (runs, loss, slopes), (others, other_loss, other_slopes) = found
    for run, other in zip(runs, others, strict=True):
        np.testing.assert_array_equal(run.spikes, other.spikes)
        for state in "VI":
            np.testing.assert_allclose(
                other.states[state], run.states[state], rtol=1e-9, atol=1e-10
            )
    np.testing.assert_allclose(other_loss, loss, rtol=1e-10)
    assert slopes.keys() == other_slopes.keys()
    for key, slope in slopes.items():
        largest = np.abs(slope).max()
        np.testing.assert_allclose(other_slopes[key], slope, rtol=0, atol=1e-8 * largest + 1e-12)


def test_noise_comes_before_the_threshold_as_in_rockpool() -> None:
    noise_std, key = 1.5, 2**63 + 5  # rockpool's, per square root of a second
    net = network(
        (P, N),
        ROCKPOOL_LIF_DELTA,
        given_to(ROCKPOOL_LIF_DELTA, bias=0.01),
        recurrent=True,
        noise=noise_std / 1000**0.5,
    )
    backend, w, x = native(program(net, T, DT)), weights(3, 0.1, 0.5, 0.05), inputs(4)
    load_weights(backend, w)
    trial = backend.trial(data_of(x), 0, Noise(key=key, in_network=True))
    zeta = normal(hashes(layer_keys(key, 0, 0)[0], T, N))
    assert abs(zeta.std() - 1) < 0.02
    steps = iter(noise_std * np.sqrt(DT / 1000) * zeta)
    noiseless = rockpool_delta(0.01, 15)

    def step(state: dict[str, Array], arriving: Array) -> tuple[Array, dict[str, Array]]:
        return noiseless(state, arriving + next(steps))

    wanted = walk(x[0].astype(float), w["in_to_hid"], step, w["hid_to_hid"])
    counts = np.zeros((T, N))
    np.add.at(counts, (trial.steps[0], trial.neurons[0]), 1)
    np.testing.assert_array_equal(counts, wanted.spikes)
    np.testing.assert_allclose(trial.states[0]["V"], wanted.states["V"], rtol=1e-9, atol=1e-10)
