"""Neurons of NIR files as neurons of this project: which one, with which parameters."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from snnrun.connectivity import Shape
from snnrun.errors import ModelError
from snnrun.exchange.jumps import MS
from snnrun.exchange.linear import numbering
from snnrun.exchange.nodes import kind_of, own_of
from snnrun.models.nir import NIR_NEURONS, STEPPINGS

TIMES = ("tau", "tau_mem", "tau_syn")
TO_US = {"tau": "tau_mem", "v_threshold": "v_thresh"}  # where the names differ
IGNORED = {  # stepping -> field of a node -> the value that the program has in its place
    "norse": {"v_reset": 0.0},
    "snntorch": {"v_reset": 0.0, "v_leak": 0.0},
    "snntorch_late": {"v_reset": 0.0, "v_leak": 0.0},
    "sinabs": {"r": 1.0, "v_leak": 0.0},
}
LIF_WITHOUT_R = ("norse",)  # which leaves out r of LIF and IF alone


@dataclass(frozen=True, kw_only=True)
class Reading:
    """How a file is read.

    Args:
        stepping: One of snnrun.models.nir.STEPPINGS; None: as the file's own metadata say, or
            exact.
        dt: Length of a step here (ms).
        file_step: What this step is in the file's time (ms).
        spikes: Whether the loss reads spikes of the output, and not its potential.
    """

    stepping: str | None
    dt: float
    file_step: float | None
    spikes: bool

    @property
    def of_neurons(self) -> str:
        """The stepping of neurons that the file says nothing about."""
        return self.stepping or "exact"

    @property
    def scale(self) -> float:
        """Factor from seconds of the file to ms here."""
        usual = MS if self.of_neurons == "sinabs" else self.dt  # whose times are steps
        return MS * self.dt / (usual if self.file_step is None else self.file_step)


@dataclass(frozen=True, kw_only=True, eq=False)
class Bias:
    """What is added to the input of neurons in each step.

    Args:
        whole: All of it [neurons].
        looped: The part that stands behind nothing but the neurons themselves [neurons].
    """

    whole: np.ndarray
    looped: np.ndarray


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """A neuron by its name here, with its parameters: numbers, or arrays [neurons]."""

    neuron: str
    parameters: Mapping[str, Any]


def chosen(name: str, node: Any, shape: Shape, bias: Bias, lag: int, reading: Reading) -> Chosen:
    """Return the neuron for a node.

    Args:
        name: Of the node.
        node: A neuron of NIR.
        shape: Of its array, as the file has it.
        bias: What is added to its input in each step.
        lag: Steps before its first one.
        reading: How the file is read.

    Raises:
        ModelError: The program that is followed does not step such a node, or not such values.
    """
    kind, stepping = kind_of(node), reading.of_neurons
    full = f"nir.{stepping}.{kind}"
    own, biased = _own(node), bool(bias.whole.any())
    if own is not None and own.neuron not in NIR_NEURONS and stepping == "jump" and not biased:
        return own
    if full not in NIR_NEURONS:
        able = [s for s in STEPPINGS if f"nir.{s}.{kind}" in NIR_NEURONS]
        raise ModelError(
            f"node {name} is a {kind}, which network.stepping={stepping} does not have; use "
            f"network.stepping={' or '.join(able)}"
        )
    values = {field: _spread(node, field, shape) for field in _fields(node)}
    _refuse_ignored(name, kind, values, stepping)
    for field in TIMES:
        if field in values:
            values[field] = values[field] * reading.scale
    values = {TO_US.get(field, field): value for field, value in values.items()}
    values["bias"] = bias.whole
    values |= _of_jumps(values, reading.dt)
    if own is not None and own.neuron == full:  # bit for bit
        values |= {n: np.broadcast_to(v, prod(shape)) for n, v in own.parameters.items()}
    late = lag and (biased or np.any(values.get("v_leak", 0.0)))
    if late or (stepping == "norse" and bias.looped.any()):
        full, values["lag"] = f"{full}.late", np.full(prod(shape), float(lag))
        values["first"] = bias.looped
    known = {p.name for p in NIR_NEURONS[full].parameters}
    return Chosen(
        neuron=full, parameters={n: _short(value) for n, value in values.items() if n in known}
    )


def _fields(node: Any) -> list[str]:
    return [
        field
        for field in ("tau", "tau_mem", "tau_syn", "r", "v_leak", "v_threshold", "v_reset", "w_in")
        if getattr(node, field, None) is not None
    ]


def _spread(node: Any, field: str, shape: Shape) -> np.ndarray:
    """Return a value for each neuron, in the order that neurons have here."""
    values = np.broadcast_to(np.asarray(getattr(node, field), float), shape).ravel()
    return values[np.argsort(numbering(shape))]


def _short(values: np.ndarray) -> Any:
    """Return the one number that all neurons have, or the array."""
    return float(values[0]) if (values == values[0]).all() else values


def _of_jumps(values: Mapping[str, np.ndarray], dt: float) -> dict[str, np.ndarray]:
    """Return what a current that a spike raises by its weight moves a potential by.

    A spike raises I of NIR by w_in w dt / tau_syn; here I is that divided by w_in dt / tau_syn.
    """
    if "tau_syn" not in values:
        return {}
    return {
        "gain": values["r"] * values["w_in"] * (dt / values["tau_syn"]),
        "drive": values["bias"] * (values["tau_syn"] / dt),
    }


def _refuse_ignored(name: str, kind: str, values: Mapping[str, np.ndarray], stepping: str) -> None:
    usual = dict(IGNORED.get(stepping, {}))
    if stepping in LIF_WITHOUT_R and kind in ("LIF", "IF", "LI"):
        usual["r"] = 1.0
    if kind in ("LI", "CubaLI", "I"):
        usual.pop("v_reset", None)
    for field, value in usual.items():
        if field in values and (values[field] != value).any():
            program = stepping.partition("_")[0]
            raise ModelError(
                f"node {name} ({kind}) has {field} = {values[field].flat[0]:g}, and {program} "
                f"takes {value:g} whatever it is; use network.stepping=exact, or euler"
            )


# What this project writes beside a node, to read it back bit for bit


def own_metadata(neuron: str, parameters: Mapping[str, Any], fields: Mapping[str, Any]) -> str:
    """Return what is kept beside a node: the neuron here, and the fields that it is valid for."""

    def plain(values: Mapping[str, Any]) -> dict[str, Any]:
        return {n: np.asarray(v, float).tolist() for n, v in values.items()}

    return json.dumps({"neuron": neuron, "parameters": plain(parameters), "fields": plain(fields)})


def _own(node: Any) -> Chosen | None:
    """Return the neuron that this project wrote, unless its node was changed since."""
    found = own_of(node)
    if found is None or not {"neuron", "parameters", "fields"} <= found.keys():
        return None
    for field, values in found["fields"].items():
        if not np.array_equal(np.asarray(getattr(node, field, np.nan), float), np.asarray(values)):
            return None
    parameters = {
        name: value if np.ndim(value) == 0 else np.asarray(value, float)
        for name, value in found["parameters"].items()
    }
    return Chosen(neuron=found["neuron"], parameters=parameters)
