"""``network.layers``: the layers of a network one by one, with what each leaves out filled in.

A layer is a population and the projections that end in it: one from the layer before, and, where it
is recurrent, one from itself. ``layers_of`` gives these choices for every configuration, of
NUM_HIDDEN, N_HID_LAYER, RECURRENT, ... where ``network.layers`` is empty.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from snnrun.connectivity import DENSE, Shape, built_in, read, size_of
from snnrun.errors import ConfigError, did_you_mean
from snnrun.keys.key import Key
from snnrun.keys.kinds import BOOL, FLOAT, INT, NUMBERS, TEXT, Kind, Problems, shown
from snnrun.models.neurons import HIDDEN_NEURONS, OUTPUT_NEURONS
from snnrun.rules import RULES, find_rule
from snnrun.rules.learning import Engine

OUTPUT, INPUT = "output", "input"
FROZEN = "frozen"
PROJECTION_RULES = (
    FROZEN,
    *(rule.name for rule in RULES.values() if rule.engine is not Engine.ONLINE),
)
NAME = re.compile(r"[A-Za-z][A-Za-z0-9]*(_[A-Za-z0-9]+)*")
LAYER_FIELDS = (
    "name",
    "size",
    "shape",
    "neuron",
    "parameters",
    "train_tau",
    "forward",
    "recurrent",
)


def _shape(value: Any) -> Shape:
    if not isinstance(value, list | tuple) or not 2 <= len(value) <= 3:
        raise ValueError(value)
    shape = tuple(map(INT.convert, value))
    if min(shape) < 1:
        raise ValueError(value)
    return shape


SHAPE = Kind(text="[rows, columns, channels] or [length, channels]", convert=_shape)
PLAIN_FIELDS: Mapping[str, Mapping[str, Any]] = {
    "size": {"kind": INT, "default": 1, "minimum": 1},
    "shape": {"kind": SHAPE, "default": [1, 1]},
    "parameters": {"kind": NUMBERS, "default": {}},
    "train_tau": {"kind": BOOL, "default": False},
    "mean": {"kind": FLOAT, "default": 0.0},
    "std": {"kind": FLOAT, "default": 0.0, "minimum": 0},
}
PROJECTION_FIELDS = ("name", "mean", "std", "rule", "connectivity")

Values = Mapping[str, Any]
Fields = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class ProjectionChoice:
    """A projection as it is asked for; ``rule``: ``frozen``, or the name of a learning rule."""

    name: str
    mean: float
    std: float
    rule: str
    connectivity: Any


@dataclass(frozen=True, kw_only=True)
class LayerChoice:
    """A layer as it is asked for.

    ``size`` is None for the output, whose size the data decide; where the layer has neither size
    nor shape, ``sized`` is false, and its connections may say both. ``asked_by`` and
    ``parameters_by`` name what an error message about the neuron or its parameters should point at.
    """

    name: str
    size: int | None
    shape: Shape
    sized: bool
    neuron: str
    asked_by: str
    parameters: Mapping[str, Any]
    parameters_by: str
    train_tau: bool
    forward: ProjectionChoice
    recurrent: ProjectionChoice | None

    @property
    def projections(self) -> tuple[ProjectionChoice, ...]:
        """The projections that end in the layer, the forward one first."""
        return (self.forward,) if self.recurrent is None else (self.forward, self.recurrent)


def layers_of(values: Values) -> tuple[LayerChoice, ...]:
    """Return the layers of a configuration, the output last."""
    given = _given(values)
    names, projections = population_names(values), iter(projection_names(values))
    layers = []
    for index, fields in enumerate(given):
        last = index == len(given) - 1
        role = "output" if last else "hidden"
        path = f"network.layers[{index}]" if index < len(values["network.layers"]) else ""
        forward = "HIDDEN_OUTPUT" if last else "HIDDEN_HIDDENFWD" if index else "INPUT_HIDDEN"
        recurrent = None
        forward_choice = _projection(
            values, next(projections), fields.get("forward", {}), forward, last
        )
        if _recurrent(fields, values, last):
            own = fields.get("recurrent", {})
            own = {} if own is True else own
            recurrent = _projection(values, next(projections), own, "HIDDEN_HIDDEN", last)
        neuron, parameters = f"{role.upper()}_NEURON_TYPE", f"network.{role}_parameters"
        tail = "_OUTPUT" if last else ""
        layers.append(
            LayerChoice(
                name=names[index + 1],
                size=None if last else _size(fields, values["NUM_HIDDEN"]),
                shape=fields.get("shape", ()),
                sized=last or "size" in fields or "shape" in fields,
                neuron=_own(fields, "neuron", values[neuron]),
                asked_by=f"{path}.neuron" if "neuron" in fields else neuron,
                parameters=_own(fields, "parameters", values[parameters]),
                parameters_by=f"{path}.parameters" if "parameters" in fields else parameters,
                train_tau=_own(fields, "train_tau", values[f"TRAIN_TAU{tail}"]),
                forward=forward_choice,
                recurrent=recurrent,
            )
        )
    return tuple(layers)


def population_names(values: Values) -> tuple[str, ...]:
    """Return the names of the populations, the input first, the output last."""
    given = _given(values)[:-1]
    taken = {fields["name"] for fields in given if "name" in fields}
    names = []
    for index, fields in enumerate(given):
        name = fields.get("name")
        if name is None and len(given) == 1:
            name = "hidden"
        if name is None:  # the next number that no other layer has
            free = (f"hidden{i}" for i in range(index, 2 * len(given) + 1))
            name = next(n for n in free if n not in taken)
        taken.add(name)
        names.append(name)
    return (INPUT, *names, OUTPUT)


def projection_names(values: Values) -> tuple[str, ...]:
    """Return the names of the projections from the input to the output."""
    given = _given(values)
    hidden = len(given) - 1
    names = []
    for index, fields in enumerate(given):
        last, tail = index == hidden, str(index) if hidden > 1 else ""
        usual = f"hid_to_hidfwd{index - 1}" if index else f"in_to_hid{tail}"
        if last:
            usual = "hid_to_out" if hidden else "in_to_out"
        names.append(fields.get("forward", {}).get("name", usual))
        if _recurrent(fields, values, last):
            own = fields.get("recurrent", {})
            usual = f"hid_to_hid{tail}"
            names.append(usual if own is True else own.get("name", usual))
    return tuple(names)


def expand(name: str, known: Iterable[str]) -> tuple[str, ...]:
    """Return the known names that ``name`` stands for: itself, or all that add a number to it.

    ``hidden`` stands for all populations between the input and the output.
    """
    known = tuple(known)
    if name in known:
        return (name,)
    if name == "hidden" and known[:1] == (INPUT,):
        return known[1:-1]
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


def neurons_of(values: Values) -> set[str]:
    """Return the neuron types of all layers."""
    *hidden, _ = _given(values)
    usual = values["HIDDEN_NEURON_TYPE"]
    return {output_neuron(values), *(str(_own(fields, "neuron", usual)) for fields in hidden)}


def output_neuron(values: Values) -> str:
    """Return the neuron type of the output."""
    return str(_given(values)[-1].get("neuron", values["OUTPUT_NEURON_TYPE"]))


def _given(values: Values) -> tuple[Fields, ...]:
    """Return what is given of each layer, the output last."""
    given: tuple[Fields, ...] = values["network.layers"] or ({},) * _hidden_layers(values)
    ends = bool(given) and given[-1].get("name") == OUTPUT
    return (*given,) if ends else (*given, {})


def _hidden_layers(values: Values) -> int:
    """Return the number of hidden layers; with some options of a rule there is none."""
    none = find_rule(values["rule.name"]).no_hidden if "rule.name" in values else None
    alone = none is not None and none.holds(values)
    return 0 if alone else int(values["N_HID_LAYER"])


def has_own(fields: Values, field: str) -> bool:
    """Return whether a layer says a field itself; its size by its shape or its connections too."""
    if field != "size" or "size" in fields:
        return field in fields
    connectivity = fields.get("forward", {}).get("connectivity", DENSE)
    return "shape" in fields or (
        built_in(connectivity) and read(connectivity, field).target is not None
    )


def _size(fields: Fields, usual: int) -> int:
    return size_of(fields["shape"]) if "shape" in fields else int(fields.get("size", usual))


def _own(fields: Fields, name: str, usual: Any) -> Any:
    return fields.get(name, usual)


def _recurrent(fields: Fields, values: Values, last: bool) -> bool:
    if last:
        return False
    asked = fields.get("recurrent", values["RECURRENT"])
    return bool(asked is True or isinstance(asked, Mapping))


def _projection(values: Values, name: str, own: Fields, key: str, last: bool) -> ProjectionChoice:
    trained = values["TRAIN_W"] and (values["TRAIN_W_OUTPUT"] or not last)
    usual = values["rule.name"]
    if last and find_rule(usual).beside is not None:
        usual = find_rule(usual).gradient.name
    usual = usual if trained else FROZEN
    return ProjectionChoice(
        name=name,
        mean=_own(own, "mean", values[f"{key}_MEAN"]),
        std=_own(own, "std", values[f"{key}_STD"]),
        rule=_own(own, "rule", usual),
        connectivity=_own(own, "connectivity", DENSE),
    )


def _field_key(path: str, name: str, last: bool) -> Key:
    """Return the key that checks one plain field of a layer or a projection."""
    chosen: dict[str, Sequence[str]] = {
        "neuron": OUTPUT_NEURONS if last else HIDDEN_NEURONS,
        "rule": PROJECTION_RULES,
    }
    own: Mapping[str, Any] = PLAIN_FIELDS.get(name, {"kind": TEXT, "default": "name"})
    if name in chosen:
        choices = chosen[name]
        own = {"kind": TEXT, "default": choices[0], "choices": choices, "dotted_path": True}
    return Key(name=f"{path}.{name}", section="", meaning=".", **own)


def _layers(value: Any) -> tuple[Fields, ...]:
    """Return the layers with clean values, without fields that are null."""
    if not isinstance(value, list | tuple):
        raise ValueError(value)
    wrong: list[str] = []
    clean = []
    for index, item in enumerate(value):
        last = isinstance(item, Mapping) and item.get("name") == OUTPUT
        clean.append(_fields(f"[{index}]", item, LAYER_FIELDS, last, wrong))
        if last:
            wrong += _wrong_output(f"[{index}]", item, index == len(value) - 1, index)
    if not wrong:
        wrong += _repeated(clean)
    if wrong:
        raise Problems(wrong)
    return tuple(clean)


def _fields(path: str, given: Any, known: Sequence[str], last: bool, wrong: list[str]) -> Fields:
    """Return the clean fields of a layer or projection; what is wrong is added to ``wrong``."""
    if not isinstance(given, Mapping):
        other = "true, false or " if path.endswith(".recurrent") else ""
        wrong.append(
            f"{path}={shown(given)}: must be {other}a mapping of {', '.join(known)} to values"
        )
        return {}
    clean: Fields = {}
    for name, value in given.items():
        at = f"{path}.{name}"
        if name not in known:
            hint = did_you_mean(str(name), known)
            wrong.append(f"{at}: there is no such field.{hint} There are: {', '.join(known)}")
        elif value is None:
            continue
        elif name == "recurrent" and str(value).lower() in ("true", "false"):
            clean[name] = str(value).lower() == "true"
        elif name in ("forward", "recurrent"):
            clean[name] = _fields(at, value, PROJECTION_FIELDS, last, wrong)
        elif name == "connectivity":
            try:
                if built_in(value):
                    read(value, at)
                clean[name] = value
            except ConfigError as error:
                wrong += error.problems or [str(error)]
        else:
            clean[name], problem = _field_key(path, name, last).convert(value)
            if not problem and name == "name" and not NAME.fullmatch(clean[name]):
                problem = (
                    f"{at}={clean[name]}: must be a name of letters, digits and single _ between "
                    "them, with a letter first"
                )
            wrong += [problem] if problem else []
    wrong += _wrong_together(path, clean)
    return clean


def _wrong_together(path: str, clean: Fields) -> Iterator[str]:
    """Yield what is wrong between the fields of a layer or a projection."""
    if {"size", "shape"} <= clean.keys() and clean["size"] != size_of(clean["shape"] or ()):
        yield (
            f"{path}.size={clean['size']}: shape {shown(clean['shape'])} has "
            f"{size_of(clean['shape'])} neurons; leave the size out"
        )
    connectivity = clean.get("connectivity")
    if connectivity and built_in(connectivity) and read(connectivity, path).weight is not None:
        for name in ("mean", "std", "rule"):
            if name in clean:
                yield (
                    f"{path}.{name}={shown(clean[name])}: has no effect, as the weights of "
                    f"{read(connectivity, path).name} are fixed; leave it out"
                )


def _wrong_output(path: str, item: Values, at_end: bool, before: int) -> Iterator[str]:
    if not at_end:
        yield f"{path}.name=output: the output is the last layer; move it to the end of the list"
    if not before:
        yield f"{path}.name=output: at least one layer must come before the output"
    for name in ("size", "shape"):
        if item.get(name) is not None:
            yield (
                f"{path}.{name}={shown(item[name])}: the data decide how many outputs there are; "
                "leave it out"
            )
    if item.get("recurrent") not in (None, False):
        yield f"{path}.recurrent: the output has no recurrent projection; leave it out"


def _repeated(layers: Sequence[Fields]) -> Iterator[str]:
    """Yield a line for each name that stands for two things."""
    defaults = {"N_HID_LAYER": 1, "RECURRENT": False, "network.layers": tuple(layers)}
    names = [*population_names(defaults), *projection_names(defaults)] if layers else []
    for name in dict.fromkeys(names):
        if names.count(name) > 1:
            places = [
                f"[{i}]{part}"
                for i, layer in enumerate(layers)
                for part, of in (
                    ("", layer),
                    (".forward", layer.get("forward")),
                    (".recurrent", layer.get("recurrent")),
                )
                if isinstance(of, Mapping) and of.get("name") == name
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
