"""A trained network as a NIR graph.

What NIR has no word for stands in the metadata of graph and nodes, so that a file of this project
is read back bit for bit; other programs leave it aside.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from snnrun.connectivity import Shape
from snnrun.errors import ModelError
from snnrun.exchange.chain import Chain
from snnrun.exchange.jumps import MS, fields_of, for_euler, spread
from snnrun.exchange.lags import lags_of
from snnrun.exchange.linear import numbering
from snnrun.exchange.neurons import Reading, own_metadata
from snnrun.exchange.nodes import OWN, require_nir
from snnrun.exchange.reader import COUNTED, SUMMED, unique
from snnrun.exchange.trained import Trained
from snnrun.models.neurons import LI, LIF
from snnrun.models.nir import NIR_NEURONS

if TYPE_CHECKING:
    from snnrun.models.declare import Neuron
    from snnrun.network.network import Network, Population, Projection

JUMP = "jump"  # how neurons of this project take their spikes
EULER = (JUMP, "euler", "norse", "snntorch")  # what forward Euler can do
BY_NEURON = {neuron.name: name for name, neuron in NIR_NEURONS.items()}
OWN_NAMES = {LIF.name: ("CubaLIF", "LIF"), LI.name: ("CubaLI", "LI")}  # of NIR, and here
KERNELS = ("conv1d", "conv2d")
POOLS = {"sum_pool": "SumPool2d", "mean_pool": "AvgPool2d"}


class Writer:
    """Writes one network."""

    def __init__(self, trained: Trained, euler: bool) -> None:
        self.nir = require_nir("snnrun export --to nir")
        self.trained, self.euler = trained, euler
        self.network: Network = trained.network
        self.stepping = self._stepping()
        self.reading = Reading(stepping=self.stepping, dt=trained.dt, file_step=None, spikes=False)
        self.nodes: dict[str, Any] = {}
        self.edges: list[tuple[str, str]] = []
        self.notices: list[str] = []
        names = {p.name for p in self.network.populations}
        self.end = unique("out", names | {p.name for p in self.network.projections})

    def graph(self) -> Any:
        """Return the NIRGraph.

        Raises:
            ModelError: NIR has no counterpart for a neuron or a projection, which it names.
        """
        network, last = self.network, self.network.layers[-1].population
        self.nodes["input"] = self.nir.Input(np.array(self._shape(network.input)))
        for layer in network.layers:
            if (node := self._node_of(layer.population)) is not None:
                self.nodes[layer.population.name] = node
        lags = self._lags()
        for layer in network.layers:
            biases, looped = self._biases(layer.population)
            for projection in layer.projections:
                if self._counts(layer.population):
                    continue
                if looped.any() and projection.source == projection.target:
                    looped = self._chain(projection, looped, lags)
                else:
                    biases = self._chain(projection, biases, lags)
            if biases.any() or looped.any():
                raise ModelError(
                    f"population {layer.population.name}: none of its projections can carry its "
                    "biases in NIR, where they stand beside weights; take --to npz"
                )
        self.nodes[self.end] = self.nir.Output(np.array(self._shape(last)))
        source = last.name
        if self._counts(last):
            source = network.layers[-1].projections[0].source
        if not self._sums(last):
            self.edges.append((source, self.end))
        about = {**self.trained.about, "dt_ms": self.trained.dt, "stepping": self.stepping}
        return self.nir.NIRGraph(
            nodes=self.nodes, edges=self.edges, metadata={OWN: json.dumps(about)}, type_check=False
        )

    # Neurons

    def _neuron(self, population: Population) -> Neuron:
        assert population.neuron is not None
        return population.neuron

    def _counts(self, population: Population) -> bool:
        return BY_NEURON.get(self._neuron(population).name) == COUNTED

    def _sums(self, population: Population) -> bool:
        return BY_NEURON.get(self._neuron(population).name) == SUMMED

    def _stepping(self) -> str:
        """Return how the neurons step, which is the same for all."""
        found = {}
        for layer in self.network.layers:
            name = self._neuron(layer.population).name
            if name in OWN_NAMES:
                found[JUMP] = layer.population.name
            elif name in BY_NEURON and BY_NEURON[name] not in (COUNTED, SUMMED):
                found[BY_NEURON[name].split(".")[1]] = layer.population.name
        if len(found) > 1:
            (one, a), (other, b), *_ = found.items()
            raise ModelError(
                f"populations {a} and {b} step in different ways, {one} and {other}; NIR files "
                "have one; take --to npz"
            )
        stepping = next(iter(found), JUMP)
        if self.euler and stepping not in EULER:
            raise ModelError(
                f"population {found[stepping]} steps by network.stepping={stepping}, which forward "
                "Euler cannot do; leave --stepping out"
            )
        return stepping

    def _node_of(self, population: Population) -> Any | None:
        """Return the node of a population, None where it is none of NIR's."""
        neuron = self._neuron(population)
        if self._counts(population) or self._sums(population):
            return None
        values = dict(self.trained.parameters[population.name])
        if neuron.name in OWN_NAMES:
            kind, name = OWN_NAMES[neuron.name]
            if values.get("t_ref"):
                self.notices.append(
                    f"population {population.name} has a refractory period of {values['t_ref']:g} "
                    "ms, which NIR does not know: other programs will leave it out"
                )
            fields = fields_of(
                values | {"gain": 1.0, "v_leak": 0.0}, population.size, self.trained.dt
            )
            if neuron.name == LI.name:
                fields = {n: v for n, v in fields.items() if not n.startswith(("v_th", "v_re"))}
        elif neuron.name in BY_NEURON:
            name = BY_NEURON[neuron.name].removesuffix(".late")
            kind = name.split(".")[2]
            fields = self._of_step(kind, values, population.size)
        else:
            raise ModelError(
                f"population {population.name}: NIR has no counterpart for neuron {neuron.name}; "
                f"it has some for {', '.join(n for _, n in OWN_NAMES.values())} and for those of "
                "NIR files. Take --to npz or --to torch, which hold all numbers"
            )
        if self.euler and self.stepping == JUMP:
            fields = for_euler(fields, self.trained.dt / MS)
        shape = self._shape(population)
        arrays = {
            n: spread(v, population.size)[numbering(shape)].reshape(shape)
            for n, v in fields.items()
        }
        node = getattr(self.nir, kind)(**arrays)
        kept = {n: v for n, v in values.items() if n not in ("bias", "lag", "drive", "first")}
        node.metadata = {OWN: own_metadata(name, kept, arrays)}
        return node

    def _of_step(self, kind: str, values: Mapping[str, Any], size: int) -> dict[str, np.ndarray]:
        """Return the fields of a neuron of NIR."""
        if "gain" in values:
            return fields_of(values, size, self.trained.dt)
        cuba = kind.startswith("Cuba")
        names = {"tau_syn": "tau_syn", "tau_mem": "tau_mem" if cuba else "tau", "r": "r"}
        names |= {"v_leak": "v_leak", "w_in": "w_in", "v_thresh": "v_threshold"}
        names |= {"v_reset": "v_reset"}
        fields = {theirs: values[n] for n, theirs in names.items() if n in values}
        if kind != "IF" and kind != "I":
            fields.setdefault("v_leak", 0.0)
        fields.setdefault("r", 1.0)
        found = {n: spread(v, size) for n, v in fields.items()}
        for name in ("tau", "tau_mem", "tau_syn"):
            if name in found:
                found[name] = found[name] / self.reading.scale
        if "v_threshold" in found:
            found.setdefault("v_reset", np.zeros(size))
        return found

    def _biases(self, population: Population) -> tuple[np.ndarray, np.ndarray]:
        """Return what is added to the input of each neuron in a step.

        The second part must stand behind the neurons themselves.
        """
        values = self.trained.parameters[population.name]
        bias = spread(values.get("bias", 0.0), population.size)
        if "drive" in values:
            bias = spread(values["drive"], population.size) * self.trained.dt
            bias = bias / spread(values["tau_syn"], population.size)
        if self.euler and self.stepping == JUMP and bias.any():
            raise ModelError(
                f"population {population.name} has biases, which act within a step here and at its "
                "end in forward Euler; leave --stepping out"
            )
        looped = spread(values.get("first", 0.0), population.size)
        return bias - looped, looped

    # Shapes

    def _shape(self, population: Population) -> Shape:
        """Return the shape of a population's array in the file."""
        if not self._shaped(population):
            return (population.size,)
        return (population.grid[-1], *population.grid[:-1])

    def _shaped(self, population: Population) -> bool:
        """Return whether a population needs its shape: some projection looks at it."""
        if not population.grid:
            return False
        if population is self.network.input and population.grid[-1] > 1:
            return True
        return any(
            population.name in (p.source, p.target) and self._looks(p)
            for p in self.network.projections
        )

    def _looks(self, projection: Projection) -> bool:
        kind = projection.kind
        return kind is not None and (kind.name in (*KERNELS, *POOLS) or isinstance(kind, Chain))

    # Projections

    def _lags(self) -> dict[str, int]:
        edges = [(p.source, p.target) for p in self.network.projections]
        names = [layer.population.name for layer in self.network.layers]
        return lags_of(names, edges, [self.network.input.name], self.stepping)

    def _chain(
        self, projection: Projection, biases: np.ndarray, lags: Mapping[str, int]
    ) -> np.ndarray:
        """Add the nodes of a projection; return the biases that it could not take along."""
        self._refuse(projection)
        source = self._population(projection.source)
        target = self._population(projection.target)
        nodes, taken = self._linear(projection, source, target, biases)
        steps = lags[target.name] - lags[source.name] - (source is not self.network.input)
        delay = self._delay(projection, max(0, steps) * self.trained.dt)
        if delay is not None:
            at = len(nodes) if _of_targets(projection) else 0
            nodes.insert(at, (f"{projection.name}_delay", delay))
        end = self.end if self._sums(target) else target.name
        before = "input" if source is self.network.input else source.name
        for name, node in nodes:
            self.nodes[name] = node
            self.edges.append((before, name))
            before = name
        self.edges.append((before, end))
        return np.zeros_like(biases) if taken else biases

    def _population(self, name: str) -> Population:
        return next(p for p in self.network.populations if p.name == name)

    def _refuse(self, projection: Projection) -> None:
        where = f"projection {projection.name}"
        if projection.port:
            raise ModelError(
                f"{where}: leads to port {projection.port}, and neurons of NIR have one input; "
                "take --to npz"
            )
        if projection.delays is not None and projection.delays.kind.value == "synaptic":
            raise ModelError(
                f"{where}: has a delay for each synapse, and NIR has delays of neurons; take "
                "--to npz"
            )

    def _delay(self, projection: Projection, extra: float) -> Any | None:
        """Return the node of a projection's delays; ``extra`` (ms) is what reading adds to them."""
        found = self.trained.delays.get(projection.name)
        if found is None:
            return None
        delays = np.asarray(found, float).ravel() - extra
        if (delays < -1e-6 * self.trained.dt).any():
            raise ModelError(
                f"projection {projection.name}: a delay is shorter than the {extra:g} ms by which "
                "its target starts later; take --to npz"
            )
        if not delays.any():
            return None
        end = projection.target if _of_targets(projection) else projection.source
        shape = self._shape(self._population(end))
        return self.nir.Delay((delays / self.reading.scale)[numbering(shape)].reshape(shape))

    def _linear(
        self, projection: Projection, source: Population, target: Population, biases: np.ndarray
    ) -> tuple[list[tuple[str, Any]], bool]:
        """Return the linear nodes of a projection, and whether the biases are in them."""
        kind, weights = projection.kind, self.trained.weights[projection.name]
        name = projection.name
        if isinstance(kind, Chain):
            return kind.written(name, weights, biases)
        if kind is not None and kind.name in KERNELS and kind.values["padding"] != "same":
            per_channel = biases.reshape(-1, target.grid[-1])
            taken = bool((per_channel == per_channel[0]).all())
            bias = per_channel[0] if taken else np.zeros(target.grid[-1])
            return [(name, self._conv(kind.values, source, weights, bias))], taken
        if kind is not None and kind.name in POOLS and len(source.grid) == 3:
            return list(self._pool(name, kind, source, target)), not biases.any()
        return self._dense(projection, source, target, weights, biases), True

    def _conv(
        self, options: Mapping[str, Any], source: Population, weights: np.ndarray, bias: np.ndarray
    ) -> Any:
        axes = weights.ndim - 2

        def each(value: Any) -> tuple[int, ...]:
            return tuple(value) if isinstance(value, tuple) else (value,) * axes

        places, single = source.grid[:-1], axes == 1
        stride, padding = each(options["stride"]), each(options["padding"])
        node = self.nir.Conv1d if single else self.nir.Conv2d
        return node(
            input_shape=places[0] if single else np.array(places),
            weight=np.ascontiguousarray(np.moveaxis(weights, (-1, -2), (0, 1))),
            stride=stride[0] if single else np.array(stride),
            padding=padding[0] if single else np.array(padding),
            dilation=1 if single else np.array((1,) * axes),
            groups=1,
            bias=np.asarray(bias, float),
        )

    def _pool(
        self, name: str, kind: Any, source: Population, target: Population
    ) -> Iterator[tuple[str, Any]]:
        options = kind.values
        sides = {
            n: np.broadcast_to(options[n] or options["kernel"], 2).copy()
            for n in ("kernel", "stride")
        }
        node = getattr(self.nir, POOLS[kind.name])
        yield (
            name,
            node(kernel_size=sides["kernel"], stride=sides["stride"], padding=np.zeros(2, int)),
        )
        if options["scale"] != 1:
            yield f"{name}_scale", self.nir.Scale(np.full(self._shape(target), options["scale"]))

    def _dense(
        self,
        projection: Projection,
        source: Population,
        target: Population,
        weights: np.ndarray,
        biases: np.ndarray,
    ) -> list[tuple[str, Any]]:
        if self._shaped(target):
            raise ModelError(
                f"projection {projection.name}: leads to all neurons of population {target.name}, "
                "of which another projection needs rows and columns; NIR cannot give a vector a "
                "shape. Take --to npz"
            )
        synapses, nodes = projection.synapses, []
        matrix = weights if synapses is None else synapses.matrix(weights)
        if self._shaped(source):
            shape = self._shape(source)
            matrix = matrix[numbering(shape)]
            flat = self.nir.Flatten(np.array(shape), 0, -1)
            nodes.append((f"{projection.name}_flat", flat))
        own = {} if synapses is None else {OWN: json.dumps({"zeros": "no synapses"})}
        weight = np.ascontiguousarray(matrix.T)
        if biases.any():
            node = self.nir.Affine(weight=weight, bias=biases)
        else:
            node = self.nir.Linear(weight=weight)
        node.metadata = own
        return [*nodes, (projection.name, node)]


def _of_targets(projection: Projection) -> bool:
    return projection.delays is not None and projection.delays.kind.value == "dendritic"


def written(trained: Trained, *, euler: bool = False) -> tuple[Any, list[str]]:
    """Return the NIRGraph of a trained network, and what a reader should know of it.

    ``euler``: time constants and factors are those with which forward Euler does the steps that
    are exact here.

    Raises:
        ConfigError: The package nir is missing.
        ModelError: NIR has no counterpart for a part of the network, which it names.
    """
    writer = Writer(trained, euler)
    return writer.graph(), writer.notices
