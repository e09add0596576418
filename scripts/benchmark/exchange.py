"""Networks in the NIR format as other programs execute them: spikes and potentials of each node.

Norse and Sinabs read the file themselves. The reader of snnTorch (1.0) fails for convolutional and
recurrent networks, and lets neurons of kind IF leak; so its neurons are made here as that reader
means to, with the synapses of PyTorch, along the edges of the file.

Their steps: a spike is a current of 1 for one step. Layers pass spikes on within a step; where the
edges make a loop, the last edge takes what its source had in the step before. dt is in s.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nir
import numpy as np
import torch

import snnrun
from snnrun.exchange.reader import OUTPUT, unique
from snnrun.record.spikes import SpikeRecord

torch.set_num_threads(1)  # steps are small
NEURONS = (nir.IF, nir.LIF, nir.CubaLIF, nir.LI, nir.CubaLI)
NEVER = 1e30  # threshold of what only integrates


@dataclass
class Traces:
    """What the neurons did in each step, by the names of their nodes.

    spikes      node -> [steps, examples, *shape], counts in float32
    potentials  node -> the same of potentials after the reset; Sinabs keeps none
    """

    spikes: dict[str, Any] = field(default_factory=dict)
    potentials: dict[str, Any] = field(default_factory=dict)

    def add(self, node: str, spikes: Any, potential: Any) -> None:
        for kept, of_step in ((self.spikes, spikes), (self.potentials, potential)):
            kept.setdefault(node, []).append(of_step.detach().numpy().astype(np.float32))

    def stacked(self) -> Traces:
        return Traces(*({k: np.stack(v) for k, v in d.items()} for d in vars(self).values()))


def spiking(graph: nir.NIRGraph) -> nir.NIRGraph:
    """Return a copy of a flat graph that the readers take: integrators as neurons that never spike.

    What is flattened keeps the axis of the examples.
    """
    graph = deepcopy(graph)
    for name, node in graph.nodes.items():
        if isinstance(node, nir.Flatten):
            node.start_dim, node.end_dim = 1, -1
        elif isinstance(node, nir.LI | nir.CubaLI):
            kind = nir.LIF if isinstance(node, nir.LI) else nir.CubaLIF
            given = {k: v for k, v in vars(node).items() if k not in OF_ALL}
            graph.nodes[name] = kind(**given, v_threshold=np.full_like(node.r, NEVER))
    return graph


OF_ALL = ("input_type", "output_type", "metadata")


def in_norse(graph: nir.NIRGraph, events: np.ndarray, dt: float) -> Traces:
    """Execute a graph on events [steps, examples, *shape] in Norse, by its own reader."""
    import norse

    graph, traces = spiking(graph), Traces()
    logging.getLogger().setLevel(logging.ERROR)  # it warns of r != 1
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        network = norse.torch.from_nir(graph, dt=dt, ignore_warnings=True)
    nodes = {k.replace(".", "_"): k for k, n in graph.nodes.items() if isinstance(n, NEURONS)}
    state = None
    with torch.no_grad():
        for of_step in torch.from_numpy(events):
            _, state = network(of_step, state)
            for name, node in nodes.items():
                (last,) = state.state[name]
                last = last[1] if isinstance(graph.nodes[node], nir.CubaLIF) else last
                traces.add(node, state.cache[name], last.v.expand_as(state.cache[name]))
    return traces.stacked()


def in_sinabs(graph: nir.NIRGraph, events: np.ndarray) -> Traces:
    """Execute a graph on events [steps, examples, *shape] in Sinabs, by its own reader.

    It takes time constants as numbers of steps.
    """
    from sinabs.nir import from_nir

    graph, traces = deepcopy(graph), Traces()
    steps, examples = events.shape[:2]
    network = from_nir(graph, batch_size=examples, num_timesteps=steps)

    def keep(node: str) -> Any:
        def hook(module: Any, given: Any, found: torch.Tensor) -> None:
            found = found.detach().unflatten(0, (examples, steps))
            traces.spikes[node] = found.swapaxes(0, 1).numpy()

        return hook

    for node in network.execution_order:
        if isinstance(graph.nodes.get(node.name), NEURONS):
            node.elem.register_forward_hook(keep(node.name))
    with torch.no_grad():
        network(torch.from_numpy(events).swapaxes(0, 1).flatten(0, 1))
    return traces


def in_snntorch(graph: nir.NIRGraph, events: np.ndarray, dt: float) -> Traces:
    """Execute a flat graph on events [steps, examples, *shape] by the neurons of snnTorch."""
    graph, traces = spiking(graph), Traces()
    order = ordered(graph)
    modules = {node: module_of(graph.nodes[node], dt) for node in order}
    gains = {k: gain_of(n, dt) for k, n in graph.nodes.items() if isinstance(n, NEURONS)}
    states: dict[str, tuple[Any, ...]] = {}
    with torch.no_grad():
        found = {  # before the first step: a loop carries its bias alone
            a: modules[a](torch.zeros(events.shape[1], graph.nodes[a].weight.shape[1]))
            for a, b in graph.edges
            if order.index(a) > order.index(b)
        }
        for of_step in torch.from_numpy(events):
            for node in order:  # what follows the node still has what it had in the step before
                arriving = [found[a] for a, b in graph.edges if b == node] or [of_step]
                emitted = modules[node](sum(arriving[1:], arriving[0]), *states.get(node, ()))
                if node in gains:
                    emitted, *states[node] = emitted
                    traces.add(node, emitted, states[node][-1] * tensor(gains[node]))
                found[node] = emitted
    return traces.stacked()


def ordered(graph: nir.NIRGraph) -> list[str]:
    """Return the nodes from the input on, each after its sources but for those that close loops."""
    found: list[str] = []
    seen: set[str] = set()

    def walk(node: str) -> None:
        seen.add(node)
        for source, target in graph.edges:
            if source == node and target not in seen:
                walk(target)
        found.append(node)

    walk(input_of(graph))
    return found[::-1]


def module_of(node: nir.NIRNode, dt: float) -> Any:
    """Return what a node does in a step: a neuron of snnTorch, or a function of what arrives."""
    call = torch.nn.functional
    windows = {
        key: tuple(int(n) for n in np.broadcast_to(getattr(node, key), 2))
        for key in ("kernel_size", "stride", "padding", "dilation")
        if hasattr(node, key)
    }
    if isinstance(node, NEURONS):
        return neuron_of(node, dt)
    if isinstance(node, nir.Affine | nir.Linear):
        return torch_layer(call.linear, node)
    if isinstance(node, nir.Conv2d):
        return torch_layer(call.conv2d, node, **windows, groups=int(node.groups))
    if isinstance(node, nir.SumPool2d):
        return lambda x: call.avg_pool2d(x, **windows, divisor_override=1)
    if isinstance(node, nir.AvgPool2d):
        return lambda x: call.avg_pool2d(x, **windows)
    if isinstance(node, nir.Flatten):
        return lambda x: x.flatten(1)
    if isinstance(node, nir.Input | nir.Output):
        return lambda x: x
    raise NotImplementedError(f"{type(node).__name__} in snnTorch")


def torch_layer(function: Any, node: nir.NIRNode, **options: Any) -> Any:
    weight, bias = (tensor(getattr(node, key, None)) for key in ("weight", "bias"))
    return lambda x: function(x, weight, bias, **options)


def neuron_of(node: nir.NIRNode, dt: float) -> Any:
    """Return a neuron of snnTorch, as its reader makes it: it resets to zero, in its own step.

    Its potential has the gain of the input as its unit.
    """
    import snntorch

    threshold = tensor(node.v_threshold / gain_of(node, dt))
    options = {"threshold": threshold, "reset_mechanism": "zero", "reset_delay": False}
    if isinstance(node, nir.IF):
        return snntorch.Leaky(beta=1.0, **options)
    if np.any(node.v_leak != 0):
        raise NotImplementedError("v_leak in snnTorch")
    if isinstance(node, nir.LIF):
        return snntorch.Leaky(beta=tensor(1 - dt / node.tau), **options)
    alpha, beta = tensor(1 - dt / node.tau_syn), tensor(1 - dt / node.tau_mem)
    return snntorch.Synaptic(alpha=alpha, beta=beta, **options)


def gain_of(node: nir.NIRNode, dt: float) -> np.ndarray:
    """Return how far an input of 1 moves the potential in its step."""
    if isinstance(node, nir.IF):
        return node.r
    if isinstance(node, nir.LIF):
        return node.r * dt / node.tau
    return node.w_in * (dt / node.tau_syn) * (node.r * dt / node.tau_mem)


def tensor(values: Any) -> Any:
    """Return an array as float32; None stays None."""
    return None if values is None else torch.from_numpy(np.asarray(values, np.float32))


def in_snnrun(
    file: str | Path, events: np.ndarray, dt: float, *, potentials: bool = True, **keys: Any
) -> Traces:
    """Execute a file of a flat graph on events [steps, examples, *shape] in snnrun.

    ``keys``: as network.stepping. A spike reaches the next layer a step later here than it does in
    the others; what comes back is in their steps.
    """
    graph = nir.read(file)
    steps, lags = len(events), lags_of(graph)
    given = np.pad(events, [(0, max(lags.values())), *[(0, 0)] * (events.ndim - 1)])
    given = channels_last(given).reshape(*given.shape[:2], -1).swapaxes(0, 1).astype(int)
    names = {k: unique(k, set()) for k, n in graph.nodes.items() if isinstance(n, NEURONS)}
    if not spikes(graph.nodes[last_of(graph)]):
        names[last_of(graph)] = OUTPUT
    own = {"network": "nir", "network.file": str(file), "DT_MS": dt * 1000}
    own |= {"TRIAL_MS": given.shape[1] * dt * 1000, "LOSS_TYPE": "max", "preset": "none"}
    subtracted = keys.get("network.stepping") == "sinabs"
    courses = [(name, "V") for name in names.values()] if potentials else []
    sent = [name for node, name in names.items() if spikes(graph.nodes[node])]
    found = snnrun.evaluate(own | keys, given, spikes=sent, variables=courses)
    traces = Traces()
    for node, name in names.items():
        seen = slice(lags[node], lags[node] + steps)
        shape = np.shape(graph.nodes[node].r)
        if name in sent:
            emitted = dense(found.spikes[name], range(len(given)), given.shape[1], dt)[seen]
            traces.spikes[node] = channels_first(emitted, shape)
        if potentials:
            course = channels_first(found.variables[name, "V"].swapaxes(0, 1)[seen], shape)
            emitted = traces.spikes.get(node)
            traces.potentials[node] = after_reset(course, emitted, graph.nodes[node], subtracted)
    return traces


def spikes(node: nir.NIRNode) -> bool:
    return hasattr(node, "v_threshold")


def after_reset(potential: Any, emitted: Any, node: nir.NIRNode, subtracted: bool) -> Any:
    """Return potentials after the reset; ``subtracted``: by the threshold of each spike."""
    if emitted is None:
        return potential
    if subtracted:
        return potential - emitted * node.v_threshold
    return np.where(emitted > 0, 0.0, potential)


def input_of(graph: nir.NIRGraph) -> str:
    return next(name for name, node in graph.nodes.items() if isinstance(node, nir.Input))


def last_of(graph: nir.NIRGraph) -> str:
    """Return the node before the output."""
    return next(a for a, b in graph.edges if isinstance(graph.nodes[b], nir.Output))


def lags_of(graph: nir.NIRGraph) -> dict[str, int]:
    """Return how many neurons stand before each node."""
    order, lags = ordered(graph), dict[str, int]()
    for i, node in enumerate(order):
        before = [a for a, b in graph.edges if b == node and a in order[:i]]
        behind = [lags[a] + isinstance(graph.nodes[a], NEURONS) for a in before]
        lags[node] = max(behind, default=0)
    return lags


def dense(record: SpikeRecord, examples: Sequence[int], steps: int, dt: float) -> np.ndarray:
    """Return the spikes of some examples of a record, float32 [steps, examples, neurons]."""
    found = np.zeros((steps, len(examples), record.n_neurons), np.float32)
    for at, example in enumerate(examples):
        times_ms, neurons = record.example(example)
        of_step = np.rint(times_ms / (dt * 1000)).astype(int) - 1
        np.add.at(found, (of_step, at, neurons), 1)
    return found


def channels_last(x: np.ndarray) -> np.ndarray:
    """Return [steps, examples, channels, *places] as [steps, examples, *places, channels]."""
    return np.moveaxis(x, 2, -1)


def channels_first(x: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Return [steps, examples, neurons] of snnrun as [steps, examples, *shape] of the file."""
    return np.moveaxis(x.reshape(*x.shape[:2], *shape[1:], *shape[:1]), -1, 2)
