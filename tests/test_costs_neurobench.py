"""Costs against the neurobench package, which counts the same network rebuilt in snnTorch.

Counts are equal where both define them alike. Where they differ, the difference is reckoned here.
pip install 'snnrun[peers]' brings both packages; without them these tests are skipped.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
import pytest

from snnrun.backends.interpreter.backend import NumpyBackend
from snnrun.compile.arrivals import late_steps
from snnrun.compile.derive import entry_symbol
from snnrun.compile.population import CompiledPopulation
from snnrun.connectivity import Ends, read
from snnrun.connectivity.synapses import Synapses, connect, shape_of_target
from snnrun.costs.energy import Energy
from snnrun.costs.measures import Costs
from snnrun.datasets.packing import Events, pack
from snnrun.datasets.spikes import SpikeData
from snnrun.models.neurons import LIF
from tests import graph_cases as graphs
from tests.graph_cases import CHANNELS, CLASSES, STEPS, Graph, hidden, sparse

WHY = "{} is not installed: costs were NOT compared with those of neurobench"
torch: Any = pytest.importorskip("torch", reason=WHY.format("PyTorch"))
snn: Any = pytest.importorskip("snntorch", reason=WHY.format("snnTorch"))
pytest.importorskip("neurobench", reason=WHY.format("neurobench"))
pytestmark = pytest.mark.peers

COUNT = 5  # examples
CONV = {"kind": "conv2d", "kernel": [3, 2], "stride": [2, 1], "padding": [1, 1], "channels": 3}
PLACES = (5, 4, 2)  # rows, columns, channels of the source
POOL = {"kind": "sum_pool", "kernel": 3, "stride": 1}
POOLED = (3, 5, 3)


def windows(options: dict[str, Any], source: tuple[int, ...]) -> tuple[Synapses, int]:
    """Return the synapses of a convolution or a pooling, and the size of their target."""
    kind, pre = read(options, "key"), int(np.prod(source))
    shape = shape_of_target(kind, Ends(pre=pre, post=0, source=source), "key")
    ends = Ends(pre=pre, post=int(np.prod(shape)), source=source, target=shape)
    synapses = connect(kind, ends, np.random.default_rng(0), "key")
    assert synapses is not None
    return synapses, ends.post


def convolutional() -> Graph:
    """Return a graph of a convolution and a pooling."""
    kernels, size = windows(CONV, PLACES)
    pool, pooled = windows(POOL, POOLED)
    return Graph(
        [("a", 40, LIF), ("b", size, LIF), ("c", pooled, LIF), graphs.hidden()[-1]],
        [
            {"ends": "input-a", "mean": 0.8},
            {"ends": "a-b", "synapses": kernels, "mean": 0.5},
            {"ends": "b-c", "synapses": pool, "mean": 2.0, "std": 0.0, "trained": False},
            {"ends": "c-output"},
        ],
    )


GRAPHS = {
    "dense": Graph(hidden("a", "b"), [{"ends": "input-a"}, {"ends": "a-b"}, {"ends": "b-output"}]),
    "recurrent": Graph(
        hidden("a", size=9),
        [
            {"ends": "input-a"},
            {"ends": "a-a", "mean": 0.1, "synapses": sparse(9, 9)},
            {"ends": "a-output"},
        ],
    ),
    "convolution": convolutional(),
}


def data(merge: bool) -> SpikeData:
    """Return random events up to the last step, often several of a channel in one step."""
    random, count = np.random.default_rng(4), 150
    return pack(
        Events(
            counts=np.full(COUNT, count),
            steps=np.sort(random.integers(0, STEPS, (COUNT, count)), axis=1).ravel(),
            channels=random.integers(0, CHANNELS, COUNT * count),
        ),
        labels=np.arange(COUNT, dtype=np.int32) % CLASSES,
        n_steps=STEPS,
        n_channels=CHANNELS,
        n_classes=CLASSES,
        merge=merge,
    )


class Exact(snn.SpikingNeuron):  # type: ignore[misc]
    """LIF with the propagator of the exact solution."""

    def __init__(self, compiled: CompiledPopulation) -> None:
        super().__init__(reset_mechanism="zero")
        ends = (("V", "V"), ("V", "I"), ("I", "I"))
        self.entries = [compiled.numbers[entry_symbol(*pair)] for pair in ends]

    def forward(self, arrived: Any) -> tuple[Any, Any]:
        VV, VI, II = self.entries
        current = self.syn + arrived
        V = VV * self.mem + VI * current
        spikes = (V >= 1.0).to(V.dtype)
        self.syn, self.mem = II * current, V * (1.0 - spikes)
        return spikes, self.mem


class Kernels(torch.nn.Module):  # type: ignore[misc]
    """A convolution around neurons in our order, with the channels last."""

    def __init__(self, conv: Any, source: tuple[int, ...]) -> None:
        super().__init__()
        self.conv, self.source = conv, source

    def forward(self, spikes: Any) -> Any:
        found = self.conv(spikes.reshape(-1, *self.source).movedim(-1, 1))
        return found.movedim(1, -1).flatten(1)


def connection(backend: NumpyBackend, name: str) -> Any:
    """Return a projection as a layer of PyTorch."""
    projection = next(p for p in backend.program.network.projections if p.name == name)
    weights = torch.tensor(backend.get(name))
    if projection.synapses is None or not projection.synapses.shared:
        layer = torch.nn.Linear(*weights.shape, bias=False, dtype=weights.dtype)
        layer.weight.data = weights.T.clone()
        return layer
    pooling = projection.source == "b"
    source = POOLED if pooling else PLACES
    options, out = {"bias": False, "dtype": weights.dtype}, 3
    if pooling:
        conv = torch.nn.Conv2d(source[-1], out, 3, groups=out, **options)
        conv.weight.data[:] = weights.reshape(-1)[0]
    else:
        conv = torch.nn.Conv2d(source[-1], out, (3, 2), stride=(2, 1), padding=(1, 1), **options)
        conv.weight.data = weights.movedim((-1, -2), (0, 1)).clone()
    return Kernels(conv, source)


def silent(size: int) -> Any:
    """Return no spikes of so many neurons."""
    return torch.zeros(COUNT, size, dtype=torch.float64)


class Twin(torch.nn.Module):  # type: ignore[misc]
    """The network of a backend; spikes of neurons arrive a step after they were emitted."""

    def __init__(self, backend: NumpyBackend) -> None:
        super().__init__()
        network = backend.program.network
        self.ends = {p.name: (p.source, p.target) for p in network.projections}
        self.synapses = torch.nn.ModuleDict({name: connection(backend, name) for name in self.ends})
        spiking = [c for c in backend.program.populations if c.spiking]
        self.neurons = torch.nn.ModuleDict({c.population.name: Exact(c) for c in spiking})
        self.sizes = {p.name: p.size for p in network.populations}
        self.emitted: dict[str, list[Any]] = {}

    def reset(self) -> None:
        for name, neuron in self.neurons.items():
            neuron.mem = neuron.syn = silent(self.sizes[name])
        self.emitted = {name: [] for name in self.sizes}

    def forward(self, events: Any) -> tuple[Any, None]:
        arrived = {name: silent(size) for name, size in self.sizes.items()}
        for name, (source, target) in self.ends.items():
            earlier = self.emitted[source]
            before = earlier[-1] if earlier else silent(self.sizes[source])
            spikes = events if source == "input" else before
            arrived[target] = arrived[target] + self.synapses[name](spikes)
        for name, neuron in self.neurons.items():
            self.emitted[name].append(neuron(arrived[name])[0])
        return arrived["output"], None


@dataclass
class Counted:
    """What both count of a graph: ``ours``, and ``theirs`` by the names of their classes."""

    backend: NumpyBackend
    twin: Twin
    arrived: np.ndarray  # [examples, steps, channels] of the input
    ours: dict[str, float] = field(default_factory=dict)
    theirs: dict[str, Any] = field(default_factory=dict)


@cache
def counted(name: str, *, merge: bool) -> Counted:
    from neurobench.benchmarks import Benchmark
    from neurobench.metrics.static import ConnectionSparsity, Footprint
    from neurobench.metrics.workload import ActivationSparsity, MembraneUpdates, SynapticOperations
    from neurobench.models import SNNTorchModel

    backend, given = NumpyBackend(GRAPHS[name].program()), data(merge)
    graphs.start(backend)
    random = np.random.default_rng(7)
    for tensor in backend.program.tensors:
        values = backend.get(tensor.name)
        if tensor.trained:
            backend.set(tensor.name, np.where(random.random(values.shape) < 0.2, 0.0, values))
    backend.late_steps = late_steps(backend.program)
    results = backend.evaluate(given, np.arange(COUNT))
    assert results.activations is not None
    arrived = np.zeros((COUNT, STEPS, CHANNELS))
    for example in range(COUNT):
        np.add.at(arrived[example], given.events(example), 1.0)
    twin = Twin(backend)
    values = {t.name: backend.get(t.name) for t in backend.program.tensors}
    found = Counted(backend=backend, twin=twin, arrived=arrived)
    costs = Costs(program=backend.program, energy=Energy())
    found.ours = costs.measure(values, results.activations, COUNT)
    shown = torch.utils.data.TensorDataset(torch.tensor(arrived), torch.zeros(COUNT))
    benchmark = Benchmark(
        SNNTorchModel(twin),
        torch.utils.data.DataLoader(shown, batch_size=COUNT),
        [],
        [],
        [
            [Footprint, ConnectionSparsity],
            [ActivationSparsity, SynapticOperations, MembraneUpdates],
        ],
    )
    found.theirs = benchmark.run(quiet=True)
    spikes = [int(sum(map(torch.sum, twin.emitted[n]))) for n in twin.neurons]
    np.testing.assert_array_equal(results.layer_spikes.sum(axis=0)[:-1], spikes)
    assert min(spikes) > 20
    return found


@pytest.mark.parametrize("name", GRAPHS)
def test_synaptic_operations_are_those_of_neurobench(name: str) -> None:
    both = counted(name, merge=True)
    theirs, ours = both.theirs["SynapticOperations"], both.ours
    assert theirs == {
        "Dense": ours["dense_operations"],
        "Effective_ACs": ours["effective_acs"],
        "Effective_MACs": ours["effective_macs"],
    }
    assert ours["effective_acs"] > 0 == ours["effective_macs"]


@pytest.mark.parametrize("name", GRAPHS)
def test_neurobench_takes_all_of_a_step_for_macs_where_one_activation_is_not_binary(
    name: str,
) -> None:
    both = counted(name, merge=False)
    theirs, ours = both.theirs["SynapticOperations"], both.ours
    total = theirs["Effective_MACs"] + theirs["Effective_ACs"]
    assert total == pytest.approx(ours["effective_macs"] + ours["effective_acs"], rel=1e-14)
    graph = both.backend.program.network
    (first,) = (p for p in graph.projections if p.source == "input")
    reached = np.count_nonzero(both.backend.get(first.name), axis=1)
    several = both.arrived > 1
    assert ours["effective_macs"] == (several * reached).sum() / COUNT
    steps = several.any(axis=(0, 2))  # of the whole mini-batch
    assert theirs["Effective_MACs"] == ((both.arrived[:, steps] > 0) * reached).sum() / COUNT
    assert theirs["Effective_MACs"] > ours["effective_macs"] > 0


@pytest.mark.parametrize("name", GRAPHS)
def test_sparsity_is_that_of_neurobench(name: str) -> None:
    both = counted(name, merge=True)
    assert both.theirs["ActivationSparsity"] == pytest.approx(
        both.ours["activation_sparsity"], abs=1e-14
    )
    if name == "convolution":  # where its pooling is a layer of 27 weights, and ours has fewer
        values = [both.backend.get(p.name) for p in both.backend.program.network.projections]
        pool = values.pop(2)
        zeros = sum(v.size - np.count_nonzero(v) for v in values)
        size = sum(v.size for v in values)
        assert both.ours["connection_sparsity"] == pytest.approx(zeros / (size + pool.size))
        assert both.theirs["ConnectionSparsity"] == round(zeros / (size + 27), 4)
    else:
        assert both.theirs["ConnectionSparsity"] == round(both.ours["connection_sparsity"], 4)


@pytest.mark.parametrize("name", ["dense", "recurrent"])
def test_footprint_is_that_of_neurobench_but_for_what_it_counts_of_neurons(name: str) -> None:
    both = counted(name, merge=True)
    buffers = sum(b.numel() * b.element_size() for b in both.twin.buffers())
    program = both.backend.program
    neurons = sum(
        len(c.dynamics.neuron.states) * c.population.size + len(c.dynamics.neuron.parameters)
        for c in program.populations
    )
    assert both.theirs["Footprint"] - buffers == both.ours["footprint"] - 8 * neurons


@pytest.mark.parametrize("name", GRAPHS)
def test_neurobench_leaves_out_updates_that_change_no_potential(name: str) -> None:
    both = counted(name, merge=True)
    program, moved = both.backend.program, 0
    given = data(True)
    for example in range(COUNT):
        trial = both.backend.trial(given, example)
        for layer in range(len(program.populations) - 1):
            V = trial.states[layer]["V"].copy()
            V[trial.steps[layer], trial.neurons[layer]] = 0.0
            moved += V.shape[1] + np.count_nonzero(np.diff(V, axis=0))
    assert both.theirs["MembraneUpdates"] == moved / COUNT
    updates = both.ours["membrane_updates"] - STEPS * CLASSES  # without outputs that never spike
    assert both.theirs["MembraneUpdates"] < updates
