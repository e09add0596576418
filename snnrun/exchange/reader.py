"""A NIR file as populations and projections, with the fields that a configuration gives these.

Between two neurons of the file stand chains of linear nodes; each chain is one projection.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from snnrun.connectivity import Shape, size_of
from snnrun.errors import ModelError
from snnrun.exchange.chain import connectivity_of
from snnrun.exchange.lags import lags_of
from snnrun.exchange.linear import Shapes, numbering, ours, reshaped, shapes_of
from snnrun.exchange.maps import Map, one_to_one
from snnrun.exchange.neurons import Bias, Chosen, Reading, chosen
from snnrun.exchange.nodes import (
    LINEAR,
    NEURONS,
    READOUTS,
    Nodes,
    kind_of,
    own_of,
    read_file,
    take_apart,
)

INPUT, OUTPUT, COUNTED = "input", "output", "nir.count"
SUMMED, FROZEN = "nir.sum", "frozen"
Fields = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Parts:
    """What a file describes, as fields of populations and projections (docs/networks.md).

    ``size`` of the input and the output, whose sizes the data decide, are those of the file.
    ``lag``: steps by which the output comes after the input.
    """

    populations: tuple[Fields, ...]
    projections: tuple[Fields, ...]
    inputs: int
    outputs: int
    lag: int


@dataclass(frozen=True, kw_only=True)
class Way:
    """A way from a node to the neuron or output at its end."""

    nodes: tuple[str, ...] = ()  # from its start
    map: Map | None = None  # None: nothing stands between
    delay: float = 0.0  # ms, of all
    delays: tuple[str, np.ndarray] | None = None  # kind, and ms of each


@dataclass(kw_only=True)
class Target:
    """A neuron or output, with what leads to it."""

    node: str
    shape: Shape
    biases: dict[str, np.ndarray] = field(default_factory=dict)  # node -> what it adds
    paths: list[tuple[str, Way]] = field(default_factory=list)  # source node, way

    @property
    def bias(self) -> Bias:
        """What is added to its input in each step."""
        own = {n for source, way in self.paths if source == self.node for n in way.nodes}
        others = {n for source, way in self.paths if source != self.node for n in way.nodes}
        none = np.zeros(prod(self.shape))
        return Bias(
            whole=sum(self.biases.values(), none),
            looped=sum((self.biases[n] for n in own - others), none),
        )


def parts_of(file: str, reading: Reading) -> Parts:
    """Return what a NIR file describes.

    Raises:
        ModelError: It cannot be read, or has something that there is not here; named by its node.
    """
    path = Path(file).expanduser()
    try:
        stamp = path.stat().st_mtime_ns
    except OSError:
        stamp = 0
    return _parts(path.absolute(), stamp, reading)


@lru_cache(maxsize=4)
def _parts(path: Path, stamp: int, reading: Reading) -> Parts:
    try:
        graph = take_apart(read_file(path))
        return Reader(graph, _settled(reading, graph)).parts()
    except ModelError as error:
        raise ModelError(f"network.file={path}: {error}") from error


def _settled(reading: Reading, graph: Nodes) -> Reading:
    """Return how a file is read, with what this project noted in it."""
    noted = (own_of(graph) or {}).get("stepping")
    return replace(reading, stepping=reading.stepping or noted)


class Reader:
    """Reads one graph."""

    def __init__(self, graph: Nodes, reading: Reading) -> None:
        self.graph, self.reading = graph, reading
        self.shapes: Shapes = shapes_of(graph)
        self.inputs = [n for n in graph.kinds("Input") if not graph.before(n)]
        after = {a for a, _ in graph.edges}
        self.ends = [n for n in graph.kinds("Output") if n not in after]
        if not self.inputs:
            raise ModelError("has no Input node, so that nothing says where the data go")
        if len(self.ends) != 1:
            raise ModelError(
                f"has {len(self.ends)} Output nodes ({', '.join(self.ends)}); one is needed, which "
                "gives the classes"
            )

    def parts(self) -> Parts:
        """Return the populations and projections."""
        targets = [self._target(name) for name in self.graph.kinds(*NEURONS)]
        end = self._target(self.ends[0])
        last = self._neuron_at(end)
        names = self._names(last)
        if last is None:
            targets.append(end)
        edges = [(source, t.node) for t in targets for source, _ in t.paths]
        stepping = self.reading.of_neurons
        lags = lags_of([t.node for t in targets], edges, self.inputs, stepping)
        populations = [self._input()]
        projections: list[Fields] = []
        for target in targets:
            populations.append(self._population(target, names, lags))
            projections += self._projections(target, names, lags)
        lag = lags[last or end.node]
        if last is not None and names[last] != OUTPUT:  # it spikes, and its spikes are counted
            counter, spikes = self._counter(names[last])
            populations.append(counter)
            projections.append(spikes)
            lag += 1
        return Parts(
            populations=tuple(populations),
            projections=tuple(_named(projections)),
            inputs=sum(prod(self.shapes.after[n]) for n in self.inputs),
            outputs=prod(end.shape),
            lag=lag,
        )

    # What leads to a neuron

    def _target(self, name: str) -> Target:
        shape = self.shapes.after[name]
        target = Target(node=name, shape=shape)
        for before in self.graph.before(name):
            self._walk(before, Way(map=self._fit(before, shape)), target, (name,))
        return target

    def _fit(self, before: str, shape: Shape) -> Map | None:
        """Return the map between arrays of the same size and another shape; None if alike."""
        found = self.shapes.after[before]
        if prod(found) != prod(shape):
            raise ModelError(
                f"node {before} gives an array of shape {list(found)}, and what comes behind it "
                f"takes {list(shape)}"
            )
        return None if found == shape or len(found) == len(shape) == 1 else reshaped(found, shape)

    def _walk(self, name: str, way: Way, target: Target, seen: tuple[str, ...]) -> None:
        """Walk back from a target to the neurons and inputs that lead to it."""
        if name in seen[1:]:
            raise ModelError(f"a loop of linear nodes without a neuron, through node {name}")
        kind = kind_of(self.graph.nodes[name])
        if kind in NEURONS or name in self.inputs:
            self._arrive(name, kind, way, target)
            return
        if kind in LINEAR:
            own = self.shapes.maps[name]
            bias = np.zeros(prod(target.shape))
            if own.bias.any():
                bias = own.bias if way.map is None else way.map.applied(own.bias)
            if bias.any() and (way.delay or way.delays):
                raise ModelError(
                    f"node {name} ({kind}) has a bias before a Delay; put the Delay before it"
                )
            if way.delays is not None and way.delays[0] == "axonal":
                raise ModelError(
                    f"a Delay with several values stands behind node {name} ({kind}); it must come "
                    "first behind a neuron, or last before one, or have one value"
                )
            target.biases[name] = target.biases.get(name, 0.0) + bias
            whole = own if way.map is None else own.then(way.map)
            whole = replace(whole, bias=np.zeros(whole.shape[1]))
            way = replace(way, nodes=(name, *way.nodes), map=whole)
        elif kind == "Delay":
            way = self._delayed(name, way)
        for before in self.graph.before(name):
            fit = self._fit(before, self.shapes.before[name])
            further = way if fit is None else _fitted(way, fit)
            self._walk(before, further, target, (*seen, name))

    def _delayed(self, name: str, way: Way) -> Way:
        """Return a way with the delays of a node."""
        shape = self.shapes.after[name]
        given = np.broadcast_to(np.asarray(self.graph.nodes[name].delay, float), shape).ravel()
        delays = given[np.argsort(numbering(shape))] * self.reading.scale
        if (delays < 0).any():
            raise ModelError(f"node {name} (Delay) has a delay below 0")
        if (delays == delays[0]).all():
            return replace(way, delay=way.delay + float(delays[0]))
        if way.delays is not None:
            raise ModelError(f"node {name}: two Delay nodes with several values behind each other")
        if way.nodes:
            return replace(way, delays=("axonal", delays))
        if way.map is not None:
            delays = delays[way.map.pre[np.argsort(way.map.post)]]
        return replace(way, delays=("dendritic", delays))

    def _arrive(self, name: str, kind: str, way: Way, target: Target) -> None:
        """Enter a way whose start is found."""
        ends = kind_of(self.graph.nodes[target.node]) == "Output"
        if kind in READOUTS and not (ends and way.map is None):
            raise ModelError(
                f"node {name} ({kind}) does not spike, and its potential leads to node "
                f"{target.node}; here spikes alone are sent. Put a neuron that spikes in its "
                "place, or end the graph with it"
            )
        target.paths.append((name, way))

    # Populations

    def _neuron_at(self, end: Target) -> str | None:
        """Return the neuron that is the output, None where linear nodes end the graph."""
        if len(end.paths) != 1:
            return None
        name, way = end.paths[0]
        plain = way.map is None and not way.delay and way.delays is None
        return name if plain and name not in self.inputs else None

    def _names(self, last: str | None) -> dict[str, str]:
        """Return node -> name of its population."""
        spiking = last is not None and kind_of(self.graph.nodes[last]) not in READOUTS
        fixed = dict.fromkeys(self.inputs, INPUT) | {self.ends[0]: OUTPUT}
        if last is not None and not (spiking and not self.reading.spikes):
            fixed[last] = OUTPUT
        taken = {INPUT, OUTPUT}
        names = dict(fixed)
        for name in self.graph.kinds(*NEURONS):
            if name not in fixed:
                names[name] = unique(name, taken)
                taken.add(names[name])
        return names

    def _input(self) -> Fields:
        shapes = [self.shapes.after[n] for n in self.inputs]
        if len(shapes) == 1 and len(shapes[0]) in (2, 3):
            return {"name": INPUT, "shape": ours(shapes[0]), "size": size_of(shapes[0])}
        return {"name": INPUT, "size": sum(map(prod, shapes))}

    def _population(
        self, target: Target, names: Mapping[str, str], lags: Mapping[str, int]
    ) -> Fields:
        node = self.graph.nodes[target.node]
        if kind_of(node) == "Output":
            found = Chosen(neuron=SUMMED, parameters={"bias": target.bias.whole})
        else:
            found = chosen(
                target.node, node, target.shape, target.bias, lags[target.node], self.reading
            )
        fields: Fields = {
            "name": names[target.node],
            "size": prod(target.shape),
            "neuron": found.neuron,
            "parameters": dict(found.parameters),
        }
        if len(target.shape) in (2, 3):
            fields["shape"] = ours(target.shape)
        return fields

    def _counter(self, source: str) -> tuple[Fields, Fields]:
        size = prod(self.shapes.after[self.ends[0]])
        counter = {"name": OUTPUT, "size": size, "neuron": COUNTED, "parameters": {}}
        return counter, {
            "from": source,
            "to": OUTPUT,
            "connectivity": "one_to_one",
            "rule": FROZEN,
            "mean": 1.0,
            "std": 0.0,
        }

    def _projections(
        self, target: Target, names: Mapping[str, str], lags: Mapping[str, int]
    ) -> Iterator[Fields]:
        at = 0  # of the first channel of an input
        starts = {}
        for name in self.inputs:
            starts[name] = at
            at += prod(self.shapes.after[name])
        for source, way in target.paths:
            found = way.map or one_to_one(np.ones(prod(target.shape)))
            if source in starts and len(self.inputs) > 1:
                found = _from_part(found, starts[source], at)
            steps = lags[target.node] - lags[source] - (source not in self.inputs)
            fields = _weights(found, [self.graph.nodes[n] for n in way.nodes])
            weighted = [n for n in way.nodes if self.shapes.maps[n].weighted]
            fields["node"] = (weighted or way.nodes or [""])[0]
            fields |= {"from": names[source], "to": names[target.node]}
            yield fields | _delay(way, max(0, steps) * self.reading.dt)


def _weights(found: Map, nodes: Sequence[Any]) -> Fields:
    """Return the fields of a projection that say its synapses and weights."""
    settled = found.settled()
    fields: Fields = {"weights": settled.weights}
    if settled.synapses is not None:
        fields["connectivity"] = connectivity_of(settled.synapses, nodes, settled.factors)
    return fields if found.weighted or found.learned else {**fields, "rule": FROZEN}


def _delay(way: Way, extra: float) -> Fields:
    """Return the field of a projection that says its delays (ms), if it has some."""
    if way.delays is not None:
        kind, values = way.delays
        return {"delay": {"kind": kind, "start": tuple((values + way.delay + extra).tolist())}}
    every = way.delay + extra
    return {"delay": every} if every else {}


def _fitted(way: Way, fit: Map) -> Way:
    """Return a way that begins with an array of another shape."""
    delays = way.delays
    if delays is not None and delays[0] == "axonal":
        delays = ("axonal", delays[1][fit.post[np.argsort(fit.pre)]])
    return replace(way, map=fit if way.map is None else fit.then(way.map), delays=delays)


def _from_part(found: Map, start: int, whole: int) -> Map:
    """Return the map of a larger source, of which it takes the part from ``start`` on."""
    shape = whole, found.shape[1]
    return replace(found, shape=shape, pre=found.pre + start, rows=None, permutes=False)


def unique(name: str, taken: set[str]) -> str:
    """Return a name of letters, digits and single _ for a node, which no other one has."""
    clean = re.sub(r"[^A-Za-z0-9]+", "_", name).strip("_") or "node"
    clean = clean if clean[0].isalpha() else f"n{clean}"
    found, number = clean, 1
    while found in taken:
        number += 1
        found = f"{clean}_{number}"
    return found


def _named(projections: list[Fields]) -> Iterator[Fields]:
    """Give projections the names of the nodes that their weights are from."""
    taken: set[str] = set()
    for fields in projections:
        node = fields.pop("node", "")
        fields["name"] = unique(node or f"{fields['from']}_to_{fields['to']}", taken)
        taken.add(fields["name"])
        yield fields
