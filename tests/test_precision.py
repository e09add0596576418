"""float32 keeps the digits that its numbers have, as float64 of the same weights shows.

Weights that differ by a rounding error of float32, relative 6e-8, change these gradients by about
1e-6; so may float32.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from parity import gradients_of, native
from runs import small

from snnrun.backends.base import NO_NOISE, Backend
from snnrun.backends.interpreter.backend import NumpyBackend
from snnrun.compile.program import Program
from snnrun.datasets import load
from snnrun.datasets.spikes import SpikeData
from snnrun.network.build import initial_weights
from snnrun.run import build_program

FIRST = np.array([0])


def made(**keys: Any) -> tuple[Program, SpikeData, dict[str, np.ndarray]]:
    """Return a program of a small network, its data, and weights that float32 holds."""
    config = small(**keys)
    splits = load(config)
    program = build_program(config, splits)
    weights = initial_weights(program.network, config.MODEL_SEED)
    return program, splits.train.data, {k: rounded(np.asarray(w)) for k, w in weights.items()}


def rounded(array: np.ndarray) -> np.ndarray:
    return array.astype(np.float32).astype(float)


def assert_digits_kept(
    backends: tuple[Backend, Backend],
    data: SpikeData,
    weights: Mapping[str, np.ndarray],
    tolerance: float = 3e-5,
) -> float:
    """Hold loss and gradient of an example in float32 against float64; return the loss."""
    found = []
    for backend in backends:
        for name, array in weights.items():
            backend.set(name, array)
        found.append((backend.gradient(data, FIRST), gradients_of(backend)))
    (wanted, exact), (results, gradients) = found
    np.testing.assert_array_equal(results.neuron_spikes, wanted.neuron_spikes)
    assert results.loss[0] == pytest.approx(wanted.loss[0], rel=tolerance)
    for name, array in exact.items():
        assert np.linalg.norm(gradients[name] - array) <= tolerance * np.linalg.norm(array), name
    return float(wanted.loss[0])


def test_a_softmax_summed_over_thousands_of_steps_keeps_its_digits() -> None:
    program, data, weights = made(
        LOSS_TYPE="sum_softmax",
        TRIAL_MS=1000.0,
        **{"rule.name": "surrogate", "dataset.input_ms": 900.0},
    )
    assert program.steps == 5000
    weights["in_to_hid"] = rounded(weights["in_to_hid"] * 3)
    weights["hid_to_out"] = rounded(weights["hid_to_out"] * 1e-3)  # all shares are almost a third
    assert_digits_kept((NumpyBackend(program), native(program, precision="float32")), data, weights)


def test_what_is_left_to_learn_from_an_example_that_is_right_keeps_its_digits() -> None:
    program, data, weights = made(LOSS_TYPE="avg_xentropy", LOSS_WINDOW=[15.0, 30.0])
    backends = NumpyBackend(program), native(program, precision="float32")
    label = int(data.labels[0])
    losses = []
    for factor in (2.0, 2.5, 3.0, 4.0):
        outputs = np.array(weights["hid_to_out"])
        outputs[:, label] *= factor
        more = {"in_to_hid": rounded(weights["in_to_hid"] * 3), "hid_to_out": rounded(outputs)}
        losses.append(assert_digits_kept(backends, data, more))
    assert max(losses) < 1e-3
    assert min(losses) < 1e-8


def test_adam_corrects_a_mean_by_the_decay_that_it_has() -> None:
    program, data, weights = made(DT_MS=1.0, LOSS_TYPE="sum", ADAM_BETA2=0.999999)
    rates, steps = np.full((1, len(program.tensors)), 1e-2), []
    for backend in (NumpyBackend(program), native(program, precision="float32")):
        for name, array in weights.items():
            backend.set(name, array)
        backend.train(data, np.arange(20), 20, rates, 0, NO_NOISE)
        steps.append({name: backend.get(name) - array for name, array in weights.items()})
    wanted, found = steps
    for name, step in wanted.items():
        assert np.linalg.norm(found[name] - step) < 1e-4 * np.linalg.norm(step), name
