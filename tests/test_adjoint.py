"""Gradients of the native backend against finite differences of the exact simulation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import oracle
import pytest
from long import long_but
from oracle import Problem
from parity import MODELS, data_of, gradients_of, load_parameters, load_weights, native, program_of
from test_reference import CASES

DTS = (0.05, 0.002)  # ms; each is a build, so tests/test_reference.py has more cases and steps
CHOSEN = {  # every loss, and every mechanism of the spiking neurons
    name: CASES[name]
    for name in (
        "lif, sum_weigh_exp, recurrent",
        "lif, sum_weigh_linear, v_reset below 0",
        "lif, sum_weigh_sigmoid, recurrent, two layers",
        "lif, relative_mse",
        "lif, sum_weigh_input, recurrent",
        "lif, max, two layers",
        "lif_subtract, first_spike_exp, recurrent",
        "alif, first_spike, two layers, v_reset below 0",
        "refractory alif, avg_xentropy, recurrent",
        "lif with tau_syn = tau_mem, sum",
    )
}
CHOSEN["lif, first_spike_wp"] = replace(
    CASES["lif, first_spike"], loss=oracle.Loss(name="first_spike_wp")
)

SOME = ("lif, sum_weigh_exp, recurrent",)


def trained_parameters(problem: Problem) -> tuple[str, ...]:
    """Return the parameters that any layer of the problem can train."""
    names = [name for layer in problem.layers for name in MODELS[layer.model].trainable]
    return tuple(dict.fromkeys(names))


@pytest.mark.parametrize("name", long_but(CHOSEN, SOME))
@pytest.mark.long
def test_gradients_converge_in_first_order_to_the_exact_ones(name: str) -> None:
    case = CHOSEN[name]
    exact = oracle.finite_differences(case)
    # a spike moves by half a step on average; the largest V moves by a step where it is a cusp
    per_ms = 4.0 if case.loss.name == "max" else 2.0
    for dt in DTS:
        program = program_of(case, dt, train=trained_parameters(case))
        # what is checked is what was derived: unoptimised builds take half the time
        backend, data = native(program), data_of(case, dt)
        load_weights(backend, case.weights)
        load_parameters(backend, case)
        spikes = backend.evaluate(data, np.array([0])).neuron_spikes
        np.testing.assert_array_equal(spikes, np.concatenate(exact.counts))
        found = backend.gradient(data, np.array([0]))
        assert abs(found.loss[0] - exact.loss) < 1.0 * dt
        gradients = gradients_of(backend)
        assert len(gradients) == len(exact.gradients) - sum(
            "b_init" in layer.parameters for layer in case.layers
        )
        for key, gradient in gradients.items():
            numeric = exact.gradients[key]
            length = np.linalg.norm(numeric)
            error = np.linalg.norm(gradient - numeric)
            assert error < per_ms * dt * (length if length > 1e-9 else 1.0), key
