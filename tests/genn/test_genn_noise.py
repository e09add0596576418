"""Noise and spike dropout on GeNN's CPU backend: draws, spikes and gradients of the reference."""

from __future__ import annotations

import numpy as np
import pytest
import reference
from draws import disturbances
from parity import data_of, genn, gradients_of, load_parameters, load_weights, program_of
from reference_models import V
from test_noise import CASES, EXAMPLES, KEY
from test_parity import DT, assert_close

from snnrun.backends.base import Noise

pytestmark = pytest.mark.genn


@pytest.mark.parametrize(
    "name", ["both", "noise", "adaptive, two layers", "subtracted, refractory"]
)
@pytest.mark.parametrize("pipeline", [False, True])
def test_spikes_and_gradients_are_those_of_the_reference(name: str, pipeline: bool) -> None:
    one, noise, spike_dropout = CASES[name]
    given = one.problem
    data, maps, results = data_of(given, DT), reference.step_maps(given, DT), []
    program = program_of(given, DT, train=one.train, noise=noise, spike_dropout=spike_dropout)
    backend = genn(program, [data], pipeline=pipeline, traced=True)
    load_weights(backend, given.weights)
    load_parameters(backend, given)
    for e in EXAMPLES:
        drawn = disturbances(program, KEY, int(e))
        wanted = reference.gradient(given, DT, int(e), maps, disturbances=drawn)
        found = backend.gradient(data, np.array([e]), Noise(key=KEY, in_network=True))
        np.testing.assert_array_equal(found.neuron_spikes, np.concatenate(wanted.counts))
        assert found.loss[0] == pytest.approx(wanted.loss, rel=1e-11)
        assert_close(gradients_of(backend), wanted.gradients)
        trial = backend.trial(data, int(e), Noise(key=KEY, in_network=True))
        for layer, tape in enumerate(wanted.tapes):
            np.testing.assert_allclose(trial.states[layer]["V"], tape.stepped[:, V], atol=1e-11)
        results.append(wanted)
    backend.gradient(data, EXAMPLES, Noise(key=KEY, in_network=True))
    assert_close(gradients_of(backend), reference.mean_gradients(results))
    undisturbed = reference.gradient(given, DT, 0, maps)
    assert backend.evaluate(data, EXAMPLES[:1]).loss[0] == pytest.approx(
        undisturbed.loss, rel=1e-11
    )
    backend.gradient(data, EXAMPLES[:1])
    assert_close(gradients_of(backend), undisturbed.gradients)
