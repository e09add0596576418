"""Learning with GeNN: Adam, mini-batches, the pipeline, full buffers, explosions."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import reference
from oracle import Problem, problem
from parity import (
    TAUS,
    data_of,
    genn,
    gradients_of,
    load_parameters,
    load_weights,
    native,
    program_of,
)

from snnrun.backends.base import NO_NOISE, Backend, Noise
from snnrun.backends.genn.backend import GennBackend
from snnrun.backends.genn.flags import raised
from snnrun.datasets.spikes import SpikeData
from snnrun.errors import CapacityError

pytestmark = pytest.mark.genn
DT, EXAMPLES, BATCH = 0.2, 10, 4
BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8  # of Adam
RATES = np.array([0.01, 0.02, 0.015])
LOSSES = (
    "sum_weigh_exp",
    "sum_weigh_input",
    "max",
    "avg_xentropy",
    "first_spike_exp",
    "relative_mse",
)


@cache
def given(loss: str) -> Problem:
    return problem(
        "lif", loss, recurrent=True, seed=5, grid=DT, t_ref=0.8, sizes=(6, 9, 4), examples=EXAMPLES
    )


@cache
def built(loss: str, *, pipeline: bool = False, spikes: int = 200) -> GennBackend:
    program = program_of(given(loss), DT, train=TAUS)
    return genn(program, [data_of(given(loss), DT)], pipeline=pipeline, spikes=spikes)


def fresh(backend: Backend, loss: str) -> Backend:
    """Return the backend with the problem's weights, and with moments of 0."""
    load_weights(backend, given(loss).weights)
    load_parameters(backend, given(loss))
    for tensor in backend.program.tensors:
        for which in tensor.states:
            backend.set(tensor.name, np.zeros(tensor.shape), which)
    return backend


def learn(
    backend: Backend, loss: str, rates: np.ndarray = RATES, dropout: float = 0.2
) -> np.ndarray:
    data = data_of(given(loss), DT)
    order = np.arange(EXAMPLES)[::-1].copy()
    return backend.train(data, order, BATCH, rates, 3, Noise(dropout=dropout, key=7)).loss


def tensors(backend: Backend) -> dict[str, np.ndarray]:
    return {
        f"{t.name} {which}": backend.get(t.name, which)
        for t in backend.program.tensors
        for which in ("value", *t.states)
    }


@pytest.mark.parametrize("loss", LOSSES)
def test_updates_are_those_of_the_native_backend(loss: str) -> None:
    other = fresh(native(program_of(given(loss), DT, train=TAUS)), loss)
    one = fresh(built(loss), loss)
    before = tensors(one)
    np.testing.assert_allclose(learn(one, loss), learn(other, loss), rtol=1e-10)
    after, wanted = tensors(one), tensors(other)
    for name, array in after.items():
        np.testing.assert_allclose(array, wanted[name], rtol=1e-9, atol=1e-13, err_msg=name)
        assert (array != before[name]).any(), name


def test_parameters_stay_above_their_floors() -> None:
    program = program_of(given("max"), DT, train=TAUS)
    layers = tuple(
        replace(x, population=replace(x.population, floors={"tau_mem": 30.0, "tau_syn": 1.0}))
        for x in program.network.layers
    )
    network = replace(program.network, layers=layers)
    populations = tuple(
        replace(c, population=x.population)
        for c, x in zip(program.populations, layers, strict=True)
    )
    backend = genn(replace(program, network=network, populations=populations), [])
    load_weights(backend, given("max").weights)
    learn(backend, "max")
    tau_mem = backend.get("hidden_parameters")[0]
    assert tau_mem.min() == 30.0


@pytest.mark.parametrize("loss", LOSSES)
def test_training_twice_from_the_same_start_gives_the_same_bits(loss: str) -> None:
    results = []
    for _ in range(2):
        backend = fresh(built(loss), loss)
        losses = learn(backend, loss)
        results.append((losses.tobytes(), *(a.tobytes() for a in tensors(backend).values())))
    assert results[0] == results[1]


def overlapped_gradient(
    ahead: Problem, behind: Problem, example: int, monkeypatch: pytest.MonkeyPatch
) -> dict[str, np.ndarray]:
    """Return the gradient with the spikes of ``ahead`` and the backward weights of ``behind``."""
    tapes = reference.simulate(ahead, DT, example)
    with monkeypatch.context() as patch:
        patch.setattr(reference, "simulate", lambda *_: tapes)
        return reference.gradient(behind, DT, example).gradients


# not of max: how spikes move its peaks is made of the weights of both passes
@pytest.mark.parametrize("loss", [loss for loss in LOSSES if loss != "max"])
def test_the_pipeline_goes_back_with_weights_that_are_one_update_newer(
    loss: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = program_of(given(loss), DT, train=())
    piped = genn(program, [data_of(given(loss), DT)], pipeline=True)
    load_weights(piped, given(loss).weights)
    rates = 0.02 / np.arange(1, EXAMPLES + 1)
    data = data_of(given(loss), DT)
    piped.train(data, np.arange(EXAMPLES), 1, rates, 3, NO_NOISE)  # as many as GeNN runs at once
    names = list(given(loss).weights)
    weights = [given(loss).weights] * 2  # before the first batch, and while the second runs
    moments = {n: np.zeros((2, *w.shape)) for n, w in given(loss).weights.items()}
    for k in range(EXAMPLES):
        forward, backward = (replace(given(loss), weights=w) for w in weights[-2:])
        gradient = overlapped_gradient(forward, backward, k, monkeypatch)
        new = {}
        for n in names:
            m, v = moments[n]
            m[:] = BETA1 * m + (1 - BETA1) * gradient[n]
            v[:] = BETA2 * v + (1 - BETA2) * gradient[n] ** 2
            step = 3 + k + 1
            rate = rates[k] / (1 - BETA1**step)
            root = np.sqrt(v / (1 - BETA2**step))
            new[n] = weights[-1][n] - rate * m / (root + EPSILON)
        weights.append(new)
    for n in names:
        np.testing.assert_allclose(piped.get(n), weights[-1][n], rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("loss", LOSSES)
def test_the_pipeline_computes_the_exact_gradient_while_weights_stand_still(loss: str) -> None:
    one, piped = fresh(built(loss), loss), fresh(built(loss, pipeline=True), loss)
    rates = np.full(3, 1e-12)
    for backend in (one, piped):
        learn(backend, loss, rates)
    for (name, a), b in zip(tensors(one).items(), tensors(piped).values(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-10, err_msg=name)
    assert piped.batches_per_call is not None
    assert one.batches_per_call is None


def test_a_full_buffer_stops_with_the_population_and_the_size_that_is_needed() -> None:
    backend = fresh(built("max", spikes=2), "max")
    most = max(
        int(reference.simulate(given("max"), DT, e)[0].spikes.sum(0).max()) for e in range(EXAMPLES)
    )
    assert most > 2
    with pytest.raises(CapacityError, match=r"population hidden: .* N_MAX_SPIKE=2,") as caught:
        backend.gradient(data_of(given("max"), DT), np.arange(EXAMPLES))
    assert "on_full_buffer=report" in str(caught.value)
    data: SpikeData = data_of(given("max"), DT)
    assert backend.evaluate(data, np.arange(EXAMPLES)).layer_spikes[:, 0].max() > 2  # no gradient
    enough = fresh(built("max", spikes=most), "max")
    enough.gradient(data, np.arange(EXAMPLES))
    wanted = gradients_of(enough)
    exact = fresh(built("max"), "max")
    exact.gradient(data, np.arange(EXAMPLES))
    for name, array in gradients_of(exact).items():
        np.testing.assert_array_equal(wanted[name], array)


def test_dropped_spikes_are_counted_if_the_user_says_so() -> None:
    backend = fresh(built("max", spikes=2), "max")
    backend._drop_spikes = True
    data = data_of(given("max"), DT)
    try:
        results = backend.gradient(data, np.arange(EXAMPLES))
        with pytest.raises(CapacityError, match="no record"):
            backend.trial(data, 0)
    finally:
        backend._drop_spikes = False
    counts = [reference.simulate(given("max"), DT, e)[0].spikes.sum(0) for e in range(EXAMPLES)]
    assert results.dropped_spikes is not None
    assert results.dropped_spikes[0] == np.maximum(np.array(counts) - 2, 0).sum() > 0
    assert results.neuron_spikes[: given("max").layers[0].size].sum() == np.sum(counts)


@pytest.mark.parametrize("apart", [False, True])
def test_an_explosion_names_the_batch_and_the_tensor(
    apart: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``apart``: seen by the flags that updates raise, as on a GPU, and not in the weights."""
    backend = built("sum_weigh_exp")
    monkeypatch.setattr(backend._device, "apart", apart)
    if apart:
        raised(backend._device, "output")  # whatever another test left
        monkeypatch.setattr(backend._device, "within", None)
    data = data_of(given("sum_weigh_exp"), DT)
    for rates in ([1e-3, 1e9, 1e-3], [1e-3, np.nan, 1e-3]):
        fresh(backend, "sum_weigh_exp")
        results = backend.train(data, np.arange(EXAMPLES), BATCH, np.array(rates), 0, NO_NOISE)
        assert results.failed_batch == 1
        assert results.failed_tensor == backend.program.tensors[0].name
    fresh(backend, "sum_weigh_exp")  # the flags are lowered
    results = backend.train(data, np.arange(EXAMPLES), BATCH, RATES, 0, NO_NOISE)
    assert results.failed_batch == -1


def test_passes_are_timed_where_kernels_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    backend = built("sum_weigh_exp")
    fresh(backend, "sum_weigh_exp")
    assert "neuron_update" in backend.kernel_times()
    monkeypatch.setattr(backend._device, "apart", True)
    monkeypatch.setattr(backend._device, "_seconds", {})
    started = time.monotonic()
    learn(backend, "sum_weigh_exp")
    passed = time.monotonic() - started
    times = backend.kernel_times()
    assert set(times) == {"forward", "backward"}
    assert min(times.values()) > 0
    assert 0.5 * passed < sum(times.values()) <= passed
