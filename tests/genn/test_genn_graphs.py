"""Networks as graphs on GeNN's CPU backend: everything is that of the NumPy backend."""

from __future__ import annotations

from typing import Any

import graphs
import numpy as np
import pytest
from graphs import EXAMPLES, graph
from parity import genn, gradients_of

from snnrun.backends.base import Adam, Backend, Results
from snnrun.backends.interpreter.backend import NumpyBackend
from snnrun.compile.program import Program

pytestmark = pytest.mark.genn
ADAM = Adam(beta1=0.8, beta2=0.95, epsilon=1e-8, delay_rate=0.3)
RATES = np.array([0.01, 0.02, 0.015])


def both(program: Program, **settings: Any) -> tuple[Backend, Backend]:
    """Return GeNN's and NumPy's backend with the same weights."""
    backends = genn(program, [graphs.data()], **settings), NumpyBackend(program)
    for backend in backends:
        graphs.load_weights(backend)
    return backends


def assert_same(backends: tuple[Backend, Backend], tolerance: float = 1e-12) -> None:
    """Compare losses, spikes and gradients of several examples, one by one and together."""
    data = graphs.data()
    for examples in ([0], [1], [2], [3], range(EXAMPLES)):
        found, wanted = (b.gradient(data, np.array(examples)) for b in backends)
        assert_same_results(found, wanted, tolerance)
        assert (wanted.layer_spikes[:, :2] > 3).all()
        gradients, expected = map(gradients_of, backends)
        assert gradients.keys() == expected.keys()
        for name, gradient in expected.items():
            scale = np.abs(gradient).max()
            assert scale > 0, name
            np.testing.assert_allclose(
                gradients[name], gradient, rtol=0, atol=tolerance * scale, err_msg=name
            )


def assert_same_results(found: Results, wanted: Results, tolerance: float = 1e-12) -> None:
    np.testing.assert_array_equal(found.layer_spikes, wanted.layer_spikes)
    np.testing.assert_array_equal(found.neuron_spikes, wanted.neuron_spikes)
    np.testing.assert_array_equal(found.prediction, wanted.prediction)
    np.testing.assert_allclose(found.loss, wanted.loss, rtol=tolerance)


def assert_same_updates(backends: tuple[Backend, Backend]) -> None:
    """Compare what three updates make of all tensors."""
    data, order = graphs.data(examples=10), np.arange(10)[::-1].copy()
    before = {t.name: backends[0].get(t.name) for t in backends[0].program.tensors}
    found, wanted = (b.train(data, order, 4, RATES, ADAM, 3, graphs.DROPOUT) for b in backends)
    assert_same_results(found, wanted, 1e-10)
    for tensor in backends[0].program.tensors:
        for which in ("value", "first", "second"):
            one, other = (b.get(tensor.name, which) for b in backends)
            name = f"{tensor.name} {which}"
            np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-13, err_msg=name)
        assert (backends[0].get(tensor.name) != before[tensor.name]).any() == tensor.trained


@pytest.mark.parametrize("loss", ["sum", "max", "first_spike_exp"])
def test_feedback_skips_and_ports_are_those_of_numpy(loss: str) -> None:
    backends = both(graph(loss))
    assert_same(backends)
    assert_same_updates(backends)
