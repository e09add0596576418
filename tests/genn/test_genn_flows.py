"""Neurons that are not linear between spikes on GeNN's CPU backend: all is that of NumPy's."""

from __future__ import annotations

import graph_cases as graphs
import numpy as np
import pytest
from parity import genn, gradients_of
from test_flows import graph_of

from snnrun.backends.interpreter.backend import NumpyBackend
from snnrun.models.nonlinear import NONLINEAR

pytestmark = pytest.mark.genn


@pytest.mark.parametrize(
    ("name", "integrator"),
    [*((name, "exact") for name in NONLINEAR), ("adex", "rk4"), ("lif_cond", "rk2")],
)
def test_spikes_losses_and_gradients_are_those_of_numpy(name: str, integrator: str) -> None:
    program = graph_of(NONLINEAR[name]).program(integrator=integrator, refractory=1.0)
    data = graphs.data()
    backends = genn(program, [data]), NumpyBackend(program)
    for backend in backends:
        graphs.start(backend)
    found, wanted = (b.gradient(data, np.arange(3)) for b in backends)
    assert wanted.layer_spikes[:, :-1].sum(axis=0).min() > 5, "a population is silent"
    np.testing.assert_array_equal(found.neuron_spikes, wanted.neuron_spikes)
    np.testing.assert_allclose(found.loss, wanted.loss, rtol=1e-10)
    gradients, expected = map(gradients_of, backends)
    for tensor, gradient in expected.items():
        scale = np.abs(gradient).max()
        assert scale > 0, tensor
        np.testing.assert_allclose(
            gradients[tensor], gradient, rtol=0, atol=1e-10 * scale, err_msg=tensor
        )
