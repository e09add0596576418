"""Every optimiser as updates of GeNN, against NumPy: weights, delays, shared ones, parameters."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import ported
import pytest
from long import long_but
from ported import DELAYED, graph
from test_genn_graphs import both
from test_optimisers import CASES, keys_of

from snnrun.backends.base import NO_NOISE
from snnrun.compile.program import PARAMETERS
from snnrun.optimisers import optimiser_of

pytestmark = pytest.mark.genn


@pytest.mark.parametrize(
    "name", long_but(list(CASES), ["nesterov", "lion", "clipped by norm", "clipped by value"])
)
def test_updates_are_those_of_numpy(name: str) -> None:
    options = optimiser_of(keys_of(CASES[name][0]))
    program = replace(graph(**DELAYED), optimiser=options)
    backends = both(program)
    data, order = ported.data(examples=10), np.arange(10)
    rates = np.array([[0.1 if t.kind == PARAMETERS else 0.02 for t in program.tensors]] * 3)
    before = {t.name: backends[0].get(t.name) for t in program.tensors}
    for backend in backends:
        backend.train(data, order, 4, rates, 0, NO_NOISE)
    for tensor in program.tensors:
        for which in ("value", *tensor.states):
            found, wanted = (backend.get(tensor.name, which) for backend in backends)
            scale = np.abs(wanted).max()
            told = f"{tensor.name} {which}"
            np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-11 * scale, err_msg=told)
        assert (backends[0].get(tensor.name) != before[tensor.name]).any() == tensor.trained
