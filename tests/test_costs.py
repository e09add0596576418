"""Operations, sparsity, memory and energy against counts by hand and by brute force."""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from long import long_but
from runs import assert_same_run, comparable, numbers, small, stopped_at

from snnrun import load_run
from snnrun.backends.base import NO_NOISE, Backend, Noise
from snnrun.backends.interpreter.backend import NumpyBackend
from snnrun.compile.arrivals import late_steps
from snnrun.compile.program import Program
from snnrun.costs.energy import Energy
from snnrun.costs.measures import Costs
from snnrun.models.neurons import LI, LIF
from snnrun.network.delays import spread
from snnrun.network.network import Projection
from snnrun.record.paths import RunPaths
from snnrun.run import train
from snnrun.training import loop
from snnrun.training.checkpoint import load
from tests import graph_cases as graphs
from tests.graph_cases import AXONAL, CHANNELS, CLASSES, DENDRITIC, SYNAPTIC, Graph, shared, sparse

EXAMPLES = np.array([2, 0, 1, 0])


def arrivals(
    program: Program, p: Projection, delay: float | None, n: int, width: float
) -> Iterator[tuple[int, float]]:
    """Yield steps in which a spike of step n arrives, and with which share."""
    first = n + (p.source != "input")
    if delay is None:
        yield first, 1.0
        return
    h, _ = spread(np.array(delay / program.dt), width, ceil(graphs.MOST / program.dt))
    yield from ((first + k, float(share)) for k, share in enumerate(h) if share > 1e-9)


def by_force(backend: Backend, noise: Noise = NO_NOISE) -> dict[str, tuple[int, int]]:
    """Return MACs and ACs of each projection, spike by spike and synapse by synapse."""
    program, data = backend.program, graphs.data()
    names = ["input", *(c.population.name for c in program.populations)]
    found = {p.name: (0, 0) for p in program.network.projections}
    for example in EXAMPLES.tolist():
        trial = backend.trial(data, example, noise)
        steps = dict(zip(names, (trial.input_steps, *trial.steps), strict=True))
        neurons = dict(zip(names, (trial.input_channels, *trial.neurons), strict=True))
        for p in program.network.projections:
            weights = backend.get(p.name)
            matrix = weights if p.synapses is None else p.synapses.matrix(weights)
            delays = None
            if p.delays is not None:
                delays = np.broadcast_to(backend.get(f"{p.name}_delays"), matrix.shape)
            pairs = list(zip(steps[p.source].tolist(), neurons[p.source].tolist(), strict=True))
            macs, acs = found[p.name]
            for n, i in set(pairs):
                for j in np.flatnonzero(matrix[i]):
                    delay = None if delays is None else float(delays[i, j])
                    for step, share in arrivals(program, p, delay, n, noise.delay_width):
                        if step < program.steps:
                            plain = share == 1.0 and pairs.count((n, i)) == 1
                            macs, acs = macs + (not plain), acs + plain
            found[p.name] = macs, acs
    return found


def drawn(seed: int) -> Graph:
    """Return a random graph: any kinds of projections, forward and to themselves."""
    random = np.random.default_rng(seed)
    names = ["a", "b", "c"][: random.integers(1, 4)]
    sizes = {name: int(random.integers(3, 9)) for name in names}
    projections: list[dict[str, Any]] = []
    for at, name in enumerate([*names, "output"]):
        before = ["input", *names[:at]]
        chosen = [str(random.choice(before)) for _ in range(random.integers(1, 4))]
        own = [name] if name != "output" and random.random() < 0.5 else []
        for source in dict.fromkeys([before[-1], *chosen, *own]):
            ends = {"input": CHANNELS, "output": CLASSES, **sizes}
            delays = random.choice([None, AXONAL, DENDRITIC, SYNAPTIC])
            listed = random.random() < 0.5 and sparse(ends[source], ends[name], seed)
            mean = 0.0 if source == name else 1.0
            more = {"synapses": listed} if listed else {}
            more |= {"delays": delays} if delays else {}
            projections.append({"ends": f"{source}-{name}", "mean": mean, **more})
    neurons = [(name, size, LIF) for name, size in sizes.items()]
    return Graph([*neurons, ("output", CLASSES, LI)], projections)


def started(graph: Graph) -> NumpyBackend:
    """Return a graph in which a fifth of the weights is 0, and half of the delays whole steps."""
    backend = NumpyBackend(graph.program())
    graphs.start(backend)
    random = np.random.default_rng(7)
    for tensor in backend.program.tensors:
        values = backend.get(tensor.name)
        chosen = random.random(values.shape)
        if tensor.delays is not None:
            whole = np.round(values / graphs.DT) * graphs.DT
            backend.set(tensor.name, np.where(chosen < 0.5, whole, values))
        elif tensor.projection is not None:
            backend.set(tensor.name, np.where(chosen < 0.2, 0.0, values))
    return backend


CASES = {name: graph for name, graph in graphs.GRAPHS.items() if name != "blocks"}
CASES |= {f"drawn {seed}": drawn(seed) for seed in range(6)}


def measured(backend: Backend, activations: np.ndarray | None, width: float = 0.0) -> dict:
    assert activations is not None
    values = {t.name: backend.get(t.name) for t in backend.program.tensors}
    costs = Costs(program=backend.program, energy=Energy())
    return costs.measure(values, activations, len(EXAMPLES), width)


def assert_counted(figures: dict[str, float], expected: dict[str, tuple[int, int]]) -> None:
    trials = len(EXAMPLES)
    for name, (macs, acs) in expected.items():
        assert figures[f"effective_operations/{name}"] == (macs + acs) / trials, name
    totals = np.sum(list(expected.values()), axis=0) / trials
    np.testing.assert_allclose(
        [figures["effective_macs"], figures["effective_acs"]], totals, rtol=1e-14
    )


@pytest.mark.parametrize("name", long_but(CASES, ["ports", "lists", "late lists", "drawn 0"]))
def test_operations_are_those_of_every_spike_at_every_synapse(name: str) -> None:
    backend = started(CASES[name])
    backend.late_steps = late_steps(backend.program)
    expected = by_force(backend)
    assert sum(macs + acs > 0 for macs, acs in expected.values()) > len(expected) // 2
    assert sum(macs for macs, _ in expected.values()) > 0  # several events in a step
    activations = backend.evaluate(graphs.data(), EXAMPLES).activations
    assert_counted(measured(backend, activations), expected)


def test_delayed_spikes_that_training_spreads_are_counted_where_they_arrive() -> None:
    backend, width = started(CASES["axonal"]), 2.5
    backend.late_steps = late_steps(backend.program, width)
    noise = Noise(delay_width=width, dropout=0.2, key=3)
    expected = by_force(backend, noise)
    learned = backend.train(graphs.data(), EXAMPLES, 4, np.zeros(1), 0, noise)
    assert_counted(measured(backend, learned.activations, width), expected)


def test_figures_of_a_small_network_are_those_on_paper() -> None:
    graph = Graph(
        [("a", 14, LIF), ("output", CLASSES, LI)],
        [
            {"ends": "input-a", "synapses": shared(CHANNELS, 14)},
            {"ends": "a-a", "synapses": sparse(14, 14), "delays": AXONAL},
            {"ends": "a-output"},
        ],
    )
    program = graph.program()
    kernel, _, out = program.network.projections
    assert kernel.synapses is not None
    values = {t.name: np.zeros(t.shape, np.float32) for t in program.tensors}
    values[kernel.name][0] = 1.0  # two of six
    values[out.name][:, 0] = 1.0  # a third of 42
    activations = np.zeros((2, late_steps(program) + 1, CHANNELS + 14 + CLASSES), np.int64)
    activations[0, -1, CHANNELS] = 5
    activations[0, 0, CHANNELS + 1] = 3  # in the last step: they do not arrive
    costs = Costs(program=program, energy=Energy(memory=2.0))
    found = costs.measure(values, activations, 4)
    weights, delays, parameters = 6 + 14 * 14 + 42, 14, len(LIF.parameters) + len(LI.parameters)
    longest = 12 + 1  # steps, of what is on its way to each of 14 neurons
    numbers = weights + delays + parameters + 2 * 14 + 2 * CLASSES + longest * 14
    assert found["footprint"] == 4 * numbers
    assert found["connection_sparsity"] == pytest.approx(1 - (2 + 14) / weights)
    assert found["activation_sparsity"] == pytest.approx(1 - 8 / (14 * graphs.STEPS * 4))
    dense = len(kernel.synapses.pre) + 14 * 14 + 42
    assert found["dense_operations"] == dense * graphs.STEPS
    assert (found["effective_macs"], found["effective_acs"]) == (0, 5 / 4)
    updates = (14 + CLASSES) * graphs.STEPS
    assert found["membrane_updates"] == updates
    moved = 4 * (3 * 5 / 4 + 4 * updates)  # two states of each neuron are read and written
    assert found["memory_traffic"] == moved
    assert found["memory_energy"] == pytest.approx(2.0 * moved / 1000)
    arithmetic = 0.9 * 5 / 4 + 4.6 * 3 * updates  # V of V and I, I of itself
    assert found["energy"] == pytest.approx((arithmetic + 2.0 * moved) / 1000)


@pytest.mark.parametrize(("size", "pj"), [(8192, 10), (8193, 20), (2**20, 100), (2**20 + 1, 1300)])
def test_memory_costs_what_the_smallest_does_that_holds_the_network(size: int, pj: int) -> None:
    assert Energy().of_traffic(16, size) == 2 * pj


def test_costs_are_recorded_in_every_epoch_and_test(tmp_path: Path) -> None:
    train(small(), tmp_path / "with")
    run = load_run(tmp_path / "with")
    for name in ("effective_acs", "effective_operations/in_to_hid", "energy"):
        assert (run.epochs[f"validation_{name}"] > 0).all(), name
        assert run.test[name] > 0
    assert run.test["footprint"] == run.epochs["footprint"][-1] > 0
    assert "train_effective_acs" not in run.epochs
    dearer = small(ENERGY_AC=100.0, ENERGY_MAC=0.0, ENERGY_MEMORY=0.0)
    train(dearer, tmp_path / "dearer")
    own = load_run(tmp_path / "dearer").test
    assert own["effective_acs"] == run.test["effective_acs"]
    assert own["energy"] == pytest.approx(0.1 * own["effective_acs"])
    train(small(N_VALIDATE=0, CHECKPOINT_BEST="training"), tmp_path / "all")
    unvalidated = load_run(tmp_path / "all").epochs
    assert (unvalidated["train_effective_acs"] > 0).all()
    assert "validation_effective_acs" not in unvalidated


def test_what_is_learned_is_the_same_without_costs(tmp_path: Path) -> None:
    for counted in (True, False):
        train(small(OPERATION_COUNTS=counted), tmp_path / str(counted))
    one, other = (dict(numbers(comparable(tmp_path / name))) for name in ("True", "False"))
    assert [name for name in other if one[name] != other[name]] == []
    assert {name.rpartition("/")[2] for name in one.keys() - other.keys()} >= {
        "energy",
        "footprint",
    }
    saved, plain = (load(RunPaths(tmp_path / name).last) for name in ("True", "False"))
    for name, arrays in plain["tensors"].items():
        np.testing.assert_array_equal(arrays["value"], saved["tensors"][name]["value"])


@pytest.mark.long
@pytest.mark.parametrize("keys", [{}, {"PDROP_INPUT": 0.2}])
def test_a_run_that_is_stopped_within_its_epochs_counts_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keys: dict[str, Any]
) -> None:
    monkeypatch.setattr(loop, "CHUNK_S", 0.0)  # one mini-batch at a time
    config = small(N_VALIDATE=0, CHECKPOINT_BEST="training", **keys)
    train(config, tmp_path / "whole")
    assert (load_run(tmp_path / "whole").epochs["train_effective_acs"] > 0).all()
    for look in (3, 10):
        folder = tmp_path / f"stopped{look}"
        assert stopped_at(look, config, folder, monkeypatch)
        assert load(RunPaths(folder).last)["trial"] > 0
        train(config, folder, resume=True)
        assert_same_run(folder, tmp_path / "whole")
