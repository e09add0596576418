"""SE-adLIF: its steps are the published ones, and its gradients those of the authors' program.

Its loop stands here as the authors wrote it (models/alif.py and models/li.py of their code), with
the symplectic order of u and w, and with the reset of u alone detached.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from discrete import Array, data_of, network, program
from parity import gradients_of, load_weights, native
from runs import SMALL

from snnrun import load_run
from snnrun.backends.interpreter.backend import NumpyBackend
from snnrun.config import from_dict
from snnrun.errors import ModelError
from snnrun.models.neurons import LI_DELTA, SE_ADLIF
from snnrun.models.surrogates import EXPONENTIAL, SpikeDerivative
from snnrun.network.build import build_network
from snnrun.run import train

DT, T, P, N, K, EXAMPLES = 4.0, 60, 13, 19, 3, 3
Q, THETA = 120.0, 1.0
RANGES = {"v": (20.0, 100.0), "w": (240.0, 1200.0)}  # ms: 5 to 25 and 60 to 300 steps
TAU_OUT = 60.0
SHARED = {f"tau_{s}_{m}": r[m == "max"] for s, r in RANGES.items() for m in ("min", "max")}
TRAINED = ("share_v", "share_w", "a", "b", "bias")


def parameters() -> dict[str, Array]:
    """Return what is trained, each neuron's own, drawn as the authors do; but for the bias, 0."""
    draw = np.random.default_rng(5)
    highest = {"share_v": 1, "share_w": 1, "a": 1, "b": 2, "bias": 0.2}
    return {name: draw.uniform(0, high, N) for name, high in highest.items()}


def weights() -> dict[str, Array]:
    draw = np.random.default_rng(6)
    sizes = {"in_to_hid": (P, N), "hid_to_hid": (N, N), "hid_to_out": (N, K)}
    return {name: draw.normal(1.5 if name == "in_to_hid" else 0, 2, s) for name, s in sizes.items()}


def inputs() -> Array:
    return np.random.default_rng(7).random((EXAMPLES, T, P)) < 0.3


def backends(detach: Any) -> list[Any]:
    net = network(
        (P, N),
        SE_ADLIF,
        {**SHARED, **parameters()},
        recurrent=True,
        trained=TRAINED,
        output=LI_DELTA,
        of_output={"tau_mem": TAU_OUT, "bias": 0.1},
    )
    spikes = SpikeDerivative(surrogate=EXPONENTIAL, detach_reset=detach)
    made = program(net, T, DT, spikes=spikes)
    found = [native(made), NumpyBackend(made)]
    for backend in found:
        load_weights(backend, weights())
    return found


def test_steps_are_the_published_ones() -> None:
    """u, s and w of each step in their symplectic order, in NumPy."""
    p, w, x = parameters(), weights(), inputs()
    tau = {s: low + p[f"share_{s}"] * (high - low) for s, (low, high) in RANGES.items()}
    alpha, beta = np.exp(-DT / tau["v"]), np.exp(-DT / tau["w"])
    counts, losses, keep = np.zeros((EXAMPLES, N)), [], np.exp(-DT / TAU_OUT)
    for e in range(EXAMPLES):
        u, s, adaptation, out, mean = (np.zeros(n) for n in (N, N, N, K, K))
        for n in range(T):
            arriving = x[e, n] @ w["in_to_hid"] + s @ w["hid_to_hid"]
            out = keep * out + (1 - keep) * (s @ w["hid_to_out"] + 0.1)
            u = alpha * u + (1 - alpha) * (arriving + p["bias"] - adaptation)
            s = (u >= THETA).astype(float)
            u = u * (1 - s)
            adaptation = beta * adaptation + (1 - beta) * Q * (p["a"] * u + p["b"] * s)
            counts[e] += s
            mean += out / T
        losses.append(np.log(np.exp(mean).sum()) - mean[e % K])
    assert 0.02 < counts.mean() / T < 0.6
    for backend in backends(("V",)):
        results = backend.evaluate(data_of(x), np.arange(EXAMPLES))
        np.testing.assert_allclose(results.loss, losses, rtol=1e-12)
        np.testing.assert_array_equal(results.neuron_spikes[:N], counts.sum(0))


@pytest.mark.peers
@pytest.mark.parametrize("detach", [("V",), ("S",), True, False], ids=str)
def test_gradients_are_those_of_autograd(detach: Any) -> None:
    torch: Any = pytest.importorskip(
        "torch", reason="PyTorch is not installed: SE-adLIF was NOT compared with its autograd"
    )
    leaves = {
        name: torch.tensor(value, requires_grad=True)
        for name, value in {**weights(), **parameters()}.items()
    }
    losses = authors_loss(torch, leaves, detach)
    losses.mean().backward()
    for backend in backends(detach):
        results = backend.gradient(data_of(inputs()), np.arange(EXAMPLES))
        np.testing.assert_allclose(results.loss, losses.detach().numpy(), rtol=1e-12)
        found = gradients_of(backend)
        assert set(found) == {*weights(), *(f"hidden.{name}" for name in TRAINED)}
        for name, value in found.items():
            wanted = leaves[name.removeprefix("hidden.")].grad.numpy()
            assert np.linalg.norm(wanted) > 0
            difference = np.linalg.norm(value - wanted) / np.linalg.norm(wanted)
            assert difference <= 1e-10, name


def authors_loss(torch: Any, p: dict[str, Any], detach: Any) -> Any:
    """Return the loss of each example: cross entropy of the mean potentials of the outputs."""

    def decay(state: str) -> Any:
        low, high = RANGES[state]
        tau = p[f"share_{state}"] * high + (1.0 - p[f"share_{state}"]) * low
        return torch.exp(-DT / tau)

    def kept(state: str, z: Any) -> Any:
        return z.detach() if detach is True or (detach and state in detach) else z

    decay_u, decay_w, decay_out = decay("v"), decay("w"), np.exp(-DT / TAU_OUT)
    x = torch.tensor(inputs()).double()
    u = z = w = torch.zeros(EXAMPLES, N).double()
    out, outputs = torch.zeros(EXAMPLES, K).double(), []
    for x_t in x.unbind(1):
        soma_current = x_t @ p["in_to_hid"] + p["bias"] + z @ p["hid_to_hid"]
        out = decay_out * out + (1.0 - decay_out) * (z @ p["hid_to_out"] + 0.1)
        outputs.append(out)
        u = decay_u * u + (1.0 - decay_u) * (soma_current - w)
        u_thr = u - THETA
        slope = (0.4 * 5 / (2 * torch.exp(u_thr.abs() * 5))).detach()
        z = torch.heaviside(u_thr, torch.ones(1).double()).detach()
        z = z + (u_thr - u_thr.detach()) * slope
        u = u * (1 - kept("V", z))
        w = decay_w * w + (1.0 - decay_w) * (p["a"] * u + p["b"] * kept("S", z)) * Q
    mean = torch.stack(outputs, 1).mean(1)
    labels = torch.arange(EXAMPLES) % K
    return torch.nn.functional.cross_entropy(mean, labels, reduction="none")


SMALL_RUN: dict[str, Any] = {
    "HIDDEN_NEURON_TYPE": "SE_adLIF",
    "OUTPUT_NEURON_TYPE": "LI_delta",
    "rule": {"name": "surrogate", "surrogate": "exponential", "detach_reset": ["V"]},
    "LOSS_TYPE": "sum",
    "INPUT_HIDDEN_MEAN": 3.0,
    "MODEL_SEED": 1,
}
NETWORK: dict[str, Any] = {
    "hidden_parameters": {
        "share_v": {"uniform": [0, 1]},
        "a": {"uniform": [0, 1]},
        "b": {"uniform": [0, 2]},
        "bias": {"normal": [0, 0.1]},
    },
    "hidden_trained": list(TRAINED),
    "output_trained": ["bias"],
}


def test_parameters_are_drawn_for_each_neuron() -> None:
    def drawn(**keys: Any) -> Any:
        given = from_dict({**SMALL, **SMALL_RUN, "network": NETWORK, **keys})
        return build_network(given, 5, 3).layers[0].population.values

    values = drawn()
    assert np.ndim(values["share_w"]) == 0
    for name, high in {"share_v": 1, "a": 1, "b": 2}.items():
        assert values[name].shape == (30,)
        assert 0 <= values[name].min() < 0.2 * high
        assert 0.8 * high < values[name].max() <= high
    assert 0.05 < values["bias"].std() < 0.2
    assert (values["a"] != values["share_v"]).any()
    np.testing.assert_array_equal(drawn()["a"], values["a"])
    assert (drawn(MODEL_SEED=2)["a"] != values["a"]).any()
    outside = {**NETWORK, "hidden_parameters": {"a": {"uniform": [0, 5]}}}
    with pytest.raises(ModelError, match=r"population hidden: a = .* 1; it must be in \[0, 1\]"):
        drawn(network=outside)


def test_drawn_values_take_the_place_of_the_spread_of_heterogeneous_neurons() -> None:
    own = {"hidden_parameters": {"tau_mem": {"uniform": [10, 11]}}}
    given = from_dict({**SMALL, "HIDDEN_NEURON_TYPE": "hetLIF", "network": own})
    values = build_network(given, 5, 3).layers[0].population.values
    assert 10 <= values["tau_mem"].min() < values["tau_mem"].max() <= 11
    assert values["tau_syn"].std() > 0.5  # drawn as ever


@pytest.mark.parametrize("backend", ["native", "numpy"])
def test_trained_parameters_stay_within_their_declared_bounds(backend: str, tmp_path: Path) -> None:
    run = {**SMALL, **SMALL_RUN, "network": NETWORK, "backend": backend}
    few = {"N_TRAIN": 96, "N_EPOCH": 2, "N_BATCH": 8, "ETA": 0.3, "LR_EASE_IN_FACTOR": 1.0}
    train(from_dict({**run, **few, "W_OUTPUT_EPOCH_TRIAL": [[1, 0]]}), tmp_path)
    last = load_run(tmp_path).parameters(1, 0)
    for name, (low, high) in {"share_v": (0, 1), "a": (0, 1), "b": (0, 2)}.items():
        value = last[f"hidden/{name}"]
        assert low <= value.min() < value.max() <= high
        assert (value == low).any() or (value == high).any()
    assert np.ptp(last["output/bias"]) > 0
