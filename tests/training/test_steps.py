"""Steps that are too long for a neuron are noticed, and what is told to try is short enough."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from long import long_but
from runs import small

from snnrun.backends.interpreter.halving import Halved, halved
from snnrun.config import Config
from snnrun.datasets import load
from snnrun.models.neurons import NEURON_TYPES
from snnrun.models.nonlinear import NONLINEAR
from snnrun.run import build_program
from snnrun.training.steps import long_steps

TYPES = [name for name, (neuron, _) in NEURON_TYPES.items() if neuron.name in NONLINEAR]
EIF, SHARPEST = {"HIDDEN_NEURON_TYPE": "EIF"}, {"sharpness": 0.02}
TOO_LONG: dict[str, dict[str, Any]] = {
    "overflow": {**EIF, "network.integrator": "rk4", "DT_MS": 0.5},
    "upstroke": {"HIDDEN_NEURON_TYPE": "Izhikevich", "DT_MS": 0.5},
    "surrogate": {"HIDDEN_NEURON_TYPE": "Izhikevich", "DT_MS": 0.5, "rule.name": "surrogate"},
    "sharp": {**EIF, "network.hidden_parameters": {"sharpness": 0.045}},
    "one of many": {**EIF, "network.hidden_parameters": {"sharpness": [0.1] * 29 + [0.045]}},
}


def configured(**keys: Any) -> Config:
    grouped: dict[str, Any] = {"LOSS_TYPE": "max", "NUM_HIDDEN": 30}
    for name, value in keys.items():
        group, _, option = name.partition(".")
        if option:
            grouped.setdefault(group, {})[option] = value
        else:
            grouped[name] = value
    return small(**grouped)


def found(config: Config) -> list[str]:
    program = build_program(config, load(config))
    return [notice.message for notice in long_steps(config, program)]


def first_spikes(integrator: str = "exact", **keys: Any) -> Halved | None:
    config = configured(**keys)
    return halved(build_program(config, load(config)), 0, config.DT_MS, integrator)


@pytest.mark.parametrize("why", long_but(TOO_LONG, ["overflow", "upstroke"]))
def test_a_step_that_is_too_long_is_noticed_and_what_is_told_is_short_enough(why: str) -> None:
    [message] = found(configured(**TOO_LONG[why]))
    assert message.startswith(f"DT_MS={configured(**TOO_LONG[why]).DT_MS:g} is long for hidden of")
    settings = re.findall(r"(DT_MS|network\.integrator)=(\S+?)(?:,|$)", message.split("Try ")[1])
    assert settings
    for name, value in settings:
        other = float(value) if name == "DT_MS" else value
        assert not found(configured(**{**TOO_LONG[why], name: other}))


@pytest.mark.parametrize("name", long_but(TYPES, ["AdEx"]))
def test_the_steps_of_the_data_sets_are_short_enough_for_built_in_neurons(name: str) -> None:
    for dt in [0.1] if name == "Izhikevich" else [0.1, 1.0]:  # of Yin-Yang, and spoken digits
        assert not found(configured(HIDDEN_NEURON_TYPE=name, DT_MS=dt))


@pytest.mark.long
def test_what_no_step_is_short_enough_for_is_told_so() -> None:
    [message] = found(configured(DT_MS=1.0, **EIF, **{"network.hidden_parameters": SHARPEST}))
    assert message.endswith("too long as well: let it spike before its upstroke is so steep")


def test_steps_of_linear_neurons_are_exact_and_not_looked_at() -> None:
    assert first_spikes(HIDDEN_NEURON_TYPE="ALIF", DT_MS=2.0) is None


@pytest.mark.long
def test_half_steps_change_less_where_steps_are_short() -> None:
    for integrator in ("euler", "exponential_euler", "rk2", "rk4"):
        steps = (0.5, 0.1, 0.02)
        each = [first_spikes(integrator, HIDDEN_NEURON_TYPE="EIF", DT_MS=dt) for dt in steps]
        measured = np.array([(h.moved, h.factor) for h in each if h])
        assert measured.shape == (3, 2)
        assert (np.diff(measured, axis=0) < 0).all(), integrator
        assert measured[-1, 1] < 1.1
