"""Neurons that are declared by an update are refused where they are wrong, as others are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
from discrete import network, program

from snnrun.backends.genn.describe import describe
from snnrun.backends.genn.settings import Settings
from snnrun.errors import ConfigError, ModelError
from snnrun.models.declare import Neuron, Parameter
from snnrun.models.equations import symbol
from snnrun.models.update import step_map
from snnrun.network.network import Population
from snnrun.rules import EVENTPROP
from snnrun.testing import check_model

TAU = Parameter(name="tau", default=10.0, unit="ms", positive=True, meaning="time constant")
THETA = Parameter(name="theta", default=1.0, unit="1", meaning="threshold")
CONTINUOUS: Mapping[str, Any] = MappingProxyType(
    {
        "name": "mine",
        "equations": "dV/dt = (I - V) / tau\ndI/dt = -I / tau",
        "threshold": "V >= theta",
        "reset": "V = 0",
        "parameters": (TAU, THETA),
    }
)
STEPPED: Mapping[str, Any] = MappingProxyType(
    {
        "name": "mine",
        "update": "I = I * exp(-dt / tau) + input\nV = V + dt / tau * (I - V)",
        "threshold": "V >= theta",
        "count": "floor(V / theta)",
        "max_spikes": "most",
        "reset": "V = V - spikes * theta",
        "parameters": (TAU, THETA, replace(THETA, name="most", default=15.0)),
    }
)
BAD_UPDATES = [
    (
        {"update": "V = V * exp(-dt / tua) + input"},
        "neuron mine, update: unknown name 'tua'. Did you mean 'tau'? Declared: V, dt, input, "
        "most, tau, theta\n"
        "    V = V * exp(-dt / tua) + input\n"
        "                      ^",
    ),
    (
        {"update": "V = V + input\n  tau = tau * 2"},
        "neuron mine, update: 'tau' is a parameter; a step assigns states\n"
        "      tau = tau * 2\n"
        "      ^",
    ),
    (
        {"update": "V = V + input\ninput = 0"},
        "neuron mine, update: 'input' stands for what arrives in a step and cannot be assigned\n"
        "    input = 0\n"
        "    ^",
    ),
    (
        {"update": "V = floor(V) + input"},
        "neuron mine, update: unknown function 'floor'. There are: exp, log, sqrt, tanh, abs, min, "
        "max\n"
        "    V = floor(V) + input\n"
        "        ^",
    ),
    (
        {"update": "dV/dt = -V / tau"},
        "neuron mine, update: expected a statement of the form X = expression\n"
        "    dV/dt = -V / tau\n"
        "    ^",
    ),
    (
        {"equations": "dV/dt = -V / tau"},
        "neuron mine: it has both equations and an update; give one of them",
    ),
    (
        {"input": "I"},
        "neuron mine: input='I', but an update says itself where arrivals go, by the name input; "
        "leave input out",
    ),
    (
        {"parameters": (TAU, THETA, replace(THETA, name="dt"))},
        "neuron mine: a parameter is called 'dt', which stands for the length of a step in an "
        "update; choose another name",
    ),
    ({"max_spikes": None}, "neuron mine: count and max_spikes need each other"),
    (
        {"max_spikes": "mots"},
        "neuron mine has no parameter 'mots'. Did you mean 'most'? It has: tau, theta, most",
    ),
    (
        {"threshold": None, "reset": ""},
        "neuron mine: a count without a threshold never happens; give a threshold",
    ),
    (
        {"count": None, "max_spikes": None},
        "neuron mine, reset: unknown name 'spikes'. Declared: I, V, dt, most, tau, theta\n"
        "    V = V - spikes * theta\n"
        "            ^",
    ),
    (
        {"threshold": "V >= input"},
        "neuron mine, threshold: unknown name 'input'. Declared: I, V, most, tau, theta\n"
        "    V >= input\n"
        "         ^",
    ),
    (
        {"reset": "input = 0"},
        "neuron mine: the reset names 'input', which is no state. States: V, I",
    ),
    ({"readout": "W"}, "neuron mine: readout 'W' is no state. States: I, V"),
]


@pytest.mark.parametrize(
    ("change", "said"), BAD_UPDATES, ids=[said[:60] for _, said in BAD_UPDATES]
)
def test_a_wrong_update_is_refused_where_it_is_wrong(change: Any, said: str) -> None:
    Neuron(**STEPPED)
    with pytest.raises(ModelError) as error:
        Neuron(**{**STEPPED, **change})
    assert str(error.value) == said


@pytest.mark.parametrize("option", ["readout", "count", "max_spikes"])
def test_what_belongs_to_an_update_is_refused_with_equations(option: str) -> None:
    with pytest.raises(ModelError) as error:
        Neuron(**{**CONTINUOUS, option: "theta"})
    assert str(error.value) == f"neuron mine: {option} belongs to an update; leave it out"


def test_the_states_of_an_update_begin_with_the_one_that_is_read_out() -> None:
    assert Neuron(**STEPPED).states == ("V", "I", "input")
    assert Neuron(**STEPPED, readout="I").states == ("I", "V", "input")
    silent = {"threshold": None, "reset": "", "count": None, "max_spikes": None}
    assert Neuron(**{**STEPPED, **silent}).states == ("I", "V", "input")
    assert Neuron(**STEPPED).variables == ("V", "I")


def test_lines_of_an_update_see_what_lines_before_them_assigned() -> None:
    twice = Neuron(**{**STEPPED, "update": "V = V * 2\nI = V + input\nV = V + I\nW = W + I"})
    x = {name: symbol(name) for name in ("V", "I", "W", "input")}
    now = dict(zip(twice.states, step_map(twice.system.update, twice.states), strict=True))
    assert now["V"] == 4 * x["V"] + x["input"]
    assert now["I"] == 2 * x["V"] + x["input"]
    assert now["W"] == x["W"] + 2 * x["V"] + x["input"]
    assert now["input"] == 0


@pytest.mark.parametrize("most", [0.0, 2.5, 256.0, [1.0, 2.0]])
def test_the_most_spikes_of_a_step_are_a_whole_number(most: Any) -> None:
    values = {"tau": 10.0, "theta": 1.0, "most": np.array(most)}
    with pytest.raises(ModelError, match="most, the most spikes in a step, must be one whole"):
        Population(name="hidden", size=2, neuron=Neuron(**STEPPED), values=values, floors={})


def test_rule_eventprop_refuses_an_update() -> None:
    net = network((2, 3), Neuron(**STEPPED), {}, recurrent=False)
    with pytest.raises(ModelError) as error:
        program(net, 10, 1.0, rule=EVENTPROP)
    assert str(error.value) == (
        "population hidden: neuron mine is declared by its update in discrete time, which has no "
        "flow between spikes; rule eventprop differentiates that flow. Use rule=surrogate "
        "or rule=eprop"
    )


def test_check_model_refuses_an_update() -> None:
    with pytest.raises(ModelError, match="is declared by its update in discrete time"):
        check_model(Neuron(**STEPPED))


def test_backend_genn_refuses_an_update() -> None:
    net = network((2, 3), Neuron(**STEPPED), {}, recurrent=False)
    with pytest.raises(ConfigError) as error:
        describe(program(net, 10, 1.0), Settings())
    assert str(error.value) == (
        "population hidden: neuron mine is declared by its update in discrete time, which backend "
        "genn cannot run; use backend=native"
    )
