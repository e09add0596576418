"""Projections in which not all neurons are connected, against the same ones with zeros."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from long import long_but
from parity import native
from runs import small

from snnrun.backends.base import Noise
from snnrun.compile.program import Program
from snnrun.connectivity import Connectivity, Ends, read
from snnrun.connectivity.synapses import connect
from snnrun.datasets import load
from snnrun.errors import ConfigError, ModelError
from snnrun.network.build import initial_weights
from snnrun.run import build_program


def nearest(pre: int, post: int, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Connect each neuron with three of a ring, in no order."""
    i = np.repeat(np.arange(pre), 3)
    to = (i * post // pre + np.tile([-1, 0, 1], pre)) % post
    order = random.permutation(len(i))
    return i[order], to[order]


def some(pre: int, post: int, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Connect half of all pairs."""
    i, k = np.nonzero(random.random((pre, post)) < 0.5)
    return i, k


RING = Connectivity(name="ring", meaning="three neighbours", synapses=nearest)
SOME = Connectivity(name="some", meaning="half of all", synapses=some)
LAYERS: list[dict[str, Any]] = [
    {
        "size": 150,  # more than a block of neurons
        "neuron": "ALIF",
        "forward": {"mean": 4.0, "std": 0.8, "connectivity": "test_connectivity.SOME"},
        "recurrent": {"mean": 0.1, "std": 0.4, "connectivity": "test_connectivity.RING"},
    },
    {"size": 20, "forward": {"mean": 2.0, "std": 0.6, "connectivity": "test_connectivity.RING"}},
    {
        "name": "output",
        "forward": {"mean": 2.5, "std": 0.8, "connectivity": "test_connectivity.SOME"},
    },
]
USUAL: dict[str, Any] = {"NUM_HIDDEN": 200}  # the default, of no layer
CASES: dict[str, dict[str, Any]] = {
    "spike times": {},
    "maxima": {"LOSS_TYPE": "max", "TAU_REF": 2.0},
    "surrogate": {"rule": {"name": "surrogate"}, "LOSS_TYPE": "max", "HIDDEN_NOISE": 0.05},
    "averages": {"LOSS_TYPE": "sum", "REG_TYPE": "simple", "AVG_SNSUM": True},
}


def dense(program: Program) -> Program:
    """Return the same program with a synapse between any two neurons."""
    network = replace(
        program.network,
        layers=tuple(
            replace(x, projections=tuple(replace(p, synapses=None) for p in x.projections))
            for x in program.network.layers
        ),
    )
    return replace(program, network=network)


@pytest.mark.parametrize("name", long_but(CASES, []))
def test_gradients_are_those_of_dense_projections_at_the_synapses(name: str) -> None:
    config = small(**{"network.layers": LAYERS}, **USUAL, **CASES[name])
    splits = load(config)
    program, data = build_program(config, splits), splits.train.data
    sparse, full = native(program), native(dense(program))
    weights = initial_weights(program.network, config.MODEL_SEED)
    found = []
    for backend in (sparse, full):
        for tensor, value in weights.items():
            backend.set(tensor, value)
        found.append(backend.gradient(data, np.arange(6), Noise(key=7, in_network=True)))
    np.testing.assert_array_equal(found[0].layer_spikes, found[1].layer_spikes)
    assert found[0].layer_spikes.min(axis=0)[0] > 0
    np.testing.assert_allclose(found[0].loss, found[1].loss, rtol=1e-12)
    for tensor in program.tensors:
        assert tensor.synapses is not None
        mask, wanted = tensor.synapses.mask, full.get(tensor.name, "gradient")
        gradient = sparse.get(tensor.name, "gradient")
        scale = np.abs(wanted[mask]).max()
        assert scale > 0
        np.testing.assert_allclose(gradient[mask], wanted[mask], rtol=0, atol=1e-12 * scale)
        assert not gradient[~mask].any()
        assert wanted[~mask].any()
        np.testing.assert_array_equal(sparse.get(tensor.name), weights[tensor.name])


@pytest.mark.long
def test_learning_changes_synapses_only_and_is_the_same_for_any_threads() -> None:
    config = small(**{"network.layers": LAYERS}, **USUAL)
    splits = load(config)
    program, data = build_program(config, splits), splits.train.data
    weights = initial_weights(program.network, config.MODEL_SEED)
    learned = []
    for threads in (1, 3):
        backend = native(program, precision="float32", threads=threads)
        for tensor, value in weights.items():
            backend.set(tensor, value)
        backend.train(data, np.arange(30), 10, np.full(3, 0.01), 0, Noise(dropout=0.1, key=5))
        learned.append({t.name: backend.get(t.name) for t in program.tensors})
    for tensor in program.tensors:
        assert tensor.synapses is not None
        mask, after = tensor.synapses.mask, learned[0][tensor.name]
        np.testing.assert_array_equal(after, learned[1][tensor.name])
        assert (after != weights[tensor.name].astype(np.float32))[mask].mean() > 0.1
        assert not after[~mask].any()
    assert program.trained_values == sum(t.count for t in program.tensors)
    assert program.fingerprint != dense(program).fingerprint


def test_dense_and_one_to_one_connect_what_they_say() -> None:
    ends, random = Ends(pre=4, post=4), np.random.default_rng(1)
    assert connect(read("dense", "key"), ends, random, "here") is None
    found = connect(read("one_to_one", "key"), ends, random, "here")
    assert found is not None
    np.testing.assert_array_equal(found.mask, np.eye(4, dtype=bool))


@pytest.mark.parametrize(
    ("ends", "problem"),
    [
        (([0, 1], [0, 9]), "postsynaptic neurons 0 to 9, but there are those from 0 to 4"),
        (([0, 1], [0]), "2 presynaptic ends of synapses, but 1 others"),
        (([0, 0], [1, 1]), "1 pairs of neurons are connected twice"),
        (([0.5], [1]), "presynaptic neurons must be integers"),
    ],
)
def test_synapses_that_there_cannot_be_are_refused(ends: Any, problem: str) -> None:
    kind = Connectivity(name="odd", meaning="odd", synapses=lambda pre, post, random: ends)
    with pytest.raises(ModelError, match=f"into: connectivity odd: {problem}"):
        connect(kind, Ends(pre=4, post=5), np.random.default_rng(1), "into")


def test_what_cannot_be_is_refused_with_what_to_do() -> None:
    forward = {"connectivity": "one_to_one"}
    config = small(**{"network.layers": [{"size": 7, "forward": forward}]}, **USUAL)
    with pytest.raises(ModelError, match="one_to_one connects as many neurons, not 5 with 7"):
        build_program(config, load(config))
    plastic = {"connectivity": "test_connectivity.RING", "rule": "stdp"}
    config = small(**{"network.layers": [{"size": 7, "forward": plastic}]}, **USUAL)
    with pytest.raises(ModelError, match="rule stdp needs connectivity dense"):
        build_program(config, load(config))
    with pytest.raises(ConfigError, match="must be one of dense, one_to_one, sparse"):
        small(**{"network.layers": [{"size": 7, "forward": {"connectivity": "dens"}}]}, **USUAL)
