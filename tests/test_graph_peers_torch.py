"""Networks that are graphs against PyTorch, in float64: spikes, losses and all gradients.

The network is written in PyTorch as users of it do: a loop over time, an autograd.Function for the
spikes, torch.nn.functional for convolutions and pooling, and delays as what autograd sees of them:
a sum over k of what was emitted k steps ago, weighted by a kernel of k - d. pip install
'snnrun[peers]' brings PyTorch; without it these tests are skipped.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from math import prod
from typing import Any

import numpy as np
import pytest

from snnrun.backends.base import Backend, Noise
from snnrun.backends.interpreter.backend import NumpyBackend
from snnrun.compile.program import Program
from snnrun.connectivity import Ends, read
from snnrun.connectivity.synapses import connect, shape_of_target, weight_of_all
from snnrun.datasets.spikes import SpikeData
from snnrun.models.neurons import LI, LIF
from snnrun.models.surrogates import SpikeDerivative
from snnrun.network.delays import DelayKind
from snnrun.network.network import Population, Projection, Way
from snnrun.rules.learning import ADAPTIVE, RANDOM, SYMMETRIC, Feedback, Gradient
from tests import graph_cases as graphs
from tests.graph_cases import AXONAL, CHANNELS, CLASSES, DENDRITIC, DT, MOST, STEPS, Graph
from tests.parity import native

WHY = "PyTorch is not installed: networks that are graphs were NOT compared with its autograd"
torch: Any = pytest.importorskip("torch", reason=WHY)
pytestmark = pytest.mark.peers
EXAMPLES, SAME = np.arange(3), 1e-10
Tensors = dict[str, Any]  # name -> torch.Tensor
Step = Callable[[Tensors, Tensors], Any]  # moves states by a step; returns the spikes


@dataclass(frozen=True)
class Windows:
    """A convolution or pooling along places, as PyTorch has it."""

    source: tuple[int, ...]  # [*places, channels]
    options: Mapping[str, Any]

    def projection(self, **more: Any) -> dict[str, Any]:
        """Return the fields of the projection of snnrun that does the same, and ``more``."""
        kind = read(self.options, "key")
        given = Ends(pre=prod(self.source), post=0, source=self.source)
        target = shape_of_target(kind, given, "key")
        given = replace(given, post=prod(target), target=target)
        synapses = connect(kind, given, np.random.default_rng(0), "key")
        weight = weight_of_all(kind, given, "key")
        if weight is not None:
            more |= {"mean": weight, "std": 0.0, "trained": False}
        return {"synapses": synapses, **more}

    def __call__(self, x: Any, weights: Any) -> Any:
        """Return what arrives [B, Q] of spikes [B, P]."""
        axes = len(self.source) - 1
        x = x.reshape(-1, *self.source).movedim(-1, 1)  # [B, C, *places]
        kind, kernel = self.options["kind"], self.options["kernel"]
        call = torch.nn.functional
        if kind.startswith("conv"):
            convolve = call.conv1d if axes == 1 else call.conv2d
            stride, padding = self.options.get("stride", 1), self.options.get("padding", 0)
            found = convolve(x, weights.movedim((-1, -2), (0, 1)), stride=stride, padding=padding)
        else:
            pool = call.avg_pool1d if axes == 1 else call.avg_pool2d
            found = pool(x, kernel, stride=self.options.get("stride", kernel))
            size = kernel**axes if kind == "sum_pool" else 1
            found = found * size * self.options.get("scale", 1.0)
        return found.movedim(1, -1).flatten(1)


@dataclass(frozen=True, kw_only=True)
class Case:
    """A graph, and which of its projections, by their ends, are windows."""

    graph: Graph
    windows: Mapping[str, Windows] = field(default_factory=dict)

    @classmethod
    def of(cls, sizes: Mapping[str, int], projections: Sequence[dict[str, Any]]) -> Case:
        """Return it, of LIF neurons; a projection may have ``windows``."""
        windows = {p["ends"]: p["windows"] for p in projections if "windows" in p}
        made = [w.pop("windows").projection(**w) if "windows" in w else w for w in projections]
        neurons = [(name, size, LIF) for name, size in sizes.items()]
        return cls(graph=Graph([*neurons, ("output", CLASSES, LI)], made), windows=windows)


ONE_TO_ONE = connect(
    read("one_to_one", "key"), Ends(pre=CHANNELS, post=CHANNELS), np.random.default_rng(0), "key"
)
CONV2D = {"kind": "conv2d", "kernel": [3, 2], "stride": [2, 1], "padding": [1, 1], "channels": 3}
CASES = {name: Case(graph=graph) for name, graph in graphs.GRAPHS.items()} | {
    "one to one": Case.of(
        {"a": CHANNELS, "b": CHANNELS},
        [
            {"ends": "input-a", "synapses": ONE_TO_ONE, "mean": 3.0},
            {"ends": "a-b", "synapses": ONE_TO_ONE, "mean": 6.0},
            {"ends": "b-b", "synapses": ONE_TO_ONE, "mean": 0.2, "delays": AXONAL},
            {"ends": "b-output"},
        ],
    ),
    "planes": Case.of(
        {"a": 40, "b": 45, "c": 12},
        [
            {"ends": "input-a"},
            {"ends": "a-b", "windows": Windows((5, 4, 2), CONV2D), "mean": 0.3},
            {
                "ends": "b-c",
                "windows": Windows(
                    (3, 5, 3), {"kind": "mean_pool", "kernel": 2, "stride": [1, 2], "scale": 8.0}
                ),
            },
            {"ends": "c-output"},
        ],
    ),
    "lines": Case.of(
        {"a": 20, "b": 15},
        [
            {
                "ends": "input-a",
                "windows": Windows(
                    (3, 2), {"kind": "conv1d", "kernel": 2, "padding": 1, "channels": 5}
                ),
                "mean": 1.0,
                "delays": DENDRITIC,
            },
            {
                "ends": "a-a",
                "windows": Windows(
                    (4, 5), {"kind": "conv1d", "kernel": 3, "padding": "same", "channels": 5}
                ),
                "mean": 0.0,
                "delays": AXONAL,
            },
            {
                "ends": "a-b",
                "windows": Windows(
                    (4, 5), {"kind": "sum_pool", "kernel": 2, "stride": 1, "scale": 4.0}
                ),
                "delays": AXONAL,
            },
            {"ends": "b-output"},
        ],
    ),
}
DELAYED = [n for n, case in CASES.items() if any("delays" in p for p in case.graph.projections)]


@pytest.mark.parametrize(
    ("name", "width"), [*((n, 0.0) for n in CASES), *((n, 3.0) for n in DELAYED)]
)
@pytest.mark.parametrize("kind", [NumpyBackend, native], ids=["numpy", "native"])
def test_spikes_losses_and_gradients_are_those_of_autograd(
    name: str, width: float, kind: Callable[[Program], Backend]
) -> None:
    compare_with_autograd(CASES[name], kind(CASES[name].graph.program(surrogate=True)), width)


CUT = [
    ("feedback", SYMMETRIC),
    ("lists", SYMMETRIC),
    ("dendritic", RANDOM),
    ("synaptic", ADAPTIVE),
    ("ports", ADAPTIVE),
    ("planes", RANDOM),
    ("late lists", ADAPTIVE),
]


@pytest.mark.parametrize(("name", "feedback"), CUT)
@pytest.mark.parametrize("kind", [NumpyBackend, native], ids=["numpy", "native"])
def test_gradients_of_eprop_are_those_of_autograd_with_the_recurrent_path_cut(
    name: str, feedback: str, kind: Callable[[Program], Backend]
) -> None:
    spikes = SpikeDerivative(detach_reset=None)
    learning = Gradient(spikes=spikes, feedback=Feedback(kind=feedback))
    backend = kind(CASES[name].graph.program(learning=learning))
    compare_with_autograd(CASES[name], backend, 0.0)


def compare_with_autograd(case: Case, backend: Backend, width: float) -> None:
    data = graphs.data()
    graphs.start(backend)
    results = backend.gradient(data, EXAMPLES, Noise(delay_width=width))
    twin = Twin(backend, case.windows, width)
    losses, spikes = twin.run(data)
    losses.mean().backward()
    assert results.layer_spikes[:, :-1].sum(axis=0).min() > 5, "a population is silent"
    np.testing.assert_array_equal(results.neuron_spikes, spikes)
    np.testing.assert_allclose(results.loss, losses.detach(), rtol=SAME)
    found, wanted = graphs.gradients(backend), twin.gradients()
    assert found.keys() == wanted.keys()
    for tensor, gradient in wanted.items():
        length = np.linalg.norm(gradient)
        assert length > 0, tensor
        assert np.linalg.norm(found[tensor] - gradient) <= SAME * length, tensor


# The network in PyTorch


class Spike(torch.autograd.Function):  # type: ignore[misc]
    """[x >= 0], with the derivative of a fast sigmoid."""

    @staticmethod
    def forward(context: Any, x: Any) -> Any:
        context.save_for_backward(x)
        return (x >= 0).to(x.dtype)

    @staticmethod
    def backward(context: Any, gradient: Any) -> Any:
        (x,) = context.saved_tensors
        return gradient / (10 * x.abs() + 1) ** 2


def step_lif(x: Tensors, p: Tensors) -> Any:
    threshold = p["v_thresh"]
    if "tau_b" in p:
        x["B"] = torch.exp(-DT / p["tau_b"]) * x["B"]
        threshold = threshold + x["B"]
    step_li(x, p)
    spikes = Spike.apply(x["V"] - threshold)
    reset = spikes.detach()
    x["V"] = x["V"] + reset * (p["v_reset"] - x["V"])
    if "tau_b" in p:
        x["B"] = x["B"] + (spikes if "attached" in p else reset) * p["b_incr"]
    return spikes


def step_li(x: Tensors, p: Tensors) -> None:
    kept, gained = flow(p["tau_mem"], p["tau_syn"])
    x["V"], x["I"] = kept * x["V"] + gained * x["I"], torch.exp(-DT / p["tau_syn"]) * x["I"]


def step_two_ports(x: Tensors, p: Tensors) -> Any:
    kept, excited = flow(p["tau_mem"], p["tau_e"])
    _, inhibited = flow(p["tau_mem"], p["tau_i"])
    x["V"] = kept * x["V"] + excited * x["E"] - inhibited * x["I"]
    x["E"], x["I"] = torch.exp(-DT / p["tau_e"]) * x["E"], torch.exp(-DT / p["tau_i"]) * x["I"]
    spikes = Spike.apply(x["V"] - p["v_thresh"])
    x["V"] = x["V"] * (1 - spikes.detach())
    return spikes


def flow(tau_mem: Any, tau_syn: Any) -> tuple[Any, Any]:
    """Return what V keeps in a step, and what it gains of a current."""
    keep_V, keep_I = torch.exp(-DT / tau_mem), torch.exp(-DT / tau_syn)
    return keep_V, tau_syn / (tau_mem - tau_syn) * (keep_V - keep_I)


STEPS_OF: Mapping[str, Step] = {
    "lif": step_lif,
    "alif": step_lif,
    "li": step_li,
    "two_ports": step_two_ports,
}


class Twin:
    """The network of a backend, with its values, in PyTorch."""

    def __init__(self, backend: Backend, windows: Mapping[str, Windows], width: float) -> None:
        self.program, self.windows, self.width = backend.program, windows, width
        self.leaves = {
            t.name: torch.tensor(backend.get(t.name), requires_grad=t.trained)
            for t in self.program.tensors
        }

    def gradients(self) -> dict[str, np.ndarray]:
        """Return what backward() left."""
        return {name: x.grad.numpy() for name, x in self.leaves.items() if x.requires_grad}

    def run(self, data: SpikeData) -> tuple[Any, np.ndarray]:
        """Return the losses [B], and how often each neuron of the layers spiked."""
        network = self.program.network
        emitted: dict[str, list[Any]] = {p.name: [] for p in network.populations}  # [B, N] each
        emitted["input"] = list(arrivals(data))
        projections = [network.into(layer) for layer in network.layers]
        sent = {p.name: self.sent(p) for into in projections for p in into}
        states = [self.start(x.population) for x in network.layers]
        values = [self.values(x.population) for x in network.layers]
        potentials = []
        for n in range(STEPS):
            for layer, x, p, into in zip(network.layers, states, values, projections, strict=True):
                neuron = layer.population.neuron
                for projection in into:
                    port = projection.port or neuron.ports[0]
                    past = emitted[projection.source][: n + (projection.source == "input")]
                    for spikes, send in zip(reversed(past), sent[projection.name], strict=False):
                        forward = projection.way is Way.FORWARD  # no derivative by the spikes
                        arrived = send(spikes.detach() if forward else spikes)
                        back = projection.way is Way.BACK  # nothing but a derivative
                        x[port] = x[port] + (arrived - arrived.detach() if back else arrived)
                spikes = STEPS_OF[neuron.name](x, p)
                if spikes is not None:
                    emitted[layer.population.name].append(spikes)
            potentials.append(states[-1]["V"])
        s = torch.arange(1, STEPS + 1).double() / STEPS
        y = torch.einsum("t,tbk->bk", torch.exp(-s), torch.stack(potentials)) / STEPS
        labels = torch.tensor(data.labels[EXAMPLES]).long()
        losses = torch.nn.functional.cross_entropy(y, labels, reduction="none")
        hidden = [sum(emitted[x.population.name]).sum(0).detach() for x in network.layers[:-1]]
        return losses, np.concatenate([*hidden, np.zeros(CLASSES)])

    def start(self, population: Population) -> Tensors:
        """Return the states at the start of a trial."""
        neuron = population.neuron
        assert neuron is not None
        zero = torch.zeros(len(EXAMPLES), population.size).double()
        return {
            name: zero + population.values.get(neuron.initial.get(name), 0.0)
            for name in neuron.states
        }

    def values(self, population: Population) -> Tensors:
        """Return the parameters of neurons, each a number or one per neuron."""
        found = {
            name: torch.tensor(value, dtype=torch.float64)
            for name, value in population.values.items()
        }
        if self.program.learning.spikes.detach_reset is None:  # that of the potential is
            found["attached"] = True
        for tensor in self.program.tensors:
            if tensor.name == f"{population.name}_parameters":
                found |= dict(zip(tensor.parameters, self.leaves[tensor.name], strict=True))
        return found

    def sent(self, projection: Projection) -> list[Callable[[Any], Any]]:
        """Return what arrives now, [B, Q], of spikes [B, P] of the last step, the one before ..."""
        weights, synapses = self.leaves[projection.name], projection.synapses
        windows = self.windows.get(f"{projection.source}-{projection.target}")
        if synapses is not None and windows is None:
            ends = torch.tensor(synapses.pre).long(), torch.tensor(synapses.post).long()
            of_each = weights.flatten()[torch.tensor(synapses.place)]
            weights = torch.zeros(synapses.shape).double().index_put(ends, of_each)
        whole = partial(windows, weights=weights) if windows else partial(torch.mm, mat2=weights)
        delays = projection.delays
        if delays is None:
            return [whole]
        d = self.leaves[f"{projection.name}_delays"] / DT
        reach = 1 + self.width
        of_k = [
            torch.relu(reach - (k - (1 + d)).abs()) / reach**2
            for k in range(1, int(MOST / DT + reach) + 2)
        ]
        return [share(delays.kind, whole, weights, h) for h in of_k]


def share(
    kind: DelayKind, whole: Callable[[Any], Any], weights: Any, h: Any
) -> Callable[[Any], Any]:
    """Return what arrives of spikes of which a share h arrives, [P, 1], [1, Q] or [P, Q]."""
    if kind is AXONAL:
        return lambda x: whole(x * h[:, 0])
    if kind is DENDRITIC:
        return lambda x: whole(x) * h[0]
    return lambda x: x @ (weights * h)


def arrivals(data: SpikeData) -> Any:
    """Return the events of the input, [T, B, channels]."""
    found = np.zeros((STEPS, len(EXAMPLES), CHANNELS))
    for b in EXAMPLES:
        np.add.at(found[:, b], data.events(b), 1.0)
    return torch.tensor(found)
