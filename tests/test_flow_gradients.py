"""Gradients of neurons that are not linear: exact in continuous time, and exact step by step."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from snnrun.backends.interpreter.backend import NumpyBackend
from snnrun.models.declare import Neuron, Parameter
from snnrun.models.neurons import LIF, T_REF, TAU_MEM, TAU_SYN, V_RESET, V_THRESH
from snnrun.models.nonlinear import NONLINEAR
from snnrun.testing import check_model
from tests import graph_cases as graphs
from tests.exact_adjoint import STENCIL, ExactAdjoint, differences, make_problem
from tests.long import long_but
from tests.test_flows import EXPONENTIAL, STEPPED, named

LIMIT = 1e-9  # relative difference of exact gradients, in the norm of a tensor


def assert_exact(neuron: Neuron) -> None:
    problem = make_problem(neuron, seed=0)
    found = ExactAdjoint(problem).gradients()
    expected = differences(problem, found)
    for name, gradient in expected.items():
        error, length = np.linalg.norm(found[name] - gradient), np.linalg.norm(gradient)
        assert error <= LIMIT * length, f"{name}: {error:.1e} of {length:.1e}"


@pytest.mark.parametrize("name", long_but(NONLINEAR, ["qif"]))
def test_the_derived_jump_makes_exact_gradients_of_spike_times(name: str) -> None:
    assert_exact(NONLINEAR[name])


@st.composite
def smooth_neurons(draw: st.DrawFn) -> Neuron:
    """Return a neuron with an upstroke of some kind, and a slow state that acts on it."""
    upstroke = draw(st.sampled_from(["V ** 2", "V ** 4", "exp(3 * (V - 1))", "tanh(2 * V)"]))
    pull = draw(st.sampled_from(["W", "W * V", "tanh(W)"]))
    slow = draw(st.sampled_from(["V ** 2 - W", "tanh(V) - W", "V / (1 + V ** 2) - W"]))
    threshold = draw(st.sampled_from(["v_thresh", "v_thresh + W / 4"]))
    reset = draw(st.sampled_from(["v_reset", "V - v_thresh", "v_reset + tanh(W) / 8"]))
    jump = draw(st.sampled_from(["W + b", "W + b * V ** 2", "b + W / (1 + W ** 2)"]))
    defaults = {name: draw(st.floats(0.1, 0.5)) for name in "ab"}
    return Neuron(
        name="drawn",
        equations=f"""
            dV/dt = (a * {upstroke} - {pull} - V + I) / tau_mem
            dI/dt = -I / tau_syn
            dW/dt = ({slow}) / tau_w
        """,
        threshold=f"V >= {threshold}",
        reset=f"""
            V = {reset}
            W = {jump}
        """,
        refractory="t_ref",
        held=draw(st.sampled_from([("V",), ("V", "W")])),
        parameters=(
            *(TAU_MEM, TAU_SYN, V_THRESH, V_RESET, T_REF),
            *(
                Parameter(name=name, default=value, unit="1", meaning="drawn")
                for name, value in defaults.items()
            ),
            Parameter(name="tau_w", default=30.0, unit="ms", meaning="of W", positive=True),
        ),
        meaning="a neuron that was drawn",
        source="drawn at random",
    )


@pytest.mark.long
@settings(max_examples=3, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(smooth_neurons())
def test_gradients_of_neurons_that_were_drawn_are_exact_and_approached(neuron: Neuron) -> None:
    assert_exact(neuron)
    check_model(neuron)


def without_spikes(neuron: Neuron) -> Neuron:
    equations = [*neuron.system.rates, *neuron.system.initial.values()]
    used = {s.name for equation in equations for s in equation.free_symbols}
    parameters = tuple(p for p in neuron.parameters if p.name in used)
    return replace(
        neuron, threshold=None, reset="", refractory=None, held=(), parameters=parameters
    )


@pytest.mark.parametrize(
    ("name", "integrator"), long_but(STEPPED, [("adex", EXPONENTIAL), ("lif_cond", "rk4")], named)
)
def test_the_way_back_of_a_step_is_its_derivative(name: str, integrator: str) -> None:
    readout = without_spikes(NONLINEAR[name])
    ports = [
        {"ends": "first-output", "port": port, "mean": 0.1, "std": 0.1} for port in readout.ports
    ]
    populations = [("first", 5, LIF), ("output", graphs.CLASSES, readout)]
    graph = graphs.Graph(populations, [{"ends": "input-first"}, *ports], trained=readout.trainable)
    backend, data = NumpyBackend(graph.program(integrator=integrator)), graphs.data()
    graphs.start(backend)
    assert backend.gradient(data, np.arange(3)).layer_spikes.sum() > 10
    for tensor, gradient in graphs.gradients(backend).items():
        if tensor.startswith(("input", "first_parameters")):
            continue  # they move spikes
        start = backend.get(tensor)
        direction = np.random.default_rng(0).choice([-1.0, 1.0], start.shape)
        direction *= 2e-3 * np.abs(start).max(axis=1, keepdims=True)

        def loss(moved: np.ndarray, name: str = tensor) -> float:
            backend.set(name, moved)
            return float(backend.evaluate(data, np.arange(3)).loss.mean())

        slope = sum(
            factor * (loss(start + distance * direction) - loss(start - distance * direction))
            for distance, factor in STENCIL.items()
        )
        backend.set(tensor, start)
        assert (gradient * direction).sum() == pytest.approx(slope, rel=LIMIT), tensor
