"""GeNN's CPU backend does what tests/reference.py and the native backend do, number by number."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
import pytest
import reference
import test_parity
from oracle import Problem
from parity import data_of, genn, gradients_of, load_parameters, load_weights, native, program_of
from test_parity import (
    CASES,
    DT,
    EXAMPLES,
    SPIKE_TIMES,
    assert_close,
    drawn_again,
    early,
    with_late_events,
)

from snnrun.backends.base import Noise
from snnrun.backends.genn.backend import GennBackend
from snnrun.datasets.spikes import SpikeData

pytestmark = pytest.mark.genn


@cache
def built(name: str, *, pipeline: bool = False, precision: str = "float64") -> GennBackend:
    one = CASES[name]
    program = program_of(one.problem, DT, train=one.train, integrator=one.integrator)
    return genn(
        program, [data_of(one.problem, DT)], pipeline=pipeline, precision=precision, traced=True
    )


def loaded(name: str, given: Problem) -> GennBackend:
    backend = built(name)
    load_weights(backend, given.weights)
    load_parameters(backend, given)
    return backend


def assert_equal(name: str, given: Problem) -> list[reference.Result]:
    """Hold GeNN against the reference as the native backend is held."""
    return test_parity.assert_equal(name, given, loaded)


@pytest.mark.parametrize("name", CASES)
def test_spikes_losses_and_gradients_are_those_of_the_reference(name: str) -> None:
    given = CASES[name].problem
    results = assert_equal(name, given)
    assert all(count.any() for result in results for count in result.counts[:-1])
    for seed in range(20, 22):
        assert_equal(name, drawn_again(given, seed))


@pytest.mark.parametrize("name", CASES)
def test_spikes_of_the_last_steps_are_those_of_the_reference(name: str) -> None:
    results = assert_equal(name, with_late_events(CASES[name].problem))
    assert any(tape.spikes[-1].any() for result in results for tape in result.tapes)


@pytest.mark.parametrize("name", SPIKE_TIMES)
def test_silent_outputs_are_those_of_the_reference(name: str) -> None:
    given = with_late_events(CASES[name].problem)
    weights = np.array(given.weights["hid_to_out"])
    weights[:, given.labels[0]] *= 0.02
    problem = Problem(**{**vars(given), "weights": {**given.weights, "hid_to_out": weights}})
    results = assert_equal(name, problem)
    assert results[0].counts[-1][given.labels[0]] == 0


@pytest.mark.parametrize("name", ["recurrent, refractory", "two large layers", "euler"])
def test_examples_without_input_and_events_in_one_step_are_those_of_the_reference(
    name: str,
) -> None:
    given = CASES[name].problem
    first, second, third, _ = given.examples
    twice = tuple(sorted((*second, *second[::2], *second[:3])))  # some channels twice or more
    at_once = tuple((0.0, channel) for _, channel in third)
    examples = ((), first, twice, at_once)
    assert_equal(name, Problem(**{**vars(given), "examples": examples}))


@pytest.mark.parametrize("name", ["recurrent, refractory", "adaptive, two layers", "driven"])
def test_recorded_trials_are_those_of_the_native_backend(name: str) -> None:
    given = CASES[name].problem
    data, one = data_of(given, DT), CASES[name]
    other = native(program_of(given, DT, train=one.train, integrator=one.integrator))
    load_weights(other, given.weights)
    load_parameters(other, given)
    for dropout in (0.0, 0.3):
        for example in range(EXAMPLES):
            a, b = (
                x.trial(data, example, Noise(dropout=dropout, key=99))
                for x in (loaded(name, given), other)
            )
            np.testing.assert_array_equal(a.input_steps, b.input_steps)
            np.testing.assert_array_equal(a.input_channels, b.input_channels)
            assert a.prediction == b.prediction
            assert a.loss == pytest.approx(b.loss, rel=1e-12)
            assert_same_spikes(a.steps, b.steps)
            assert_same_spikes(a.neurons, b.neurons)
            for mine, theirs in zip(a.states, b.states, strict=True):
                assert mine.keys() == theirs.keys()
                for state, trace in mine.items():
                    np.testing.assert_allclose(trace, theirs[state], rtol=1e-9, atol=1e-12)


def assert_same_spikes(one: Sequence[np.ndarray], other: Sequence[np.ndarray]) -> None:
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("name", ["recurrent, refractory", "adaptive, peaks", "driven"])
def test_gradients_with_dropout_are_those_of_the_native_backend(name: str) -> None:
    given, one = CASES[name].problem, CASES[name]
    backends = [loaded(name, given), native(program_of(given, DT, train=one.train))]
    load_weights(backends[1], given.weights)
    load_parameters(backends[1], given)
    data = data_of(given, DT)
    for backend in backends:
        backend.gradient(data, np.arange(EXAMPLES), Noise(dropout=0.4, key=2**63 + 12345))
    assert_close(*(gradients_of(backend) for backend in backends))


def test_nothing_of_a_trial_is_left_in_the_next_one() -> None:
    name = "recurrent, refractory"
    given = with_late_events(CASES[name].problem)  # spikes on their way when the trial ends
    backend, data = loaded(name, given), data_of(given, DT)

    def run(example: int) -> tuple[bytes, ...]:
        loss = backend.gradient(data, np.array([example])).loss.tobytes()
        return (loss, *(g.tobytes() for g in gradients_of(backend).values()))

    alone = run(1)
    for other in (0, 2, 3):
        run(other)
        assert run(1) == alone
    backend.evaluate(data, np.array([0]))
    backend.trial(data, 2)
    assert run(1) == alone


def test_data_sets_take_turns_on_the_device_and_grow() -> None:
    name = "constants"
    given = CASES[name].problem
    backend, data = loaded(name, given), data_of(given, DT)
    expected = backend.evaluate(data, np.arange(EXAMPLES)).loss
    larger = Problem(
        **{**vars(given), "examples": given.examples * 5, "labels": tuple(given.labels) * 5}
    )
    many: SpikeData = data_of(larger, DT)
    order = np.arange(5 * EXAMPLES)
    for _ in range(2):  # the second time both are there
        np.testing.assert_array_equal(backend.evaluate(many, order).loss, np.tile(expected, 5))
        np.testing.assert_array_equal(backend.evaluate(data, order[:EXAMPLES]).loss, expected)


# float32 has an epsilon of 1.2e-7, which S / D at a flat crossing magnifies a few hundred times
@pytest.mark.parametrize("name", ["recurrent, refractory", "adaptive, peaks", "driven"])
def test_float32_differs_by_its_rounding_where_spikes_agree(name: str) -> None:
    one, single, same = CASES[name], built(name, precision="float32"), 0
    for given in (drawn_again(one.problem, seed) for seed in range(20, 24)):
        double, data = loaded(name, given), data_of(given, DT)
        load_weights(single, given.weights)
        load_parameters(single, given)
        for e in range(EXAMPLES):
            results = [b.evaluate(data, np.array([e])) for b in (double, single)]
            if (results[0].neuron_spikes != results[1].neuron_spikes).any():
                continue
            same += 1
            for backend in (double, single):
                backend.gradient(data, np.array([e]))
            assert_close(gradients_of(single), gradients_of(double), tolerance=1e-4)
    assert same >= 12


@pytest.mark.parametrize("name", ["subtracted, refractory", "adaptive, spike times"])
def test_short_input_is_that_of_the_reference(name: str) -> None:
    assert_equal(name, early(CASES[name].problem))
