"""The populations and projections of a configuration, with what they leave out filled in.

Whichever way the network is described, by keys, layer by layer or as a graph, ``layers_of`` gives
the same choices: each population with the projections that end in it, in the order of the signals.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from snnrun.connectivity import DENSE, Shape
from snnrun.keys.check import NotChecked
from snnrun.rules import find_rule
from snnrun.schema.delays import DelayChoice, delay_choice
from snnrun.schema.fields import FROZEN, INPUT, OUTPUT, fixes_weights
from snnrun.schema.files import FILE_KEY, graph_of_file
from snnrun.schema.given import Given, Graph
from snnrun.schema.layers import LAYERS_KEY, graph_of_layers
from snnrun.schema.lists import POPULATIONS_KEY, PROJECTIONS_KEY, graph_of_lists

Values = Mapping[str, Any]
WEIGHTS = ("mean", "std")  # fields that keys say where they are left out


@dataclass(frozen=True, kw_only=True)
class ProjectionChoice:
    """A projection as it is asked for.

    ``rule``: ``frozen``, or the name of a learning rule. ``sign``: 1 or -1, which all weights have;
    0: any. ``place``: where in the configuration it is described; "" where keys do. ``weights``: an
    array, or the file of one, of the first weights; None: they are drawn.
    """

    name: str
    source: str
    target: str
    mean: float
    std: float
    rule: str
    connectivity: Any
    port: str
    sign: int
    delay: DelayChoice | None
    dropout: float
    place: str
    weights: Any = None


@dataclass(frozen=True, kw_only=True)
class LayerChoice:
    """A population, and the projections that end in it, as they are asked for.

    ``size`` is None for the output, whose size the data decide, which must be that of ``outputs``
    where a file says it; where the population has neither
    size nor shape, ``sized`` is false, and its connections may say both. ``asked_by`` and
    ``parameters_by`` name what an error message about the neuron or its parameters should point at.
    """

    name: str
    size: int | None
    outputs: int | None = None
    shape: Shape
    sized: bool
    neuron: str
    asked_by: str
    parameters: Mapping[str, Any]
    parameters_by: str
    train_tau: bool
    projections: tuple[ProjectionChoice, ...]

    @property
    def forward(self) -> ProjectionChoice:
        """The first one from another population."""
        return next((p for p in self.projections if p.source != self.name), self.projections[0])

    @property
    def recurrent(self) -> ProjectionChoice | None:
        """The first one from the population itself."""
        return next((p for p in self.projections if p.source == self.name), None)


def layers_of(values: Values) -> tuple[LayerChoice, ...]:
    """Return the populations of a configuration, the output last, each with its projections.

    Raises:
        NotChecked: The network's description is wrong by itself.
    """
    graph = graph_of(values)
    place = {name: index for index, name in enumerate(graph.names)}
    layers = []
    for given in graph.populations:
        own, last = given.fields, given.name == OUTPUT
        role = "output" if last else "hidden"
        neuron, parameters = f"{role.upper()}_NEURON_TYPE", f"network.{role}_parameters"
        tail = "_OUTPUT" if last else ""
        layers.append(
            LayerChoice(
                name=given.name,
                size=None if last else own.get("size", values["NUM_HIDDEN"]),
                outputs=own.get("size") if last else None,
                shape=own.get("shape", ()),
                sized=last or "size" in own,
                neuron=own.get("neuron", values[neuron]),
                asked_by=f"{given.place}.neuron" if "neuron" in own else neuron,
                parameters=own.get("parameters", values[parameters]),
                parameters_by=f"{given.place}.parameters" if "parameters" in own else parameters,
                train_tau=own.get("train_tau", values[f"TRAIN_TAU{tail}"]),
                projections=tuple(
                    _projection(values, p, place)
                    for p in graph.projections
                    if p.ends[1] == given.name
                ),
            )
        )
    return tuple(layers)


def graph_of(values: Values) -> Graph:
    """Return what is given of the network, sorted; see Graph.sorted.

    Raises:
        NotChecked: The network's description is wrong by itself.
    """
    graph = described(values)
    known = set(graph.names)
    ends = {end for p in graph.projections for end in p.ends}
    if ends - known or any(p.ends[1] == INPUT for p in graph.projections):
        raise NotChecked(PROJECTIONS_KEY)
    if known - {INPUT} - {p.ends[1] for p in graph.projections}:
        raise NotChecked(POPULATIONS_KEY)
    return graph.sorted()


def described(values: Values) -> Graph:
    """Return what is given of the network, as it is listed.

    Raises:
        NotChecked: There are several descriptions, or half of one.
    """
    populations, projections = values[POPULATIONS_KEY], values[PROJECTIONS_KEY]
    listed = populations or projections
    if values[FILE_KEY] is not None and not (listed or values[LAYERS_KEY]):
        return graph_of_file(values)
    if not listed and values[FILE_KEY] is None:
        return graph_of_layers(values)
    if not (populations and projections) or values[LAYERS_KEY] or values[FILE_KEY] is not None:
        raise NotChecked(PROJECTIONS_KEY)
    return graph_of_lists(populations, projections)


def population_names(values: Values) -> tuple[str, ...]:
    """Return the names of the populations, the input first, the output last."""
    return graph_of(values).names


def projection_names(values: Values) -> tuple[str, ...]:
    """Return the names of the projections from the input to the output."""
    return tuple(p.name for p in graph_of(values).projections)


def expand(name: str, known: Iterable[str]) -> tuple[str, ...]:
    """Return the known names that ``name`` stands for: itself, or all that add a number to it.

    ``hidden`` stands for all populations between the input and the output, ``all`` for all
    projections.
    """
    known = tuple(known)
    if name in known:
        return (name,)
    populations = known[:1] == (INPUT,)
    if name == "hidden" and populations:
        return known[1:-1]
    if name == "all" and not populations:
        return known
    return tuple(k for k in known if k.startswith(name) and k[len(name) :].isdigit())


def expand_all(names: Iterable[str], known: Iterable[str]) -> tuple[str, ...]:
    """Return all that ``names`` stand for, each once."""
    known = tuple(known)
    return tuple(dict.fromkeys(full for name in names for full in expand(name, known)))


def expand_pairs(pairs: Iterable[tuple[str, str]], known: Iterable[str]) -> tuple[Any, ...]:
    """Return [name, variable] pairs with each name expanded, each pair once."""
    known = tuple(known)
    full = ((n, variable) for name, variable in pairs for n in expand(name, known))
    return tuple(dict.fromkeys(full))


def weight_keys(values: Values) -> set[str]:
    """Return the keys of initial weights that projections follow, as they do not say their own.

    Raises:
        NotChecked: The network's description is wrong by itself.
    """
    graph = graph_of(values)
    place = {name: index for index, name in enumerate(graph.names)}
    return {
        f"{_weights(p, place)}_{field.upper()}"
        for p in graph.projections
        for field in WEIGHTS
        if field not in p.fields and not (fixes_weights(p.fields) or "weights" in p.fields)
    }


def _weights(given: Given, place: Mapping[str, int]) -> str:
    """Return what the keys of a projection's initial weights begin with."""
    source, target = given.ends
    if place[source] >= place[target]:
        return "HIDDEN_HIDDEN"
    if target == OUTPUT:
        return "HIDDEN_OUTPUT"
    return "INPUT_HIDDEN" if source == INPUT else "HIDDEN_HIDDENFWD"


def neurons_of(values: Values) -> set[str]:
    """Return the neuron types of all populations."""
    *hidden, _ = graph_of(values).populations
    usual = values["HIDDEN_NEURON_TYPE"]
    return {output_neuron(values), *(str(p.fields.get("neuron", usual)) for p in hidden)}


def output_neuron(values: Values) -> str:
    """Return the neuron type of the output."""
    last = graph_of(values).populations[-1]
    return str(last.fields.get("neuron", values["OUTPUT_NEURON_TYPE"]))


def _projection(values: Values, given: Given, place: Mapping[str, int]) -> ProjectionChoice:
    """Return a projection; ``place``: population -> its place in the order of the signals."""
    own, (source, target) = given.fields, given.ends
    last = target == OUTPUT
    trained = values["TRAIN_W"] and (values["TRAIN_W_OUTPUT"] or not last)
    usual = values["rule.name"]
    if last and find_rule(usual).beside is not None:
        usual = find_rule(usual).gradient.name
    key = _weights(given, place)
    return ProjectionChoice(
        name=given.name,
        source=source,
        target=target,
        mean=own.get("mean", values[f"{key}_MEAN"]),
        std=own.get("std", values[f"{key}_STD"]),
        rule=own.get("rule", usual if trained else FROZEN),
        connectivity=own.get("connectivity", DENSE),
        port=own.get("port", ""),
        sign=own.get("sign", 0),
        delay=delay_choice(own.get("delay")),
        dropout=own.get("dropout", 0.0),
        place=given.place,
        weights=own.get("weights"),
    )
