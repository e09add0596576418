"""Random NIR graphs that are read, written and read again."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import snnrun
from snnrun.config import validate
from snnrun.exchange.trained import Trained
from snnrun.interface.training import composed_of
from snnrun.network.build import build_network, initial_weights

nir = pytest.importorskip("nir", reason="needs the package nir: pip install '.[nir]'")

from nir_files import saved  # noqa: E402

from snnrun.exchange.writer import written  # noqa: E402

STEPS = 25
FIELDS = {
    "LIF": ("tau", "r", "v_leak", "v_threshold", "v_reset"),
    "CubaLIF": ("tau_mem", "tau_syn", "r", "v_leak", "v_threshold", "v_reset", "w_in"),
    "IF": ("r", "v_threshold", "v_reset"),
    "LI": ("tau", "r", "v_leak"),
    "CubaLI": ("tau_mem", "tau_syn", "r", "v_leak", "w_in"),
}
RANGES = {"tau": (0.003, 0.03), "tau_mem": (0.003, 0.03), "tau_syn": (0.003, 0.03)}
RANGES |= {"r": (1, 9), "v_threshold": (0.2, 1), "w_in": (1, 5)}
PLAIN = {"v_leak": 0.0, "v_reset": 0.0}
ABLE = {  # stepping -> neurons that it has; sinabs takes tau in steps
    "exact": ("LIF", "CubaLIF", "IF"),
    "jump": ("LIF", "CubaLIF", "IF"),
    "euler": ("LIF", "CubaLIF", "IF"),
    "norse": ("LIF", "CubaLIF", "IF"),
    "snntorch": ("LIF", "CubaLIF", "IF"),
    "sinabs": ("IF",),
}
WITHOUT_R = ("norse", "sinabs")
Nodes = dict[str, Any]
Edges = list[tuple[str, str]]


def neuron(kind: str, shape: tuple[int, ...], stepping: str, random: np.random.Generator) -> Any:
    def values(name: str) -> np.ndarray:
        if name in PLAIN or (name == "r" and stepping in WITHOUT_R):
            return np.full(shape, PLAIN.get(name, 1.0))
        if random.random() < 0.5:
            return np.full(shape, random.uniform(*RANGES[name]))
        return random.uniform(*RANGES[name], shape)

    return getattr(nir, kind)(**{name: values(name) for name in FIELDS[kind]})


def linear(sources: int, targets: int, random: np.random.Generator, biased: bool) -> Any:
    weight = random.normal(0.6, 1.0, (targets, sources))
    if biased:
        return nir.Affine(weight=weight, bias=random.normal(0, 0.05, targets))
    return nir.Linear(weight=weight)


def of_kernels(random: np.random.Generator, stepping: str) -> tuple[Nodes, Edges, tuple[int, ...]]:
    """Return an image's way through a kernel, a pooling and a matrix."""
    conv = nir.Conv2d(
        input_shape=np.array([6, 6]),
        weight=random.normal(0.3, 0.8, (3, 2, 3, 3)),
        stride=np.array([1, 1]),
        padding=np.array([1, 1]),
        dilation=np.array([1, 1]),
        groups=1,
        bias=random.normal(0, 0.02, 3),
    )
    sides = np.array([2, 2])
    pool = (nir.SumPool2d, nir.AvgPool2d)[int(random.integers(2))]
    nodes = {
        "conv": conv,
        "a": neuron(ABLE[stepping][-1], (3, 6, 6), stepping, random),
        "pool": pool(kernel_size=sides, stride=sides, padding=np.array([0, 0])),
        "flat": nir.Flatten(np.array([3, 3, 3]), 0, -1),
        "full": linear(27, 4, random, True),
    }
    return nodes, [("conv", "a"), ("a", "pool"), ("pool", "flat"), ("flat", "full")], (2, 6, 6)


def random_graph(seed: int, stepping: str, kernels: bool, depth: int) -> Any:
    """Return a graph: kernels or not, then layers with skips, loops, delays and scales."""
    random = np.random.default_rng(seed)
    nodes, edges, shape = of_kernels(random, stepping) if kernels else ({}, [], (3,))
    if not kernels:
        nodes["full"] = linear(3, 4, random, bool(random.integers(2)))
    first, before = next(iter(nodes)), "full"
    for at in range(depth):
        last = at == depth - 1
        kind = str(random.choice(ABLE[stepping]))
        if last and random.random() < 0.5 and stepping != "sinabs":
            kind = {"LIF": "LI", "CubaLIF": "CubaLI"}.get(kind, kind)
        name = f"n{at}"
        nodes[name] = neuron(kind, (4,), stepping, random)
        edges.append((before, name))
        if kind in ABLE[stepping] and random.random() < 0.4:
            nodes[f"back{at}"] = linear(4, 4, random, bool(random.integers(2)))
            edges += [(name, f"back{at}"), (f"back{at}", name)]
        if last:
            edges.append((name, "output"))
            break
        nodes[f"w{at}"] = linear(4, 4, random, bool(random.integers(2)))
        before = name
        if random.random() < 0.3:
            nodes[f"d{at}"] = nir.Delay(random.uniform(0.001, 0.004, 4))
            edges.append((before, f"d{at}"))
            before = f"d{at}"
        edges.append((before, f"w{at}"))
        before = f"w{at}"
    ends = {"input": nir.Input(np.array(shape)), "output": nir.Output(np.array([4]))}
    return nir.NIRGraph(
        nodes=ends | nodes, edges=[("input", first), *edges], type_check=False
    ), shape


def run(file: str, stepping: str | None, shape: tuple[int, ...], folder: Path) -> tuple[Any, Any]:
    """Return what a network of a file does, and its file when written again."""
    keys = {"network": "nir", "network.file": file, "network.stepping": stepping}
    keys |= {"backend.name": "numpy", "LOSS_TYPE": "max", "DT_MS": 1.0, "TRIAL_MS": float(STEPS)}
    keys |= {"preset": "none", "rule": "surrogate"}
    config = validate(composed_of(keys)[0])
    inputs, outputs = (config.graph.input, config.graph.populations[-1])
    sizes = inputs.fields["size"], outputs.fields["size"]
    network = build_network(config, *sizes, inputs.fields.get("shape", ()))
    names = [layer.population.name for layer in network.layers[:-1]]
    x = (np.random.default_rng(1).random((1, STEPS, int(np.prod(shape)))) < 0.4).astype(int)
    seen = snnrun.evaluate(keys, x, spikes=names, variables=[("output", "V")])
    tensors = {n: {"value": w} for n, w in initial_weights(network, 0).items()}
    for layer in network.layers:
        for p in layer.projections:
            if p.delays is not None:
                tensors[f"{p.name}_delays"] = {"value": p.delays.start}
        if rows := [np.asarray(layer.population.values[n]) for n in layer.population.per_neuron]:
            tensors[f"{layer.population.name}_parameters"] = {"value": np.array(rows)}
    graph, _ = written(Trained.of(network, tensors, 1.0, {}))
    spikes = {n: tuple(map(np.ndarray.tolist, seen.spikes[n].example(0))) for n in names}
    return (spikes, seen.variables["output", "V"]), saved(graph, folder, "again.nir")


def same_when_read_again(seed: int, stepping: str, kernels: bool, depth: int) -> None:
    graph, shape = random_graph(seed, stepping, kernels, depth)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (spikes, potential), again = run(saved(graph, folder), stepping, shape, folder)
        (same, equal), _ = run(again, None, shape, folder)
    assert spikes == same
    assert np.array_equal(potential, equal)


def test_a_graph_that_is_read_and_written_is_the_same_when_it_is_read_again() -> None:
    same_when_read_again(1, "euler", False, 1)


@pytest.mark.long
@settings(max_examples=30, deadline=None, derandomize=True, suppress_health_check=[*HealthCheck])
@given(
    seed=st.integers(0, 10**6),
    stepping=st.sampled_from(sorted(ABLE)),
    kernels=st.booleans(),
    depth=st.integers(1, 3),
)
def test_thirty_graphs_are_the_same_when_they_are_read_again(
    seed: int, stepping: str, kernels: bool, depth: int
) -> None:
    same_when_read_again(seed, stepping, kernels, depth)
