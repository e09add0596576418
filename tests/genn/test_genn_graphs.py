"""Networks as graphs on GeNN's CPU backend: everything is that of the NumPy backend."""

from __future__ import annotations

from typing import Any

import graph_cases
import numpy as np
import ported
import pytest
from parity import genn, gradients_of
from ported import DELAYED, EXAMPLES, delays, graph

from snnrun.backends.base import NO_NOISE, Backend, Noise, Results
from snnrun.backends.interpreter.backend import NumpyBackend
from snnrun.compile.program import Program
from snnrun.connectivity.synapses import Synapses
from snnrun.network.delays import DelayKind

pytestmark = pytest.mark.genn
RATES = np.array([0.01, 0.02, 0.015])


def both(program: Program, **settings: Any) -> tuple[Backend, Backend]:
    """Return GeNN's and NumPy's backend with the same weights."""
    backends = genn(program, [ported.data()], **settings), NumpyBackend(program)
    for backend in backends:
        ported.load_weights(backend)
    return backends


def assert_same(backends: tuple[Backend, Backend], tolerance: float = 1e-12) -> None:
    """Compare losses, spikes and gradients of several examples, one by one and together."""
    data = ported.data()
    for examples in ([0], [1], [2], [3], range(EXAMPLES)):
        found, wanted = (b.gradient(data, np.array(examples)) for b in backends)
        assert_same_results(found, wanted, tolerance)
        assert (wanted.layer_spikes[:, :2] > 3).all()
        assert_same_gradients(backends, tolerance)


def assert_same_gradients(backends: tuple[Backend, Backend], tolerance: float = 1e-12) -> None:
    gradients, expected = map(gradients_of, backends)
    fixed = {t.name for t in backends[0].program.tensors if not t.trained}
    assert gradients.keys() == expected.keys()
    for name in expected.keys() - fixed:
        gradient = expected[name]
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
    data, order = ported.data(examples=10), np.arange(10)[::-1].copy()
    before = {t.name: backends[0].get(t.name) for t in backends[0].program.tensors}
    found, wanted = (b.train(data, order, 4, RATES, 3, ported.DROPOUT) for b in backends)
    assert_same_results(found, wanted, 1e-10)
    for tensor in backends[0].program.tensors:
        for which in ("value", *tensor.states):
            one, other = (b.get(tensor.name, which) for b in backends)
            name = f"{tensor.name} {which}"
            np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-13, err_msg=name)
        assert (backends[0].get(tensor.name) != before[tensor.name]).any() == tensor.trained


@pytest.mark.parametrize("loss", ["sum", "max", "first_spike_exp"])
def test_delays_are_those_of_numpy(loss: str) -> None:
    backends = both(graph(loss, **DELAYED))
    assert_same(backends)
    assert_same_updates(backends)
    for name, changes in DELAYED.items():
        value = backends[0].get(f"{name}_delays")
        assert value.min() >= 0
        assert value.max() <= changes["delays"].most


@pytest.mark.parametrize("loss", ["sum", "max", "first_spike_exp"])
def test_feedback_skips_and_ports_are_those_of_numpy(loss: str) -> None:
    backends = both(graph(loss))
    assert_same(backends)
    assert_same_updates(backends)


def some(name: str, share: float, seed: int) -> dict[str, Any]:
    """Return a projection's synapses between a share of all pairs, in random order."""
    source, target, *_ = ported.ENDS[name]
    shape = ported.SIZES[source], ported.SIZES[target]
    random = np.random.default_rng(seed)
    pre, post = np.nonzero(random.random(shape) < share)
    order = random.permutation(len(pre))
    return {"synapses": Synapses(pre=pre[order], post=post[order], shape=shape)}


def shared(name: str) -> dict[str, Any]:
    """Return a projection's synapses between neighbours, which share three weights."""
    source, target, *_ = ported.ENDS[name]
    shape = ported.SIZES[source], ported.SIZES[target]
    apart = np.arange(shape[1]) - np.arange(shape[0])[:, None]
    pre, post = np.nonzero(np.abs(apart) <= 1)
    place = apart[pre, post] + 1
    return {"synapses": Synapses(pre=pre, post=post, shape=shape, weights=(3,), place=place)}


SPARSE: dict[str, dict[str, Any]] = {
    "in_a": some("in_a", 0.7, 1),
    "a_b": some("a_b", 0.6, 2) | delays("a_b", DelayKind.SYNAPTIC, 4.0),
    "b_a": some("b_a", 0.5, 3) | delays("b_a", DelayKind.AXONAL, 4.0),
    "b_out": some("b_out", 0.7, 4),  # with peaks it has a copy
    "in_b": shared("in_b") | {"bounds": (-0.1, 1.0)},
    "a_out": shared("a_out"),
    "a_a": shared("a_a") | delays("a_a", DelayKind.AXONAL, 3.0),
}


@pytest.mark.parametrize("loss", ["sum", "max"])
def test_listed_synapses_and_shared_weights_are_those_of_numpy(loss: str) -> None:
    backends = both(graph(loss, **SPARSE))
    assert_same(backends)
    assert_same_updates(backends)
    for name in ("in_a", "a_b", "b_a", "b_out"):
        assert ((backends[0].get(name) != 0) == SPARSE[name]["synapses"].mask).all()


def test_weights_stay_within_their_bounds() -> None:
    bounds = {
        "in_a": {"bounds": (0.0, np.inf)},
        "a_b": {"bounds": (-0.3, 0.9)},
        "b_out": {"bounds": (-np.inf, 0.7)},
    }
    backends = both(graph(**bounds))
    assert_same_updates(backends)
    for name, changes in bounds.items():
        low, high = changes["bounds"]
        weights = backends[0].get(name)
        assert low <= weights.min() <= weights.max() <= high
        assert np.isin(weights, (low, high)).any(), name


def test_frozen_weights_let_their_delays_learn() -> None:
    changes = {name: {**DELAYED[name], "trained": False} for name in ("in_a", "b_a")}
    backends = both(graph(**changes))
    assert_same(backends)
    assert_same_updates(backends)


def test_the_pipeline_computes_the_same_gradients_of_delays_while_weights_stand_still() -> None:
    program = graph(**DELAYED)
    backends = both(program)[0], both(program, pipeline=True)[0]
    data, order = ported.data(examples=10), np.arange(10)
    for backend in backends:
        backend.train(data, order, 4, np.full(3, 1e-12), 3, ported.DROPOUT)
    for tensor in program.tensors:
        for which in ("value", *tensor.states):
            one, other = (b.get(tensor.name, which) for b in backends)
            name = f"{tensor.name} {which}"
            np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-10, err_msg=name)
        assert not tensor.trained or backends[1].get(tensor.name, "first").any()


def test_float32_differs_by_its_rounding() -> None:
    backends = both(graph(**DELAYED), precision="float32")
    assert_same(backends, tolerance=1e-4)


def test_moments_of_delays_can_be_read_and_written() -> None:
    backend, _ = both(graph(**DELAYED))
    data, order = ported.data(examples=10), np.arange(8)

    def learn(first: int, count: int) -> None:
        end = first + 4 * count
        backend.train(data, order[first:end], 4, RATES[:count], first // 4, NO_NOISE)

    def state() -> dict[tuple[str, str], np.ndarray]:
        kept = ((t.name, which) for t in backend.program.tensors for which in ("value", *t.states))
        return {(name, which): backend.get(name, which) for name, which in kept}

    learn(0, 1)
    kept = state()
    learn(4, 1)
    wanted = state()
    for (name, which), array in kept.items():
        backend.set(name, array, which)
    learn(4, 1)
    for key, array in state().items():
        np.testing.assert_array_equal(array, wanted[key], err_msg=str(key))


@pytest.mark.parametrize(("width", "dt"), [(0.0, 0.6), (0.75, 0.5), (2.0, 0.5)])
def test_a_delay_meets_the_same_steps_in_float32_and_float64(width: float, dt: float) -> None:
    program = graph_cases.GRAPHS["synaptic"].program(dt=dt)
    shown = graph_cases.data()
    backends = genn(program, [shown], precision="float32", delay_width=2.0), NumpyBackend(program)
    for backend in backends:
        graph_cases.start(backend)
        for tensor in program.tensors:
            if tensor.name.endswith("_delays"):
                backend.set(tensor.name, graph_cases.rounded_delays(tensor.shape, dt))
    found, wanted = (b.gradient(shown, np.arange(3), Noise(delay_width=width)) for b in backends)
    np.testing.assert_array_equal(found.neuron_spikes, wanted.neuron_spikes)
    assert_same_gradients(backends, 1e-4)  # of float32


@pytest.mark.parametrize("width", [0.7, 3.0])
def test_delayed_spikes_are_spread_in_training_and_never_in_evaluation(width: float) -> None:
    backends = both(graph(**DELAYED), delay_width=3.0)
    data = ported.data(examples=10)  # more than the model has room for
    noise = Noise(delay_width=width)
    found, wanted = (b.gradient(data, np.arange(EXAMPLES), noise) for b in backends)
    assert_same_results(found, wanted)
    assert_same_gradients(backends)
    narrow = [b.evaluate(data, np.arange(EXAMPLES)) for b in backends]
    assert_same_results(*narrow)
    assert (found.loss != narrow[0].loss).all()
    with pytest.raises(ValueError, match="at most 3, not 4"):
        backends[0].gradient(data, np.arange(2), Noise(delay_width=4.0))


def test_activations_are_counted_as_by_numpy() -> None:
    backends = both(graph("sum_weigh_exp", **DELAYED), late_steps=20)
    backends[1].late_steps = 20
    examples = np.arange(EXAMPLES)
    found, wanted = (b.evaluate(ported.data(), examples).activations for b in backends)
    assert wanted[0, :20].sum() > 20
    np.testing.assert_array_equal(found, wanted)
    order = np.arange(10)[::-1].copy()
    found, wanted = (
        b.train(ported.data(examples=10), order, 4, RATES, 3, ported.DROPOUT).activations
        for b in backends
    )
    np.testing.assert_array_equal(found, wanted)
