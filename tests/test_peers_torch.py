"""Gradients of rule=surrogate against PyTorch's autograd, in float64.

The network is written in PyTorch as users of it do: a loop over time, an autograd.Function for the
spikes. pip install 'snnrun[peers]' brings PyTorch; without it these tests are skipped.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from oracle import Layer, Problem, problem
from oracle_loss import Loss
from parity import (
    data_of,
    gradients_of,
    load_parameters,
    load_weights,
    native,
    program_of,
    with_targets,
)

from snnrun.models.surrogates import SURROGATES, SpikeDerivative

torch: Any = pytest.importorskip(
    "torch", reason="PyTorch is not installed: rule=surrogate was NOT compared with its autograd"
)
pytestmark = pytest.mark.peers
DT, EXAMPLES = 0.5, 4
Tensors = Mapping[str, Any]  # name -> torch.Tensor


def normal(deviation: float, mean: float = 0.0) -> Any:
    return torch.distributions.Normal(torch.tensor(mean).double(), deviation)


def multi_gaussian(x: Any, width: float, h: float, s: float) -> Any:
    beside = [torch.exp(normal(s * width, mean).log_prob(x)) for mean in (width, -width)]
    return (1 + h) * torch.exp(normal(width).log_prob(x)) - h * sum(beside)


SLOPES: Mapping[str, Callable[[Any, Any], Any]] = {
    "fast_sigmoid": lambda x, threshold: 1 / (10 * x.abs() + 1) ** 2,
    "sigmoid": lambda x, threshold: 10 * torch.sigmoid(10 * x) * torch.sigmoid(-10 * x),
    "arctan": lambda x, threshold: 1 / (1 + (torch.pi * x) ** 2),
    "triangular": lambda x, threshold: torch.relu(1 - x.abs()),
    "piecewise_linear": lambda x, threshold: (x >= -0.5) / threshold,
    "gaussian": lambda x, threshold: torch.exp(normal(0.5).log_prob(x)),
    "multi_gaussian": lambda x, threshold: 0.5 * multi_gaussian(x, 0.5, h=0.15, s=6),
    "exponential": lambda x, threshold: 0.4 * 5 / (2 * torch.exp(x.abs() * 5)),
}


class Spike(torch.autograd.Function):
    """[x >= 0], whose derivative is given."""

    @staticmethod
    def forward(ctx: Any, x: Any, slope: Any) -> Any:
        ctx.save_for_backward(slope)
        return (x >= 0).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, given: Any) -> tuple[Any, None]:
        return given * ctx.saved_tensors[0], None


@dataclass(frozen=True)
class Case:
    model: str
    surrogate: str
    detach: bool | tuple[str, ...]
    loss: str
    recurrent: bool = False
    layers: int = 1

    @property
    def problem(self) -> Problem:
        return problem(
            self.model,
            self.loss,
            self.recurrent,
            self.layers,
            seed=7,
            sizes=(6, 19, 4),
            examples=EXAMPLES,
            grid=DT,
            duration=30.0,
        )


CASES = [
    Case("lif", "fast_sigmoid", True, "sum", recurrent=True),
    Case("lif", "sigmoid", False, "max", layers=2),
    Case("lif_subtract", "arctan", False, "sum_weigh_exp", recurrent=True, layers=2),
    Case("lif_subtract", "piecewise_linear", True, "avg_xentropy"),
    Case("alif", "triangular", True, "sum_weigh_linear", recurrent=True, layers=2),
    Case("alif", "fast_sigmoid", False, "max", recurrent=True),
    Case("lif_subtract", "sigmoid", True, "sum_weigh_sigmoid", recurrent=True),
    Case("alif", "piecewise_linear", False, "sum_weigh_input", recurrent=True),
    Case("alif", "gaussian", ("V",), "sum", recurrent=True, layers=2),
    Case("alif", "multi_gaussian", ("B",), "max", recurrent=True),
    Case("lif", "exponential", ("V",), "sum_softmax", recurrent=True),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_gradients_are_those_of_autograd(case: Case) -> None:
    given = case.problem
    trained = ("tau_mem", "tau_syn", "v_thresh")
    spikes = SpikeDerivative(surrogate=SURROGATES[case.surrogate], detach_reset=case.detach)
    backend = native(program_of(given, DT, train=trained, spikes=spikes))
    load_weights(backend, given.weights)
    load_parameters(backend, given)
    results = backend.gradient(data_of(given, DT), np.arange(EXAMPLES))
    found = gradients_of(backend)
    wanted, losses = autograd(given, case, trained)
    assert results.layer_spikes[:, 0].min() > 0
    np.testing.assert_allclose(results.loss, losses, rtol=1e-12)
    assert found.keys() == wanted.keys()
    for name, array in found.items():
        assert np.linalg.norm(wanted[name]) > 0
        difference = np.linalg.norm(array - wanted[name]) / np.linalg.norm(wanted[name])
        assert difference <= 1e-10, name


@pytest.mark.parametrize(
    "case",
    [
        Case("lif", "fast_sigmoid", True, "van_rossum", recurrent=True),
        Case("alif", "sigmoid", False, "van_rossum", layers=2),
    ],
    ids=str,
)
def test_gradients_of_the_van_rossum_loss_are_those_of_autograd(case: Case) -> None:
    given, trained = case.problem, ("tau_mem", "tau_syn", "v_thresh")
    spikes = SpikeDerivative(surrogate=SURROGATES[case.surrogate], detach_reset=case.detach)
    backend = native(program_of(given, DT, train=trained, spikes=spikes))
    load_weights(backend, given.weights)
    load_parameters(backend, given)
    targets_ETK = np.random.default_rng(3).random((EXAMPLES, given.steps(DT), 4)) < 0.1
    results = backend.gradient(with_targets(data_of(given, DT), targets_ETK), np.arange(EXAMPLES))
    found = gradients_of(backend)
    wanted, losses = autograd(given, case, trained, targets_ETK)
    assert results.layer_spikes.min() > 0
    np.testing.assert_allclose(results.loss, losses, rtol=1e-12)
    assert found.keys() == wanted.keys()
    for name, array in found.items():
        length = np.linalg.norm(wanted[name])
        assert length > 0
        assert np.linalg.norm(array - wanted[name]) <= 1e-10 * length, name


def autograd(
    given: Problem, case: Case, trained: tuple[str, ...], targets_ETK: np.ndarray | None = None
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Return PyTorch's gradients of the mean loss, and the losses."""
    leaves = {name: torch.tensor(w, requires_grad=True) for name, w in given.weights.items()}
    for layer in given.layers:
        for name, values in layer.parameters.items():
            leaf = torch.tensor(values, requires_grad=name in trained)
            leaves[f"{layer.name}.{name}"] = leaf
    steps = given.steps(DT)
    x = torch.zeros(EXAMPLES, steps, len(given.weights[given.layers[0].feedforward])).double()
    for e in range(EXAMPLES):
        for step, channel in given.events(DT, e):
            x[e, step, channel] += 1
    arriving = x
    for layer in given.layers[:-1]:
        spikes = run_hidden(layer, arriving, leaves, case)
        arriving = torch.cat([torch.zeros_like(spikes[:, :1]), spikes[:, :-1]], 1)
    if targets_ETK is None:
        potentials = run_output(given.layers[-1], arriving, leaves)
        losses = loss_of(given.loss, potentials, x.sum(2), torch.tensor(given.labels))
    else:
        spikes = run_hidden(given.layers[-1], arriving, leaves, case)
        losses = van_rossum(given.loss, torch.tensor(targets_ETK).double() - spikes)
    losses.mean().backward()
    gradients = {
        name: leaf.grad.numpy()
        for name, leaf in leaves.items()
        if leaf.requires_grad and leaf.grad is not None
    }
    return gradients, losses.detach().numpy()


def membrane(layer: Layer, leaves: Tensors) -> tuple[Any, Any, Any]:
    """Return what V and I keep in a step, and what V gains of I."""
    tau_mem, tau_syn = (leaves[f"{layer.name}.{name}"] for name in ("tau_mem", "tau_syn"))
    keep_V, keep_I = torch.exp(-DT / tau_mem), torch.exp(-DT / tau_syn)
    return keep_V, keep_I, tau_syn / (tau_mem - tau_syn) * (keep_V - keep_I)


def run_hidden(layer: Layer, arriving: Any, leaves: Tensors, case: Case) -> Any:
    """Return the spikes [B, T, N] of a layer."""
    keep_V, keep_I, gain = membrane(layer, leaves)
    p = {name: leaves[f"{layer.name}.{name}"] for name in layer.parameters}
    currents = arriving @ leaves[layer.feedforward]
    V = current = spike = torch.zeros_like(currents[:, 0])
    adaptation = torch.zeros_like(V) + p.get("b_init", torch.tensor(0.0))
    found = []
    for arrived in currents.unbind(1):
        current = current + arrived
        if layer.recurrent:
            current = current + spike @ leaves[layer.recurrent]
        V, current = keep_V * V + gain * current, keep_I * current
        threshold = p["v_thresh"]
        if "tau_b" in p:
            adaptation = torch.exp(-DT / p["tau_b"]) * adaptation
            threshold = threshold + adaptation
        distance = V - threshold
        spike = Spike.apply(distance, SLOPES[case.surrogate](distance, threshold).detach())
        of_V, of_B = (spike.detach() if detached(case, s) else spike for s in "VB")
        after = V - p["v_thresh"] if case.model == "lif_subtract" else p["v_reset"]
        V = V + of_V * (after - V)
        if "tau_b" in p:
            adaptation = adaptation + of_B * p["b_incr"]
        found.append(spike)
    return torch.stack(found, 1)


def detached(case: Case, state: str) -> bool:
    return case.detach if isinstance(case.detach, bool) else state in case.detach


def run_output(layer: Layer, arriving: Any, leaves: Tensors) -> Any:
    """Return the potentials [B, T, K] of a leaky integrator."""
    keep_V, keep_I, gain = membrane(layer, leaves)
    currents = arriving @ leaves[layer.feedforward]
    V = current = torch.zeros_like(currents[:, 0])
    found = []
    for arrived in currents.unbind(1):
        current = current + arrived
        V, current = keep_V * V + gain * current, keep_I * current
        found.append(V)
    return torch.stack(found, 1)


def loss_of(loss: Loss, potentials: Any, arrivals: Any, labels: Any) -> Any:
    """Return the loss of each example [B]."""
    name = loss.name
    cross_entropy = torch.nn.functional.cross_entropy
    steps = potentials.shape[1]
    s = torch.arange(1, steps + 1).double() / steps
    if name == "avg_xentropy":
        every = cross_entropy(
            potentials.flatten(0, 1), labels.repeat_interleave(steps), reduction="none"
        )
        return every.reshape(-1, steps).mean(1)
    if name == "sum_softmax":
        return cross_entropy(
            potentials.softmax(-1).sum(1) * DT / loss.dt_ms, labels, reduction="none"
        )
    if name == "max":
        return cross_entropy(potentials.max(1).values, labels, reduction="none")
    weight = {
        "sum": lambda: torch.ones_like(s),
        "sum_weigh_linear": lambda: 1 - s,
        "sum_weigh_exp": lambda: torch.exp(-s),
        "sum_weigh_sigmoid": lambda: torch.sigmoid((0.5 - s) / 0.2),
        "sum_weigh_input": lambda: activity(arrivals, loss.tau_accumulator),
    }[name]()
    y = (weight.expand(potentials.shape[:2])[..., None] * potentials).mean(1)
    return cross_entropy(y, labels, reduction="none")


def van_rossum(loss: Loss, mismatch: Any) -> Any:
    """Return the loss of each example [B] of target minus spikes [B, T, K], filter step by step."""
    rise, decay = loss.tau_rise, loss.tau_decay
    peak = (rise / decay) ** (rise / (decay - rise)) - (rise / decay) ** (decay / (decay - rise))
    slow = fast = torch.zeros_like(mismatch[:, 0])
    losses = torch.zeros(len(mismatch)).double()
    for now in mismatch.unbind(1):
        slow, fast = np.exp(-DT / decay) * slow + now, np.exp(-DT / rise) * fast + now
        losses = losses + DT / 2 * (((slow - fast) / peak) ** 2).sum(1)
    return losses


def activity(arrivals: Any, tau: float) -> Any:
    """Return the leaky accumulator of the input spikes, [B, T]."""
    f, found = torch.zeros(len(arrivals)).double(), []
    for count in arrivals.double().unbind(1):
        f = (f + 0.01 * count) * np.exp(-DT / tau)
        found.append(f)
    return torch.stack(found, 1)
