"""``network.layers``, and networks by keys alone: chains of layers, as short forms of a graph.

A layer is a population and the projections that end in it: one from the layer before, and, where it
is recurrent, one from itself. NUM_HIDDEN, N_HID_LAYER, RECURRENT, ... describe layers that are
alike.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from snnrun.connectivity import DENSE, built_in, read
from snnrun.keys.kinds import Kind, Problems
from snnrun.rules import find_rule
from snnrun.schema.fields import (
    INPUT,
    OUTPUT,
    Fields,
    Reader,
    population_fields,
    projection_of,
    read_fields,
    settle_size,
    wrong_output,
)
from snnrun.schema.given import Given, Graph

LAYERS_KEY = "network.layers"
Values = Mapping[str, Any]


def graph_of_layers(values: Values) -> Graph:
    """Return the graph that layers, or the keys of layers that are alike, describe."""
    given = values[LAYERS_KEY]
    layers: Sequence[Fields] = given or ({},) * _hidden_layers(values)
    if not (layers and layers[-1].get("name") == OUTPUT):
        layers = (*layers, {})
    populations, projections = [], []
    before = INPUT
    names = _population_names(layers)
    parts_of = list(_projections(layers, values["RECURRENT"]))
    for index, (name, parts) in enumerate(zip(names, parts_of, strict=True)):
        fields = {k: v for k, v in layers[index].items() if k not in PARTS}
        place = f"{LAYERS_KEY}[{index}]" if index < len(given) else ""
        populations.append(Given(fields={**fields, "name": name}, place=place))
        for part, own in parts.items():
            ends = {"from": before if part == FORWARD else name, "to": name}
            where = f"{place}.{part}" if place else ""
            projections.append(Given(fields={**own, **ends}, place=where))
        before = name
    return Graph(
        input=Given(fields={"name": INPUT}),
        populations=tuple(populations),
        projections=tuple(projections),
    )


def _hidden_layers(values: Values) -> int:
    """Return the number of hidden layers; with some options of a rule there is none."""
    none = find_rule(values["rule.name"]).no_hidden if "rule.name" in values else None
    alone = none is not None and none.holds(values)
    return 0 if alone else int(values["N_HID_LAYER"])


def has_own(fields: Values, field: str) -> bool:
    """Return whether a layer says a field itself; its size by its shape or its connections too."""
    if field != "size" or "size" in fields:
        return field in fields
    connectivity = fields.get(FORWARD, {}).get("connectivity", DENSE)
    return built_in(connectivity) and read(connectivity, field).target is not None


def _population_names(layers: Sequence[Fields]) -> list[str]:
    """Return the names of the layers, the last of which is the output."""
    hidden = layers[:-1]
    taken = {fields["name"] for fields in hidden if "name" in fields}
    names = []
    for index, fields in enumerate(hidden):
        name = fields.get("name")
        if name is None and len(hidden) == 1:
            name = "hidden"
        if name is None:  # the next number that no other layer has
            free = (f"hidden{i}" for i in range(index, 2 * len(hidden) + 1))
            name = next(n for n in free if n not in taken)
        taken.add(name)
        names.append(name)
    return [*names, OUTPUT]


def _projections(layers: Sequence[Fields], recurrent: bool) -> Iterator[dict[str, Fields]]:
    """Yield the projections that end in each layer, by their part, with their names.

    ``recurrent``: whether those layers are that do not say.
    """
    hidden = len(layers) - 1
    for index, layer in enumerate(layers):
        tail = str(index) if hidden > 1 else ""
        usual = f"hid_to_hidfwd{index - 1}" if index else f"in_to_hid{tail}"
        if index == hidden:
            usual = "hid_to_out" if hidden else "in_to_out"
        parts = {FORWARD: {"name": usual, **layer.get(FORWARD, {})}}
        asked = layer.get(RECURRENT, recurrent)
        if index < hidden and asked is not False:
            own = {} if asked is True else asked
            parts[RECURRENT] = {"name": f"hid_to_hid{tail}", **own}
        yield parts


def _forward(path: str, value: Any, wrong: list[str]) -> Any:
    return projection_of(path, value, wrong)


def _recurrent(path: str, value: Any, wrong: list[str]) -> Any:
    if str(value).lower() in ("true", "false"):
        return str(value).lower() == "true"
    return projection_of(path, value, wrong, other="true, false or ")


FORWARD, RECURRENT = "forward", "recurrent"
PARTS: dict[str, Reader] = {FORWARD: _forward, RECURRENT: _recurrent}


def _layers(value: Any) -> tuple[Fields, ...]:
    """Return the layers with clean values, without fields that are null."""
    if not isinstance(value, list | tuple):
        raise ValueError(value)
    wrong: list[str] = []
    clean = []
    for index, item in enumerate(value):
        place = f"[{index}]"
        last = isinstance(item, Mapping) and item.get("name") == OUTPUT
        fields = read_fields(place, item, {**population_fields(last), **PARTS}, wrong)
        if last:
            wrong += _misplaced_output(place, item, index, len(value))
            wrong += wrong_output(place, fields)
        settle_size(place, fields, wrong)
        clean.append(fields)
    if not wrong:
        wrong += _repeated(clean)
    if wrong:
        raise Problems(wrong)
    return tuple(clean)


def _misplaced_output(path: str, item: Values, before: int, layers: int) -> Iterator[str]:
    if before < layers - 1:
        yield f"{path}.name=output: the output is the last layer; move it to the end of the list"
    if not before:
        yield f"{path}.name=output: at least one layer must come before the output"
    if item.get(RECURRENT) not in (None, False):
        yield f"{path}.recurrent: the output has no recurrent projection; leave it out"


def _repeated(layers: Sequence[Fields]) -> Iterator[str]:
    """Yield a line for each name that stands for two things."""
    if not layers:
        return
    graph = graph_of_layers({"RECURRENT": False, LAYERS_KEY: tuple(layers)})
    names = [*graph.names, *(p.name for p in graph.projections)]
    for name in dict.fromkeys(names):
        if names.count(name) > 1:
            places = [
                part.place.removeprefix(LAYERS_KEY)
                for part in (*graph.populations, *graph.projections)
                if part.name == name and part.place
            ]
            yield (
                f"{places[-1]}.name={name}: names are given once, to populations and projections; "
                f"there are {', '.join(names)}"
            )


LAYERS = Kind(
    text="a list of layers, as in [{size: 128, neuron: ALIF, recurrent: true}, {size: 64}]",
    convert=_layers,
    mapping=True,
)
