"""rule=stdp: pseudo-gradients against sums over all pairs of spikes, bounds, and what it learns."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from parity import native
from runs import assert_same_run, small

from snnrun.backends.base import Adam, Trial
from snnrun.backends.native.library import NativeBackend
from snnrun.config import Config
from snnrun.datasets import load
from snnrun.datasets.spikes import SpikeData
from snnrun.errors import ConfigError, ModelError
from snnrun.network.build import build_network, initial_weights
from snnrun.network.network import Projection
from snnrun.record.paths import RunPaths
from snnrun.run import build_program, train
from snnrun.training import checkpoint

Array = np.ndarray
TOLERANCE = 1e-12
ADAM = Adam(beta1=0.9, beta2=0.99, epsilon=1e-8)
LAYERS: list[dict[str, Any]] = [
    {"size": 20, "forward": {"mean": 1.5, "std": 0.8}, "recurrent": {"mean": 0.2, "std": 0.3}},
    {"size": 70, "neuron": "ALIF", "forward": {"mean": 0.6, "std": 0.3},
     "recurrent": {"mean": 0.0, "std": 0.1}},
]  # fmt: skip
ADDITIVE = {"name": "stdp", "w_min": -0.5, "w_max": 4.0, "tau_plus": 7.0, "tau_minus": 15.0}
MULTIPLICATIVE = {
    **ADDITIVE, "bound": "multiplicative", "mu": 0.4, "a_plus": 0.7, "a_minus": 0.3,
    "reward": True, "punish": -0.25,
}  # fmt: skip
CASES: dict[str, tuple[Mapping[str, Any], list[dict[str, Any]]]] = {
    "additive": (ADDITIVE, LAYERS),
    "additive, every spike": ({**ADDITIVE, "a_post": -0.2, "reward": True}, LAYERS),
    "multiplicative": ({**MULTIPLICATIVE, "a_post": 0.15}, LAYERS),
    "linear bounds, mixed with frozen and gradients": (
        {**MULTIPLICATIVE, "mu": 1.0, "a_post": -0.1},
        [
            {**LAYERS[0], "forward": {**LAYERS[0]["forward"], "rule": "frozen"}},
            {**LAYERS[1], "recurrent": {**LAYERS[1]["recurrent"], "rule": "eventprop"}},
        ],
    ),
}


def configured(name: str, **keys: Any) -> Config:
    rule, layers = CASES[name]
    return small(rule=dict(rule), **{"network.layers": layers, "DT_MS": 0.5, **keys})


@cache
def opened(name: str, precision: str = "float64", threads: int = 1) -> tuple[NativeBackend, Any]:
    config = configured(name)
    splits = load(config)
    backend = native(build_program(config, splits), precision=precision, threads=threads)
    return backend, splits


def start(backend: NativeBackend, config: Config) -> None:
    for name, weights in initial_weights(backend.program.network, config.MODEL_SEED).items():
        backend.set(name, weights)
        for which in ("first", "second"):
            backend.set(name, np.zeros_like(weights), which)


def pair_by_pair(
    arrivals: tuple[Array, Array], spikes: tuple[Array, Array], shape: tuple[int, int], dt: float,
    rule: Any,
) -> tuple[Array, Array, Array]:
    """Return P and D [pre, post], and S [post], by a loop over every pair."""
    P, D, S = np.zeros(shape), np.zeros(shape), np.zeros(shape[1])
    for n, k in zip(*spikes, strict=True):
        S[k] += 1
        for m, i in zip(*arrivals, strict=True):
            if n >= m:
                P[i, k] += np.exp(-(n - m) * dt / rule.tau_plus)
            else:
                D[i, k] += np.exp(-(m - n) * dt / rule.tau_minus)
    return P, D, S


def arrivals_at(projection: Projection, trial: Trial, names: list[str], steps: int) -> Any:
    """Return steps and neurons of what arrives in the trial: a step after it was emitted."""
    if projection.source == "input":
        return trial.input_steps, trial.input_channels
    source = names.index(projection.source)
    here = trial.steps[source] + 1 < steps
    return trial.steps[source][here] + 1, trial.neurons[source][here]


def expected(name: str, examples: Array) -> dict[str, Array]:
    """Return the pseudo-gradient of every plastic projection."""
    backend, splits = opened(name)
    config, data = configured(name), splits.train.data
    rule, network = config.rule, backend.program.network
    names = [layer.population.name for layer in network.layers]
    found: dict[str, Array] = {}
    for e in examples:
        trial = backend.trial(data, int(e))
        right = trial.prediction == data.labels[e]
        reward = 1.0 if right or not rule.reward else rule.punish
        for p in network.projections:
            if not p.plastic:
                continue
            w = backend.get(p.name)
            to = names.index(p.target)
            spikes = (trial.steps[to], trial.neurons[to])
            arrivals = arrivals_at(p, trial, names, backend.program.steps)
            P, D, S = pair_by_pair(arrivals, spikes, w.shape, config.DT_MS, rule)
            up, down = np.ones_like(w), np.ones_like(w)
            if rule.bound == "multiplicative":
                up, down = (rule.w_max - w) ** rule.mu, (w - rule.w_min) ** rule.mu
            change = rule.a_plus * up * P - rule.a_minus * down * D
            change += rule.a_post * (up if rule.a_post > 0 else down) * S
            found[p.name] = found.get(p.name, 0) - reward * change / len(examples)
    return found


@pytest.mark.parametrize("name", CASES)
def test_pseudo_gradients_are_the_sums_over_all_pairs(name: str) -> None:
    backend, splits = opened(name)
    start(backend, configured(name))
    examples = np.arange(6)
    wanted = expected(name, examples)
    results = backend.gradient(splits.train.data, examples)
    if "reward" in CASES[name][0]:
        right = results.prediction == splits.train.data.labels[:6]
        assert 0 < right.sum() < 6
    assert wanted
    for projection, change in wanted.items():
        assert np.abs(change).max() > 0.01
        found = backend.get(projection, "gradient")
        np.testing.assert_allclose(found, change, rtol=0, atol=TOLERANCE * np.abs(change).max())


def test_other_projections_have_the_gradients_that_they_have_without_stdp() -> None:
    name = "linear bounds, mixed with frozen and gradients"
    config, (backend, splits) = configured(name), opened(name)
    same = small(**{"network.layers": LAYERS, "DT_MS": 0.5})
    other = native(build_program(same, splits), precision="float64", threads=1)
    start(backend, config)
    for tensor in backend.program.tensors:
        other.set(tensor.name, backend.get(tensor.name))
    for b in (backend, other):
        b.gradient(splits.train.data, np.arange(6))
    for projection in ("hid_to_hid1", "hid_to_out"):
        found, wanted = backend.get(projection, "gradient"), other.get(projection, "gradient")
        assert np.abs(wanted).max() > 0
        np.testing.assert_array_equal(found, wanted)
    trained = {t.name for t in backend.program.tensors if t.trained}
    assert trained == {"hid_to_hid0", "hid_to_hidfwd0", "hid_to_hid1", "hid_to_out"}
