"""network.layers on GeNN's CPU backend: gradients are those of the native backend."""

from __future__ import annotations

import numpy as np
import pytest
from parity import genn, gradients_of, load_weights, native
from test_layers import layered

from snnrun.datasets import load
from snnrun.network.build import initial_weights
from snnrun.run import build_program

pytestmark = pytest.mark.genn


def test_layers_that_differ_have_the_gradients_of_the_native_backend() -> None:
    config = layered(LOSS_TYPE="sum")
    splits = load(config)
    program = build_program(config, splits)
    backends = genn(program, [splits.train.data]), native(program)
    examples = np.arange(4)
    for backend in backends:
        load_weights(backend, initial_weights(program.network, 1))
        backend.gradient(splits.train.data, examples)
    found, wanted = map(gradients_of, backends)
    assert found.keys() == wanted.keys()
    assert not found.pop("up").any()  # frozen
    assert not wanted.pop("up").any()
    for name, gradient in wanted.items():
        assert np.abs(gradient).max() > 0, name
        np.testing.assert_allclose(
            found[name], gradient, rtol=0, atol=1e-9 * np.abs(gradient).max(), err_msg=name
        )
