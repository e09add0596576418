"""Backends that share mini-batches, in threads of one process."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from oracle import problem
from parity import data_of, load_weights, program_of
from ranks_in_threads import on_ranks

from snnrun.backends.base import Backend, Noise, Results
from snnrun.backends.interpreter.backend import NumpyBackend
from snnrun.parallel.backend import together

EXAMPLES, BATCH, DT = 13, 5, 0.2


@pytest.fixture
def opened() -> Callable[[], Backend]:
    drawn = problem("lif", "sum", examples=EXAMPLES, grid=DT, sizes=(5, 11, 3), seed=2)
    program = program_of(drawn, DT)

    def new() -> Backend:
        backend: Any = NumpyBackend(program)
        load_weights(backend, drawn.weights)
        backend.data = data_of(drawn, DT)
        return backend

    return new


def train(backend: Any, rate: float = 0.01) -> Results:
    batches = -(-EXAMPLES // BATCH)
    return backend.train(
        backend.data,
        np.arange(EXAMPLES),
        BATCH,
        np.full(batches, rate),
        0,
        Noise(dropout=0.2, key=7),
    )


def test_numpy_learns_the_same_on_ranks_to_rounding(opened: Callable[[], Backend]) -> None:
    alone, ranks = opened(), [opened() for _ in range(4)]  # the last mini-batch has 3 examples
    one, shared = train(alone), together(on_ranks(ranks, train))
    np.testing.assert_allclose(shared.loss, one.loss, rtol=1e-12)
    for name in ("prediction", "layer_spikes", "neuron_spikes"):
        np.testing.assert_array_equal(getattr(shared, name), getattr(one, name))
    for tensor in alone.program.tensors:
        expected = alone.get(tensor.name)
        for rank in ranks:
            np.testing.assert_allclose(rank.get(tensor.name), expected, rtol=1e-9, atol=1e-12)
            assert rank.get(tensor.name).tobytes() == ranks[0].get(tensor.name).tobytes()


def test_ranks_stop_at_the_same_mini_batch(opened: Callable[[], Backend]) -> None:
    alone, ranks = opened(), [opened() for _ in range(3)]
    one = train(alone, 1e7)
    found = on_ranks(ranks, lambda rank: train(rank, 1e7))
    assert one.failed_batch == 0
    assert [(part.failed_batch, part.failed_tensor) for part in found] == [
        (0, one.failed_tensor)
    ] * 3
