"""Weights and adaptive feedback of rule=eprop that decay, against updates written by hand.

With the same change and the same decay for both, feedback becomes the weights of the output: Bellec
et al. 2020, Nat Commun 11:3625, "adaptive e-prop", after Kolen & Pollack 1994.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from discrete import CLASSES, Array, data_of
from long import long_but
from optimiser_formulas import adam, sgd
from parity import load_weights
from test_eprop import BACKENDS, EXAMPLES, ByHand, inputs, net, program, weights
from test_optimisers import keys_of

from snnrun.backends.base import NO_NOISE, Backend
from snnrun.optimisers import optimiser_of
from snnrun.rules.learning import ADAPTIVE, RANDOM

BETA, RATE, DECAY, UPDATES = 0.2, 0.05, 0.8, 5
Course = Callable[[Array, list[Array]], list[Array]]
OPTIMISERS: dict[str, tuple[Mapping[str, Any], Course]] = {
    "sgd": (
        {"name": "sgd", "weight_decay": DECAY},
        lambda w, g: sgd(w, g, momentum=0.9, l2=DECAY, rate=RATE),
    ),
    "sgd without momentum": (
        {"name": "sgd", "weight_decay": DECAY, "momentum": 0.0},
        lambda w, g: sgd(w, g, l2=DECAY, rate=RATE),
    ),
    "adamw": (
        {"name": "adamw", "weight_decay": DECAY},
        lambda w, g: adam(w, g, decay=DECAY, rate=RATE),
    ),
}
CASES = [(name, kind) for name in OPTIMISERS for kind in BACKENDS]


def trained(options: Mapping[str, Any], kind: str, feedback: str = ADAPTIVE) -> Backend:
    """Return a network after some updates."""
    of = program(net(BETA), feedback)
    backend = BACKENDS[kind](replace(of, optimiser=optimiser_of(keys_of(options))))
    load_weights(backend, weights())
    [own] = backend.program.network.feedback
    assert own.start is not None
    backend.set(own.name, own.start)
    every, data = np.arange(EXAMPLES), data_of(inputs())
    for step in range(UPDATES):
        backend.train(data, every, EXAMPLES, np.array([RATE]), step, NO_NOISE)
    return backend


def by_hand(start: Array, course: Course) -> tuple[dict[str, Array], Array]:
    """Return weights and feedback after the same updates, with traces of each synapse."""
    first, x = weights(), inputs()
    w, B, gradients = dict(first), start, {name: [] for name in first}
    for _ in range(UPDATES):
        hand = ByHand(w=w, B=B, beta=BETA)
        found = [hand.gradients(x[i], i % CLASSES)[0] for i in range(EXAMPLES)]
        for name, so_far in gradients.items():
            so_far.append(np.mean([one[name] for one in found], axis=0))
        w = {name: course(first[name], gradients[name])[-1] for name in w}
        B = course(start, gradients["hid_to_out"])[-1]
    return w, B


@pytest.mark.parametrize(("name", "kind"), long_but(CASES, [("sgd", "numpy"), ("adamw", "native")]))
def test_adaptive_feedback_decays_as_the_weights_of_the_output_do(name: str, kind: str) -> None:
    options, course = OPTIMISERS[name]
    backend = trained(options, kind)
    [own] = backend.program.network.feedback
    assert own.start is not None
    wanted, feedback = by_hand(own.start, course)
    for tensor, values in {**wanted, own.name: feedback}.items():
        np.testing.assert_allclose(backend.get(tensor), values, rtol=1e-9, atol=1e-11)
        assert np.abs(values - {**weights(), own.name: own.start}[tensor]).max() > 0.01


@pytest.mark.parametrize("kind", BACKENDS)
def test_adaptive_feedback_comes_closer_to_the_weights_of_the_output_by_the_decay_of_each_update(
    kind: str,
) -> None:
    backend = trained(OPTIMISERS["sgd without momentum"][0], kind)
    [own] = backend.program.network.feedback
    before = own.start - weights()["hid_to_out"]
    after = backend.get(own.name) - backend.get("hid_to_out")
    np.testing.assert_allclose(after, before * (1 - RATE * DECAY) ** UPDATES, rtol=1e-9)


@pytest.mark.parametrize("kind", BACKENDS)
def test_random_feedback_does_not_decay(kind: str) -> None:
    backend = trained(OPTIMISERS["sgd"][0], kind, RANDOM)
    [own] = backend.program.network.feedback
    np.testing.assert_array_equal(backend.get(own.name), own.start)
