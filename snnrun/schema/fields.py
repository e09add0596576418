"""Fields of the populations and projections of a network, read and checked one by one.

A reader takes the place of a value, the value and the list of what is wrong, to which it adds; it
returns the clean value.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from snnrun.connectivity import Shape, built_in, read, size_of
from snnrun.errors import ConfigError, did_you_mean
from snnrun.keys.key import Key
from snnrun.keys.kinds import BOOL, FLOAT, INT, NUMBERS, TEXT, Kind, shown
from snnrun.models.neurons import HIDDEN_NEURONS, OUTPUT_NEURONS
from snnrun.rules import RULES
from snnrun.rules.learning import Engine
from snnrun.schema.delays import read_delay

OUTPUT, INPUT = "output", "input"
FROZEN = "frozen"
PROJECTION_RULES = (
    FROZEN,
    *(rule.name for rule in RULES.values() if rule.engine is not Engine.ONLINE),
)
NAME = re.compile(r"[A-Za-z][A-Za-z0-9]*(_[A-Za-z0-9]+)*")
SIGNS = {"1": 1, "+1": 1, "1.0": 1, "-1": -1, "-1.0": -1, "excitatory": 1, "inhibitory": -1}

Fields = dict[str, Any]
Reader = Callable[[str, Any, list[str]], Any]


def read_fields(
    path: str, given: Any, readers: Mapping[str, Reader], wrong: list[str], other: str = ""
) -> Fields:
    """Return the clean fields of a mapping, without those that are null.

    ``other``: what may stand in the place of a mapping, as "true, false or ".
    """
    if not isinstance(given, Mapping):
        known = ", ".join(readers)
        wrong.append(f"{path}={shown(given)}: must be {other}a mapping of {known} to values")
        return {}
    clean: Fields = {}
    for name, value in given.items():
        if name not in readers:
            hint = did_you_mean(str(name), readers)
            known = ", ".join(readers)
            wrong.append(f"{path}.{name}: there is no such field.{hint} There are: {known}")
        elif value is not None:
            clean[name] = readers[name](f"{path}.{name}", value, wrong)
    return clean


def field(kind: Kind, default: Any, **more: Any) -> Reader:
    """Return the reader of a plain field; ``more``: what else Key has."""

    def read(path: str, value: Any, wrong: list[str]) -> Any:
        key = Key(name=path, section="", meaning=".", kind=kind, default=default, **more)
        clean, problem = key.convert(value)
        wrong += [problem] if problem else []
        return clean

    return read


def one_of(choices: Sequence[str], dotted_path: bool = True) -> Reader:
    """Return the reader of a name among ``choices``, or of a dotted path."""
    choices = tuple(choices)
    return field(TEXT, choices[0], choices=choices, dotted_path=dotted_path)


def name_of(path: str, value: Any, wrong: list[str]) -> Any:
    """Read the name of a population or projection."""
    clean = field(TEXT, "name")(path, value, wrong)
    if clean is not None and not NAME.fullmatch(clean):
        wrong.append(
            f"{path}={clean}: must be a name of letters, digits and single _ between them, with a "
            "letter first"
        )
    return clean


def _sign(path: str, value: Any, wrong: list[str]) -> Any:
    if str(value) in SIGNS and not isinstance(value, bool):
        return SIGNS[str(value)]
    hint = did_you_mean(str(value), SIGNS)
    wrong.append(
        f"{path}={shown(value)}: must be 1 or excitatory, for weights that stay above 0, or -1 or "
        f"inhibitory, for weights that stay below 0.{hint}"
    )
    return None


def _shape(value: Any) -> Shape:
    if not isinstance(value, list | tuple) or not 2 <= len(value) <= 3:
        raise ValueError(value)
    shape = tuple(map(INT.convert, value))
    if min(shape) < 1:
        raise ValueError(value)
    return shape


SHAPE = Kind(text="[rows, columns, channels] or [length, channels]", convert=_shape)


def _file(value: Any) -> str:
    if not isinstance(value, str) or not value.endswith(".npy"):
        raise ValueError(value)
    return value


FILE = Kind(text="the name of a file of numbers that ends in .npy", convert=_file)


def _connectivity(path: str, value: Any, wrong: list[str]) -> Any:
    try:
        if built_in(value):
            read(value, path)
    except ConfigError as error:
        wrong += error.problems or [str(error)]
        return None
    return value


def projection_of(path: str, value: Any, wrong: list[str], other: str = "") -> Fields:
    """Read a projection of network.layers."""
    clean = read_fields(path, value, PROJECTION, wrong, other)
    wrong += wrong_weights(path, clean)
    return clean


def wrong_weights(path: str, clean: Fields) -> Iterator[str]:
    """Yield what cannot be said of weights that a connectivity fixes."""
    for name in ("mean", "std") if "weights" in clean else ():
        if name in clean:
            yield f"{path}.{name}={shown(clean[name])}: has no effect beside weights; leave it out"
    for name in ("mean", "std", "rule", "sign", "weights") if fixes_weights(clean) else ():
        if name in clean:
            kind = read(clean["connectivity"], path)
            yield (
                f"{path}.{name}={shown(clean[name])}: has no effect, as the weights of "
                f"{kind.name} are fixed; leave it out"
            )


def fixes_weights(clean: Mapping[str, Any]) -> bool:
    """Return whether a projection's built-in connectivity says its weights."""
    connectivity = clean.get("connectivity")
    known = connectivity and built_in(connectivity)
    return bool(known) and read(connectivity, "connectivity").weight is not None


def population_fields(output: bool) -> dict[str, Reader]:
    """Return the readers of a population's fields; the data decide on the size of the output."""
    return {
        "name": name_of,
        "size": field(INT, 1, minimum=1),
        "shape": field(SHAPE, (1, 1)),
        "neuron": one_of(OUTPUT_NEURONS if output else HIDDEN_NEURONS),
        "parameters": field(NUMBERS, {}),
        "train_tau": field(BOOL, False),
    }


PROJECTION: dict[str, Reader] = {
    "name": name_of,
    "mean": field(FLOAT, 0.0),
    "std": field(FLOAT, 0.0, minimum=0),
    "rule": one_of(PROJECTION_RULES),
    "connectivity": _connectivity,
    "port": field(TEXT, "I"),
    "sign": _sign,
    "delay": read_delay,
    "dropout": field(FLOAT, 0.0, minimum=0, below=1),
    "weights": field(FILE, "start.npy"),
}


def settle_size(path: str, clean: Fields, wrong: list[str]) -> None:
    """Enter the size that follows from a population's shape, which must be that of the two."""
    shape, size = clean.get("shape"), clean.get("size")
    if not shape:
        return
    product = size_of(shape)
    if size is not None and size != product:
        wrong.append(
            f"{path}.size={size}: shape {shown(shape)} has {product} neurons; leave the size out"
        )
    clean["size"] = product


def wrong_output(path: str, fields: Mapping[str, Any]) -> list[str]:
    """Return what the output must not be given; a size may follow from its shape."""
    name = "shape" if fields.get("shape") else "size"
    if fields.get(name) is None:
        return []
    return [
        f"{path}.{name}={shown(fields[name])}: the data decide how many outputs there are; leave "
        "it out"
    ]
