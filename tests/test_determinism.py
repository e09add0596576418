"""The bits of a result depend on no number of threads, no size of a call, and nothing before it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
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
from ranks_in_threads import on_ranks

from snnrun.backends.base import Noise, Results
from snnrun.backends.native.library import NativeBackend
from snnrun.compile.program import compile_program
from snnrun.datasets.spikes import SpikeData
from snnrun.models.regularisers import REGULARISERS
from snnrun.models.surrogates import SpikeDerivative
from snnrun.optimisers import GENERAL, optimiser_of
from snnrun.parallel.backend import together
from snnrun.streams import stream

DT = 0.2
BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8  # of Adam
EXAMPLES = 50
# One block that is not full, several blocks, and a layer behind a layer; trained time constants.
# "large" and "wide" learn as large layers do: in waves of trials, and "wide" in parts of neurons
# where threads share them well.
PROBLEMS = {
    "small": ("lif", "sum_weigh_exp", {"recurrent": True, "sizes": (5, 11, 3), "t_ref": 0.8}),
    "large": ("alif", "max", {"recurrent": True, "hidden_layers": 2, "sizes": (9, 300, 20)}),
    "wide": ("lif", "sum", {"sizes": (200, 300, 20)}),
    "clipped": ("lif", "sum", {"sizes": (200, 300, 20)}),  # by the norm of the whole gradient
    "surrogate": ("alif", "max", {"recurrent": True, "sizes": (5, 11, 3), "t_ref": 0.8}),
    "averaged": ("lif", "sum", {"recurrent": True, "hidden_layers": 2, "sizes": (5, 11, 3)}),
    "spike times": ("lif", "first_spike_exp", {"hidden_layers": 2, "sizes": (6, 20, 4)}),
}
REGULARISED = {"averaged": {"LBD_UPPER": 0.1, "LBD_LOWER": 0.2, "NU_UPPER": 2.0, "TAU_MEM": 20.0}}
SPIKES = {"surrogate": SpikeDerivative(detach_reset=False)}


@cache
def given(name: str) -> tuple[Problem, SpikeData]:
    model, loss, more = PROBLEMS[name]
    options: dict[str, Any] = {"examples": EXAMPLES, "grid": DT, "seed": 2, **more}
    drawn = problem(model, loss, **options)
    return drawn, data_of(drawn, DT)


def backend_of(
    name: str, threads: int, *, precision: str = "float32", contraction: bool = True
) -> NativeBackend:
    drawn, _ = given(name)
    train = () if name in ("large", "wide", "clipped") else TAUS
    regularised = REGULARISED.get(name)
    program = program_of(
        drawn,
        DT,
        train=train,
        spikes=SPIKES.get(name),
        regulariser=REGULARISERS["simple"] if regularised else None,
        strengths=regularised,
        average_spikes=True,
    )
    if name == "clipped":
        clipped = optimiser_of(GENERAL | {"optimiser.clip_norm": 0.01})
        program = replace(program, optimiser=clipped)
    flags = LARGE if name == "large" else ()
    backend = native(
        program, precision=precision, contraction=contraction, threads=threads, flags=flags
    )
    load_weights(backend, drawn.weights)
    load_parameters(backend, drawn)
    return backend


def train(
    backend: NativeBackend, name: str, batch: int, calls: Sequence[int] = (), dropout: float = 0.0
) -> list[Results]:
    """Learn all examples in batches, in one call or with ``calls`` batches in each call."""
    order = stream(3, "order").permutation(EXAMPLES)
    batches = -(-EXAMPLES // batch)
    rates = 0.01 / np.arange(1, batches + 1)
    results, first = [], 0
    for count in calls or (batches,):
        last = min(first + count, batches)
        examples = np.ascontiguousarray(order[first * batch : last * batch])
        results.append(
            backend.train(
                given(name)[1],
                examples,
                batch,
                rates[first:last].copy(),
                first,
                Noise(dropout=dropout, key=77),
            )
        )
        first = last
    assert first == batches
    return results


def tensors(backend: NativeBackend) -> Iterator[tuple[str, np.ndarray]]:
    for tensor in backend.program.tensors:
        for which in ("value", *tensor.states):
            yield f"{tensor.name} {which}", backend.get(tensor.name, which)


def assert_same_bits(one: NativeBackend, other: NativeBackend) -> None:
    for (name, a), (_, b) in zip(tensors(one), tensors(other), strict=True):
        assert a.tobytes() == b.tobytes(), name


def assert_same_results(one: Sequence[Results], other: Sequence[Results]) -> None:
    for field in ("loss", "prediction", "layer_spikes"):
        a, b = (np.concatenate([getattr(r, field) for r in each]) for each in (one, other))
        assert a.tobytes() == b.tobytes(), field
    a, b = (sum(r.neuron_spikes for r in each) for each in (one, other))
    np.testing.assert_array_equal(a, b)


# 16 slots: batches of more, of less, and not of a multiple of them; 50 is a multiple of none. 11
# and 40 threads would wait for slots of two examples, and walk trials apart.
@pytest.mark.parametrize(
    ("name", "batch"),
    long_but(
        [(name, batch) for name in PROBLEMS for batch in (21, 5)] + [("small", 32), ("small", 1)],
        [("small", 21), ("small", 5)],
    ),
)
def test_training_has_the_same_bits_with_any_number_of_threads(name: str, batch: int) -> None:
    backends = [backend_of(name, threads) for threads in (1, 2, 3, 11, 40)]
    results = [train(backend, name, batch, dropout=0.2) for backend in backends]
    start = backend_of(name, 1)
    assert any(
        (a != b).any() for (_, a), (_, b) in zip(tensors(start), tensors(backends[0]), strict=True)
    )
    for backend, result in zip(backends[1:], results[1:], strict=True):
        assert_same_bits(backends[0], backend)
        assert_same_results(results[0], result)


def test_threads_that_walk_a_trial_together_leave_the_same_bits() -> None:
    drawn = problem(
        *("alif", "max"),
        recurrent=True,
        hidden_layers=2,
        sizes=(9, 600, 20),
        t_ref=0.8,
        seed=2,
        examples=7,
        grid=DT,
    )  # three blocks of neurons in each layer, or more
    program = program_of(drawn, DT, noise=0.02, spike_dropout=0.2)
    found = []
    for threads in (1, 2, 3, 9, 20):
        backend = native(
            program, precision="float32", threads=threads, flags=(*LARGE, "-DSNN_CORES=64")
        )
        load_weights(backend, drawn.weights)
        load_parameters(backend, drawn)
        noise = Noise(dropout=0.2, key=77, in_network=True)
        result = backend.train(data_of(drawn, DT), np.arange(7), 4, np.full(2, 0.01), 0, noise)
        found.append((backend, [result]))
    assert found[0][1][0].layer_spikes[:, :2].min() > 100
    for backend, results in found[1:]:
        assert_same_bits(found[0][0], backend)
        assert_same_results(found[0][1], results)


# of one example fewer ranks than 16 have work, and of 50 the last mini-batch has few
@pytest.mark.parametrize("batch", [32, pytest.param(21, marks=pytest.mark.long), 5])
@pytest.mark.parametrize("name", long_but(PROBLEMS, ["small"]))
def test_training_has_the_same_bits_with_any_number_of_ranks(name: str, batch: int) -> None:
    alone = backend_of(name, 2)
    result = train(alone, name, batch, dropout=0.2)
    for ranks, threads in ((2, 1), (3, 2), (16, 1)):
        backends = [backend_of(name, threads) for _ in range(ranks)]
        found = on_ranks(backends, lambda each: train(each, name, batch, dropout=0.2))
        for backend in backends:
            assert_same_bits(alone, backend)
        assert_same_results(result, [together(parts) for parts in zip(*found, strict=True)])


@pytest.mark.parametrize("name", long_but(PROBLEMS, ["small"]))
def test_evaluation_has_the_same_bits_with_any_number_of_threads(name: str) -> None:
    data, order = given(name)[1], np.tile(np.arange(EXAMPLES), 6)
    results = [backend_of(name, threads).evaluate(data, order) for threads in (1, 2, 3)]
    for result in results[1:]:
        assert_same_results(results[:1], [result])


@pytest.mark.parametrize("name", long_but(PROBLEMS, ["small"]))
def test_training_has_the_same_bits_in_one_call_or_many(name: str) -> None:
    one, many = backend_of(name, 2), backend_of(name, 2)
    assert_same_results(
        train(one, name, 7, dropout=0.2), train(many, name, 7, (1, 3, 2, 1, 1), dropout=0.2)
    )
    assert_same_bits(one, many)


@pytest.mark.parametrize("name", long_but(PROBLEMS, ["small"]))
def test_looking_at_a_network_changes_nothing_of_its_training(name: str) -> None:
    alone, watched = backend_of(name, 2), backend_of(name, 2)
    data = given(name)[1]
    first = train(alone, name, 9)
    watched.trial(data, 3, Noise(dropout=0.5, key=1))
    watched.evaluate(data, np.arange(EXAMPLES))
    watched.gradient(data, np.arange(7))
    assert_same_results(first, train(watched, name, 9))
    watched.trial(data, 4)
    assert_same_bits(alone, watched)
    found = [[backend.evaluate(data, np.arange(9))] for backend in (alone, watched)]
    assert_same_results(*found)


@pytest.mark.parametrize("batch", [pytest.param(16, marks=pytest.mark.long), 20])
def test_every_batch_is_learned_by_adam_from_the_mean_of_its_examples(batch: int) -> None:
    name = "small"
    data = given(name)[1]
    trained, steps = (backend_of(name, 2, precision="float64", contraction=False) for _ in "ab")
    train(trained, name, batch)
    order = stream(3, "order").permutation(EXAMPLES)
    first: dict[str, np.ndarray] = {}
    second: dict[str, np.ndarray] = {}
    for update, start in enumerate(range(0, EXAMPLES, batch), start=1):
        steps.gradient(data, np.ascontiguousarray(order[start : start + batch]))
        gradients = gradients_of(steps)
        for key, g in gradients.items():
            first[key] = BETA1 * first.get(key, 0.0) + (1 - BETA1) * g
            second[key] = BETA2 * second.get(key, 0.0) + (1 - BETA2) * g * g
        for tensor in steps.program.tensors:
            names = [f"{tensor.name.removesuffix('_parameters')}.{p}" for p in tensor.parameters]
            rows = [n for n in names if n in gradients] or [tensor.name]
            value = steps.get(tensor.name)
            for row, key in enumerate(rows):
                m = first[key] / (1 - BETA1**update)
                v = second[key] / (1 - BETA2**update)
                change = 0.01 / update * m / (np.sqrt(v) + EPSILON)
                if tensor.parameters:
                    value[row] -= change
                else:
                    value -= change
            steps.set(tensor.name, value)
    for tensor in steps.program.tensors:
        np.testing.assert_allclose(
            trained.get(tensor.name), steps.get(tensor.name), rtol=1e-9, atol=1e-12
        )
        for which, kept in (("first", first), ("second", second)):
            if not tensor.parameters:
                found = trained.get(tensor.name, which)
                np.testing.assert_allclose(found, kept[tensor.name], rtol=1e-9, atol=1e-14)


def test_trained_time_constants_stop_at_the_floors_of_their_own_program() -> None:
    name, floors = "small", {"tau_mem": 19.9, "tau_syn": 5.05}
    free = backend_of(name, 1)  # has no floors; programs of one process must not share anything
    train(free, name, EXAMPLES)
    drawn, _ = given(name)
    program = program_of(drawn, DT)
    layers = []
    for layer in program.network.layers:
        raised = {p: np.maximum(layer.population.values[p], f) for p, f in floors.items()}
        values = {**layer.population.values, **raised}
        population = replace(layer.population, values=values, floors=floors)
        layers.append(replace(layer, population=population))
    network = replace(program.network, layers=tuple(layers))
    bounded = native(
        compile_program(network, program.loss, {}, steps=program.steps, dt=DT), precision="float32"
    )
    load_weights(bounded, drawn.weights)
    train(bounded, name, EXAMPLES)  # one update, of 0.01
    for layer in ("hidden", "output"):
        for values, floor in zip(bounded.get(f"{layer}_parameters"), floors.values(), strict=False):
            assert values.min() >= np.float32(floor)
            assert values.max() > floor
    values = bounded.get("hidden_parameters")[0]
    assert (values == np.float32(floors["tau_mem"])).any()  # these would have fallen below it
    assert free.get("hidden_parameters")[0].min() < floors["tau_mem"]
