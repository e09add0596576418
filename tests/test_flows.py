"""Neurons that are not linear between spikes: steps, gradients, backends."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mpmath import mp

from snnrun.backends.interpreter.backend import NumpyBackend
from snnrun.compile.growth import growth_of, slope_of
from snnrun.compile.integrators import EXPONENTIAL, RUNGE_KUTTA
from snnrun.config import from_dict
from snnrun.errors import ModelError
from snnrun.models.declare import Neuron
from snnrun.models.neurons import LI, NEURON_TYPES
from snnrun.models.nonlinear import IZHIKEVICH, LIF_COND, NONLINEAR
from snnrun.record import load_run
from snnrun.run import train
from snnrun.testing import check_model
from snnrun.testing.equations import Equations
from snnrun.testing.grid import BuildOptions
from tests import graph_cases as graphs
from tests.long import long_but
from tests.parity import native
from tests.runs import SMALL, assert_same_run

ORDERS = {"euler": 1, EXPONENTIAL: 1, "rk2": 2, "rk4": 4}
STEPPED = [(neuron, integrator) for neuron in NONLINEAR for integrator in ORDERS]
RULES = ("eventprop", "surrogate")


def named(case: tuple[str, str]) -> str:
    return "-".join(case)


def values_of(neuron: Neuron) -> dict[str, np.ndarray]:
    return {p.name: np.full((1, 1), p.default) for p in neuron.parameters}


@pytest.mark.parametrize(("name", "integrator"), long_but(STEPPED, STEPPED[::5], named))
def test_an_integrator_has_its_order(name: str, integrator: str) -> None:
    neuron = NONLINEAR[name]
    equations, values = Equations(neuron), values_of(neuron)
    x = equations.start(values) + 0.3
    populations = [("first", 5, neuron), ("output", graphs.CLASSES, LI)]
    small = graphs.Graph(populations, [{"ends": "input-first"}, {"ends": "first-output"}])
    flow, errors = equations.flow(values), []
    for dt in (0.1, 0.05):
        exact = flow.path(x).at(np.full((1, 1), dt))[0, 0]
        program = small.program(integrator=integrator, dt=dt)
        neurons = NumpyBackend(program)._passes.layers[0].neurons
        after = neurons.advance(np.repeat(x.T, 5, axis=2))[:, 0, 0]
        errors.append(np.abs(after - exact).max())
    assert np.log2(errors[0] / errors[1]) == pytest.approx(ORDERS[integrator] + 1, abs=0.15)


def test_the_integrators_of_the_configuration_are_those_that_there_are() -> None:
    assert {*RUNGE_KUTTA, EXPONENTIAL} == set(ORDERS)


@pytest.mark.parametrize("z", [-40.0, -0.51, -0.49, -1e-3, -1e-9, 0.0, 1e-300, 1e-5, 0.2, 0.5, 7.0])
def test_growth_is_exact_to_rounding(z: float) -> None:
    with mp.workdps(60):
        exact = mp.expm1(z) / z if z else mp.mpf(1)
        slope = (mp.exp(z) - exact) / z if abs(z) > 1e-30 else mp.mpf(1) / 2
    assert float(growth_of(z)) == pytest.approx(float(exact), rel=4e-16)
    assert float(slope_of(z)) == pytest.approx(float(slope), rel=2e-15)


def graph_of(neuron: Neuron) -> graphs.Graph:
    """Return two populations of a neuron, one of which feeds back, by each of its ports."""
    scale = 5.0 if neuron is IZHIKEVICH else 0.6 if neuron is LIF_COND else 1.5
    ports: list[dict[str, Any]] = [{}, *({"port": port} for port in neuron.other_inputs)]
    ends = {"input-first": 0.6, "first-first": 0.2, "first-second": 1.0}
    projections: list[dict[str, Any]] = [
        {"ends": pair, "mean": scale * mean, "std": 0.3 * scale, **port}
        for pair, mean in ends.items()
        for port in ports
    ]
    projections[0]["delays"] = graphs.AXONAL
    populations = [("first", 5, neuron), ("second", 4, neuron), ("output", graphs.CLASSES, LI)]
    return graphs.Graph(
        populations, [*projections, {"ends": "second-output"}], trained=neuron.trainable
    )


COMPARED = [  # any two of them meet
    (name, integrator, RULES[(i + j + 1) % 2])
    for i, name in enumerate(NONLINEAR)
    for j, integrator in enumerate(ORDERS)
]


@pytest.mark.parametrize(
    ("name", "integrator", "rule"),
    long_but(
        COMPARED, [("lif_cond", EXPONENTIAL, "eventprop"), ("qif", "rk4", "eventprop")], "-".join
    ),
)
def test_native_and_numpy_agree(name: str, integrator: str, rule: str) -> None:
    program = graph_of(NONLINEAR[name]).program(
        surrogate=rule == "surrogate", integrator=integrator, refractory=1.0
    )
    data, found = graphs.data(), []
    for backend in (NumpyBackend(program), native(program)):
        graphs.start(backend)
        results = backend.gradient(data, np.arange(3))
        found.append((results, graphs.gradients(backend)))
    (expected, gradients), (results, own) = found
    assert expected.layer_spikes[:, :-1].sum(axis=0).min() > 5, "a population is silent"
    np.testing.assert_array_equal(results.neuron_spikes, expected.neuron_spikes)
    np.testing.assert_allclose(results.loss, expected.loss, rtol=1e-9)
    for tensor, gradient in gradients.items():
        assert np.abs(gradient).max() > 0, tensor
        np.testing.assert_allclose(
            own[tensor], gradient, rtol=1e-9, atol=1e-9 * np.abs(gradient).max(), err_msg=tensor
        )


@pytest.mark.long
@pytest.mark.parametrize("name", NONLINEAR)
def test_gradients_are_those_of_the_exact_simulation(name: str) -> None:
    steps = (0.01, 0.002, 0.0004) if name == "izhikevich" else None  # its upstroke takes 0.2 ms
    check_model(NONLINEAR[name], dts=steps, options=BuildOptions(backend="native"))


TYPES = [name for name, (neuron, _) in NEURON_TYPES.items() if neuron.name in NONLINEAR]


@pytest.mark.parametrize("name", long_but(TYPES, ["AdEx"]))
def test_a_run_trains_and_goes_on_to_the_same_bits(name: str, tmp_path: Path) -> None:
    strong = {"INPUT_HIDDEN_MEAN": 5.0, "INPUT_HIDDEN_STD": 1.25} if name == "Izhikevich" else {}
    keys = {**SMALL, **strong, "HIDDEN_NEURON_TYPE": name, "TRAIN_TAU": name != "Izhikevich"}
    train(from_dict({**keys, "N_EPOCH": 2}), tmp_path / "whole")
    train(from_dict({**keys, "N_EPOCH": 1}), tmp_path / "half")
    train(from_dict({**keys, "N_EPOCH": 2}), tmp_path / "half", resume=True)
    assert_same_run(tmp_path / "half", tmp_path / "whole")
    assert load_run(tmp_path / "whole").epochs["spikes_per_neuron/hidden"].min() > 0


def test_an_integrator_without_effect_is_refused() -> None:
    message = "network.integrator=rk4: has no effect, as all neurons are linear between spikes"
    with pytest.raises(ModelError, match=message):
        graphs.GRAPHS["skip"].program(integrator="rk4")
