"""Most tests build without optimisation: in float64 without contraction it changes no bit."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from oracle import Problem
from parity import data_of, gradients_of, load_parameters, load_weights, native, program_of
from test_parity import CASES, DT, LARGE, drawn_again

from snnrun.backends.native.library import NativeBackend
from snnrun.compile.program import Program
from snnrun.models.surrogates import SpikeDerivative


def eventprop(given: Problem, name: str) -> Program:
    return program_of(given, DT, train=CASES[name].train, integrator=CASES[name].integrator)


def surrogate(given: Problem, name: str) -> Program:
    return program_of(given, DT, train=CASES[name].train, spikes=SpikeDerivative())


@pytest.mark.parametrize(
    ("name", "program"),
    [
        ("recurrent, refractory", eventprop),  # trained time constants, as a large layer
        ("two large layers", eventprop),
        ("spike times of two layers", eventprop),
        ("adaptive, peaks", surrogate),
    ],
)
def test_the_users_optimisation_has_the_bits_of_none(
    name: str, program: Callable[[Problem, str], Program]
) -> None:
    given = CASES[name].problem
    more = LARGE if CASES[name].large else ()
    plain, fast = (
        native(program(given, name), flags=(*more, level), threads=2) for level in ("-O0", "-O3")
    )
    for seed in (20, 21):
        case = drawn_again(given, seed)
        found = [bits(backend, case) for backend in (plain, fast)]
        assert found[0] == found[1]


def bits(backend: NativeBackend, case: Problem) -> dict[str, bytes]:
    load_weights(backend, case.weights)
    load_parameters(backend, case)
    results = backend.gradient(data_of(case, DT), np.arange(len(case.examples)))
    assert results.neuron_spikes.sum() > 0
    gradients = {name: array.tobytes() for name, array in gradients_of(backend).items()}
    trial = backend.trial(data_of(case, DT), 0)
    states = {
        f"{name} of {layer}": array.tobytes()
        for layer, found in enumerate(trial.states)
        for name, array in found.items()
    }
    return {"loss": results.loss.tobytes(), **gradients, **states}
