"""The native backend in float64, without contraction, does what tests/reference.py says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import pytest
import reference
from long import long_but
from oracle import Problem, problem
from parity import (
    LARGE,
    TAUS,
    data_of,
    gradients_of,
    load_parameters,
    load_weights,
    native,
    program_of,
)

from snnrun.backends.base import Backend
from snnrun.backends.native.library import NativeBackend

DT = 0.1  # ms
EXAMPLES = 4
ALL = (*TAUS, "v_thresh", "v_reset")
# The passes multiply and add the same numbers, but sums over synapses and over steps go in another
# order, and propagators are the same exponential by another series: last bits differ, and the loss
# of digits in S / D and in sums over 240 steps magnifies that by a few hundred.
TOLERANCE = 1e-10


@dataclass(frozen=True)
class Case:
    """A problem and how it is compiled; the others of ``seeds`` run in the same program."""

    problem: Problem
    train: tuple[str, ...] = ()
    integrator: str = "exact"
    large: bool = False  # it learns as large layers do


def case(
    model: str,
    loss: str,
    *,
    train: tuple[str, ...] = (),
    integrator: str = "exact",
    large: bool = False,
    **more: object,
) -> Case:
    settings: dict = {"examples": EXAMPLES, "seed": 3, **more}
    given = problem(model, loss, **settings)
    return Case(given if "v_thresh" in train else one_threshold(given), train, integrator, large)


def one_threshold(given: Problem) -> Problem:
    """Return the problem with all thresholds 1: then a trial may end before its last step."""
    layers = [
        replace(x, parameters={**x.parameters, "v_thresh": np.ones(x.size)})
        if "v_thresh" in x.parameters
        else x
        for x in given.layers
    ]
    return replace(given, layers=tuple(layers))


# Every model with and without recurrence, refractory period and second layer; every loss; sizes
# below a register, beyond one, and (140 neurons) beyond a block; constants, parameters that differ,
# and trained ones. Plain numbers are folded into the program, others are loaded.
CASES = {
    "constants": case("lif", "sum", spread=0.0),
    "recurrent, refractory": case(
        "lif", "sum_weigh_exp", recurrent=True, t_ref=1.5, train=TAUS, sizes=(5, 11, 3), large=True
    ),
    "two large layers": case(
        "lif_subtract", "sum_weigh_linear", recurrent=True, hidden_layers=2, sizes=(9, 140, 20)
    ),
    "adaptive, two layers": case(
        "alif", "sum_weigh_sigmoid", hidden_layers=2, train=ALL, large=True
    ),
    "adaptive, peaks": case("alif", "max", recurrent=True, train=(*ALL, "tau_b", "b_incr")),
    "peaks of two layers": case(
        "lif", "max", hidden_layers=2, parameters={"v_reset": -0.3}, spread=0.0, seed=16, large=True
    ),
    "driven": case(
        "lif_rest",
        "avg_xentropy",
        recurrent=True,
        t_ref=1.0,
        parameters={"v_reset": 0.2},
        train=(*ALL, "v_rest"),
    ),
    "driven, constants": case("lif_rest", "sum", spread=0.0, t_ref=0.5, sizes=(5, 21, 17)),
    "wide, refractory": case(
        "lif_subtract", "avg_xentropy", t_ref=2.0, train=TAUS, sizes=(5, 140, 3), large=True
    ),
    "subtracted, refractory": case("lif_subtract", "avg_xentropy", t_ref=2.0, train=TAUS),
    "adaptive, spike times": case("alif", "first_spike", recurrent=True, t_ref=1.0, train=ALL),
    "spike times of two layers": case(
        "lif", "first_spike_exp", hidden_layers=2, parameters={"v_reset": -0.3}, spread=0.0
    ),
    "spikes that matter only": case(
        "lif_subtract", "first_spike_wp", recurrent=True, hidden_layers=2, train=TAUS
    ),
    "lags of spike times": case("lif", "relative_mse", hidden_layers=2, recurrent=True, train=ALL),
    "lags of two outputs": case("alif", "relative_mse", t_ref=1.0, sizes=(5, 9, 2), seed=5),
    "input's activity": case("lif", "sum_weigh_input", recurrent=True, t_ref=1.5, train=TAUS),
    "input's activity, 35 outputs": case(
        "alif", "sum_weigh_input", hidden_layers=2, sizes=(5, 11, 35), integrator="euler"
    ),
    "lags of 35 outputs": case(
        "lif_subtract", "relative_mse", recurrent=True, sizes=(9, 40, 35), spread=0.0, large=True
    ),
    "euler": case("lif", "sum", recurrent=True, train=TAUS, integrator="euler"),
}


SOME = ("recurrent, refractory", "adaptive, peaks", "spike times of two layers")


@cache
def built(name: str) -> NativeBackend:
    one = CASES[name]
    program = program_of(one.problem, DT, train=one.train, integrator=one.integrator)
    return native(program, flags=LARGE if one.large else ())


def loaded(name: str, given: Problem) -> NativeBackend:
    backend = built(name)
    load_weights(backend, given.weights)
    load_parameters(backend, given)
    return backend


def drawn_again(given: Problem, seed: int) -> Problem:
    """Return the problem with other weights, events and labels; the parameters stay."""
    layers = given.layers
    sizes = (len(given.weights[layers[0].feedforward]), layers[0].size, layers[-1].size)
    other = problem(
        layers[0].model,
        given.loss.name,
        bool(layers[0].recurrent),
        len(layers) - 1,
        seed,
        sizes,
        examples=EXAMPLES,
    )
    return replace(given, weights=other.weights, examples=other.examples, labels=other.labels)


def assert_equal(
    name: str, given: Problem, load: Callable[[str, Problem], Backend] = loaded
) -> list[reference.Result]:
    """Hold loss, spikes, prediction and gradient of each example against the reference."""
    backend, data = load(name, given), data_of(given, DT)
    maps = reference.step_maps(given, DT, CASES[name].integrator)
    euler = CASES[name].integrator == "euler"
    expected = [reference.gradient(given, DT, e, maps, euler=euler) for e in range(EXAMPLES)]
    for e, wanted in enumerate(expected):
        one = np.array([e])
        found = backend.evaluate(data, one)
        np.testing.assert_array_equal(found.neuron_spikes, np.concatenate(wanted.counts))
        assert found.prediction[0] == wanted.prediction
        assert found.loss[0] == pytest.approx(wanted.loss, rel=1e-12)
        assert backend.gradient(data, one).loss[0] == found.loss[0]
        assert_close(gradients_of(backend), wanted.gradients)
    backend.gradient(data, np.arange(EXAMPLES))
    assert_close(gradients_of(backend), reference.mean_gradients(expected))
    return expected


def assert_close(
    found: Mapping[str, np.ndarray], wanted: Mapping[str, np.ndarray], tolerance: float = TOLERANCE
) -> None:
    assert found
    for key, array in found.items():
        length = np.linalg.norm(wanted[key])
        assert np.linalg.norm(array - wanted[key]) <= tolerance * length, key


@pytest.mark.parametrize("name", long_but(CASES, SOME))
def test_spikes_losses_and_gradients_are_those_of_the_reference(name: str) -> None:
    given = CASES[name].problem
    results = assert_equal(name, given)
    assert all(count.any() for result in results for count in result.counts[:-1])
    for seed in range(20, 24):
        assert_equal(name, drawn_again(given, seed))


SPIKE_TIMES = [name for name, one in CASES.items() if one.problem.loss.of_spikes]
SPIKE_TIMES_OF_SOME = [name for name in SPIKE_TIMES if name in SOME]


def with_late_events(given: Problem) -> Problem:
    """Return the problem with strong input in the last steps, so that neurons spike in the last."""
    first = given.layers[0].feedforward
    channels = range(len(given.weights[first]))
    late = [
        [(given.duration - k * DT, channel) for k in last for channel in channels]
        for last in ((1,), (6, 3, 2, 1)) * (EXAMPLES // 2)
    ]
    examples = tuple(
        tuple(sorted([*events, *more])) for events, more in zip(given.examples, late, strict=True)
    )
    weights = {**given.weights, first: np.abs(given.weights[first]) * 4}
    return replace(given, weights=weights, examples=examples)


@pytest.mark.parametrize("name", long_but(CASES, SOME))
def test_spikes_of_the_last_steps_are_those_of_the_reference(name: str) -> None:
    results = assert_equal(name, with_late_events(CASES[name].problem))
    assert any(tape.spikes[-1].any() for result in results for tape in result.tapes)


@pytest.mark.parametrize("name", long_but(SPIKE_TIMES, SPIKE_TIMES_OF_SOME))
@pytest.mark.parametrize("silent", ["label", "all"])
def test_silent_outputs_are_those_of_the_reference(name: str, silent: str) -> None:
    given = with_late_events(CASES[name].problem)
    weights = np.array(given.weights["hid_to_out"])
    weights[:, slice(None) if silent == "all" else given.labels[0]] *= 0.02
    results = assert_equal(name, replace(given, weights={**given.weights, "hid_to_out": weights}))
    assert results[0].counts[-1][given.labels[0]] == 0
    assert results[0].counts[-1].any() == (silent == "label")
    assert np.linalg.norm(results[0].gradients["hid_to_out"]) > 0


@pytest.mark.parametrize("gap", [0.0, 1e-9, 1e-4])
def test_equal_and_nearly_equal_time_constants_are_those_of_the_reference(gap: float) -> None:
    name = "recurrent, refractory"
    given = CASES[name].problem
    layers = [
        replace(x, parameters={**x.parameters, "tau_syn": x.parameters["tau_mem"] * (1 + gap)})
        for x in given.layers
    ]
    assert_equal(name, replace(given, layers=tuple(layers)))


def test_a_neuron_that_spikes_without_input_is_that_of_the_reference() -> None:
    name = "driven"
    given = CASES[name].problem
    hidden, output = given.layers
    hidden = replace(hidden, parameters={**hidden.parameters, "v_rest": np.full(hidden.size, 4.0)})
    results = assert_equal(name, replace(given, layers=(hidden, output)))
    assert results[0].counts[0].min() > 0


@pytest.mark.parametrize(
    "name",
    long_but(["recurrent, refractory", "two large layers", "euler"], ["recurrent, refractory"]),
)
def test_examples_without_input_and_events_in_one_step_are_those_of_the_reference(
    name: str,
) -> None:
    given = CASES[name].problem
    first, second, third, _ = given.examples
    twice = tuple(sorted((*second, *second[::2], *second[:3])))  # some channels twice or more
    at_once = tuple((0.0, channel) for _, channel in third)
    assert_equal(name, replace(given, examples=((), first, twice, at_once)))


def early(given: Problem) -> Problem:
    """Return the problem with input in the first 3 ms only: most of its trials can end early."""
    examples = tuple(
        tuple(sorted((time % 3.0 // DT * DT, channel) for time, channel in events))
        for events in given.examples
    )
    return replace(given, examples=examples)


@pytest.mark.parametrize("name", long_but(CASES, SOME))
def test_trials_that_end_early_are_those_that_are_walked_to_their_end(name: str) -> None:
    given = early(CASES[name].problem)
    assert_equal(name, given)
    assert_same_as_whole(name, given)


def test_potentials_that_resets_leave_above_the_threshold_go_on_spiking() -> None:
    name = "subtracted, refractory"
    given = early(CASES[name].problem)
    hidden, output = given.layers
    short = {**hidden.parameters, "tau_syn": np.full(hidden.size, 0.02)}  # soon no current is left
    weights = {**given.weights, "in_to_hid": given.weights["in_to_hid"] * 3000}
    given = replace(given, layers=(replace(hidden, parameters=short), output), weights=weights)
    assert assert_equal(name, given)[0].counts[0].max() > 5
    assert_same_as_whole(name, given)


def assert_same_as_whole(name: str, given: Problem) -> None:
    """Compare with recorded trials, of which every step is kept."""
    backend, data = loaded(name, given), data_of(given, DT)
    for e in range(EXAMPLES):
        found, whole = backend.evaluate(data, np.array([e])), backend.trial(data, e)
        assert found.loss[0] == whole.loss
        assert found.prediction[0] == whole.prediction
        spikes = [
            np.bincount(neurons, minlength=compiled.population.size)
            for neurons, compiled in zip(whole.neurons, backend.program.populations, strict=True)
        ]
        np.testing.assert_array_equal(found.neuron_spikes, np.concatenate(spikes))


# A float32 has an epsilon of 1.2e-7, which S / D at a flat crossing magnifies a few hundred times.
# Where rounding moves a spike to another step, nothing can be compared; that is rare.
FAST_SEEDS = range(20, 28)
FAST = ("recurrent, refractory", "adaptive, peaks", "spike times of two layers")


@pytest.mark.long
@pytest.mark.parametrize("name", FAST)
def test_the_fast_build_differs_by_the_rounding_of_float32(name: str) -> None:
    one = CASES[name]
    program = program_of(one.problem, DT, train=one.train, integrator=one.integrator)
    fast = native(program, precision="float32", contraction=True)
    errors, same = [], 0
    for given in (drawn_again(one.problem, seed) for seed in FAST_SEEDS):
        slow, data = loaded(name, given), data_of(given, DT)
        load_weights(fast, given.weights)
        load_parameters(fast, given)
        for e in range(EXAMPLES):
            results = [backend.evaluate(data, np.array([e])) for backend in (slow, fast)]
            if (results[0].neuron_spikes != results[1].neuron_spikes).any():
                continue
            same += 1
            assert results[1].loss[0] == pytest.approx(results[0].loss[0], abs=1e-4)
            for backend in (slow, fast):
                backend.gradient(data, np.array([e]))
            wanted = gradients_of(slow)
            for key, array in gradients_of(fast).items():
                length = np.linalg.norm(wanted[key])
                if length:
                    errors.append(np.linalg.norm(array - wanted[key]) / length)
    assert same >= 0.8 * len(FAST_SEEDS) * EXAMPLES
    assert max(errors) < 1e-4
