"""Every declared neuron and loss says what a reader needs; what is derived is what hand gives."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import pytest
import sympy as sp

from snnrun.compile.derive import ARRIVAL as R
from snnrun.compile.derive import DRIVE, RELEASE, adjoint_symbol, derive, entry_symbol
from snnrun.compile.derive import SPIKE_TIME_GRADIENT as DL_DT
from snnrun.errors import ModelError
from snnrun.models.adaptive import SE_ADLIF
from snnrun.models.declare import Neuron, Parameter
from snnrun.models.equations import symbol
from snnrun.models.losses import BUILT_IN, COURSE_LOSSES, LOSSES, Loss, Readout
from snnrun.models.neurons import (
    ALIF,
    DISCRETE_NEURONS,
    LI,
    LIF,
    LIF_SUBTRACT,
    NEURON_TYPES,
    NEURONS,
)
from snnrun.models.nonlinear import IZHIKEVICH
from snnrun.schema import KEYS, SCHEMA
from snnrun.testing.declaration import loss_findings, neuron_findings

ALL = {**NEURONS, **DISCRETE_NEURONS}
WITHOUT_KEY = {"bias", "max_spikes_per_dt", "tau_syn_inh", "tau_rise", "v_crit", "v_onset"}
WITHOUT_KEY |= {"beta", "sharpness", "tau_w", "coupling", "w_incr", "e_exc", "e_inh"}
UNITS = ("ms", "1", "mV", "1/ms", "mV/ms")  # of a neuron that is in mV as published
YEAR = re.compile(r"\b(19|20)\d\d\b")


@pytest.mark.parametrize("neuron", ALL.values(), ids=lambda neuron: neuron.name)
def test_every_neuron_has_meaning_source_units_and_bounds(neuron: Neuron) -> None:
    assert neuron.meaning
    assert YEAR.search(neuron.source)
    for parameter in neuron.parameters:
        assert parameter.meaning
        assert parameter.unit in (("ms", "1") if neuron is not IZHIKEVICH else UNITS)
        assert (parameter.unit == "ms") == (parameter.name.startswith(("tau_", "t_")))
        assert parameter.positive or parameter.low == 0.0 or parameter.unit != "ms"
        with pytest.raises(ModelError, match=f"a test: {parameter.name} = nan"):
            parameter.check(math.nan, "a test")
    assert [f.text for f in neuron_findings(neuron) if not f.passed] == []


@pytest.mark.parametrize("loss", (LOSSES | COURSE_LOSSES).values(), ids=lambda loss: loss.name)
def test_every_loss_has_meaning_source_and_keys(loss: Loss) -> None:
    assert loss.meaning
    assert YEAR.search(loss.source)
    assert [f.text for f in loss_findings(loss) if not f.passed] == []


def test_every_choice_of_the_configuration_is_declared() -> None:
    names = {*SCHEMA["HIDDEN_NEURON_TYPE"].choices, *SCHEMA["OUTPUT_NEURON_TYPE"].choices}
    assert names == set(NEURON_TYPES)
    assert set(SCHEMA["LOSS_TYPE"].choices) == {*BUILT_IN}


@pytest.mark.parametrize("neuron", ALL.values(), ids=lambda neuron: neuron.name)
def test_defaults_of_parameters_are_those_of_their_keys(neuron: Neuron) -> None:
    for parameter in neuron.parameters:
        if parameter.key is None:
            assert parameter.name in WITHOUT_KEY or neuron in (IZHIKEVICH, SE_ADLIF)
            continue
        assert parameter.key in KEYS
        assert parameter.default == KEYS[parameter.key].default_of("base")
        assert parameter.unit == (KEYS[parameter.key].unit or "1")


@pytest.mark.parametrize("neuron", NEURONS.values(), ids=lambda neuron: neuron.name)
def test_declarations_cannot_be_changed(neuron: Neuron) -> None:
    with pytest.raises(AttributeError):
        neuron.threshold = "V >= 2"  # type: ignore[misc]
    with pytest.raises(TypeError):
        neuron.system.resets["V"] = sp.Integer(0)  # type: ignore[index]


# what is derived

V, I, B = (symbol(name) for name in "VIB")  # noqa: E741
TAU_MEM, TAU_SYN, TAU_B = symbol("tau_mem"), symbol("tau_syn"), symbol("tau_b")
V_THRESH, V_RESET, B_INCR = symbol("v_thresh"), symbol("v_reset"), symbol("b_incr")
LAM_V, LAM_I, LAM_B = (adjoint_symbol(name) for name in "VIB")


def same(expression: Any, by_hand: Any) -> bool:
    return sp.simplify(expression - by_hand) == 0


def test_what_is_derived_of_lif_is_what_wunderlich_and_pehle_have() -> None:
    found = derive(LIF, ("tau_mem", "v_thresh", "v_reset"), refractory=False)
    matrix = sp.Matrix([[-1 / TAU_MEM, 1 / TAU_MEM], [0, -1 / TAU_SYN]])
    assert (found.free.A - matrix).is_zero_matrix
    assert found.free.b == sp.zeros(2, 1)
    assert found.free.entries == ((0, 0), (0, 1), (1, 1))
    assert found.held is None
    jump = found.jump
    assert jump is not None
    assert jump.records == ("I",)
    assert same(jump.slope, (I - V_THRESH) / TAU_MEM)
    # V is set: r_V = 0, and the rate of V after the spike is (I - v_reset) / tau_mem
    assert same(jump.strength, -LAM_V * (I - V_RESET) / TAU_MEM - R + DL_DT)
    assert jump.adjoint.keys() == {"V"}
    assert same(jump.adjoint["V"], -DRIVE)
    assert jump.parameters.keys() == {"v_thresh", "v_reset"}
    assert same(jump.parameters["v_thresh"], DRIVE)
    assert same(jump.parameters["v_reset"], LAM_V)


def test_what_is_derived_of_a_soft_reset_keeps_the_adjoint() -> None:
    found = derive(LIF_SUBTRACT, ("v_thresh",), refractory=False)
    jump = found.jump
    assert jump is not None
    # r_V = 1, so lam_V stays; the rate falls from (I - v_thresh) to (I - 0), by v_thresh
    assert same(jump.strength, -LAM_V * V_THRESH / TAU_MEM - R + DL_DT)
    assert same(jump.adjoint["V"], LAM_V - DRIVE)
    assert same(jump.parameters["v_thresh"], DRIVE - LAM_V)


def test_what_is_derived_of_an_adaptive_threshold() -> None:
    found = derive(ALIF, ("b_incr", "tau_b"), refractory=False)
    jump = found.jump
    assert jump is not None
    on_threshold = V_THRESH + B
    assert same(jump.slope, (I - on_threshold) / TAU_MEM + B / TAU_B)
    before = LAM_B * (-B / TAU_B)
    after = LAM_V * (I - V_RESET) / TAU_MEM + LAM_B * (-(B + B_INCR) / TAU_B)
    assert same(jump.strength, before - after - R + DL_DT)
    assert same(jump.adjoint["V"], -DRIVE)
    assert same(jump.adjoint["B"], LAM_B + DRIVE)
    assert jump.parameters.keys() == {"b_incr"}  # tau_b acts between spikes only
    assert same(jump.parameters["b_incr"], LAM_B)


def test_what_is_derived_of_a_refractory_period() -> None:
    found = derive(LIF, (), refractory=True)
    assert found.held is not None
    matrix = sp.Matrix([[0, 0], [0, -1 / TAU_SYN]])
    assert (found.held.A - matrix).is_zero_matrix
    assert found.jump is not None
    assert same(found.jump.strength, -R + DL_DT + RELEASE)  # V does not move after the spike
    assert same(found.jump.release, -LAM_V * (I - V) / TAU_MEM)


def test_a_neuron_without_a_threshold_has_no_jump() -> None:
    found = derive(LI, ("tau_mem", "tau_syn"), refractory=False)
    assert found.jump is None
    assert found.spike_bound is None
    assert same(found.readout_rate, (I - V) / TAU_MEM)
    assert same(found.readout_pulls[0], 1 / TAU_MEM)


def test_lif_can_rest_below_the_potential_that_its_current_can_still_reach() -> None:
    found = derive(LIF, (), refractory=False)
    transfer, decay = entry_symbol("V", "I"), entry_symbol("V", "V")
    assert same(found.spike_bound["I"], transfer / (1 - decay))


# what is refused

GOOD: Mapping[str, Any] = MappingProxyType(
    {
        "name": "mine",
        "equations": "dV/dt = (I - V) / tau\ndI/dt = -I / tau",
        "threshold": "V >= theta",
        "reset": "V = 0",
        "parameters": (
            Parameter(name="tau", default=10.0, unit="ms", positive=True, meaning="time constant"),
            Parameter(name="theta", default=1.0, unit="1", meaning="threshold"),
        ),
    }
)
TAU, THETA = GOOD["parameters"]
BAD = [
    (
        {"equations": "dV/dt = (I - W) / tau\ndI/dt = -I / tau"},
        "neuron mine: unknown name 'W'. Declared: I, V, tau, theta\n"
        "    dV/dt = (I - W) / tau\n"
        "                 ^",
    ),
    (
        {"equations": "dV/dt = (I - V) / tua\ndI/dt = -I / tau"},
        "neuron mine: unknown name 'tua'. Did you mean 'tau'? Declared: I, V, tau, theta\n"
        "    dV/dt = (I - V) / tua\n"
        "                      ^",
    ),
    (
        {"equations": "dV/dt = (I - V / tau\ndI/dt = -I / tau"},
        "neuron mine: this cannot be read: '(' was never closed\n"
        "    dV/dt = (I - V / tau\n"
        "            ^",
    ),
    (
        {"equations": "V' = I\ndI/dt = -I / tau"},
        "neuron mine: expected a statement of the form dX/dt = expression\n    V' = I\n    ^",
    ),
    (
        {"equations": "dV/dt = \ndI/dt = -I / tau"},
        "neuron mine: an expression is missing\n    dV/dt =\n           ^",
    ),
    (
        {"equations": "dV/dt = V ^ 2\ndI/dt = -I / tau"},
        "neuron mine: a power is written **, not ^\n    dV/dt = V ^ 2\n            ^",
    ),
    (
        {"equations": "dV/dt = sine(I)\ndI/dt = -I / tau"},
        "neuron mine: unknown function 'sine'. There are: exp, log, sqrt, tanh, abs, min, max\n"
        "    dV/dt = sine(I)\n"
        "            ^",
    ),
    (
        {"equations": "dV/dt = exp(I, V)\ndI/dt = -I / tau"},
        "neuron mine: exp takes one argument\n    dV/dt = exp(I, V)\n            ^",
    ),
    (
        {"equations": "dV/dt = min(I)\ndI/dt = -I / tau"},
        "neuron mine: min takes two or more arguments\n    dV/dt = min(I)\n            ^",
    ),
    (
        {"equations": "dV/dt = [I][0]\ndI/dt = -I / tau"},
        "neuron mine: this is not part of the equation language\n    dV/dt = [I][0]\n            ^",
    ),
    (
        {"equations": "dV/dt = -V / tau  # a leak\ndI/dt = -I / tau\ndV/dt = 0"},
        "neuron mine: a state has two equations; states: V, I, V",
    ),
    (
        {"threshold": "V > theta"},
        "neuron mine, threshold: expected a statement of the form X >= expression\n"
        "    V > theta\n"
        "    ^",
    ),
    ({"threshold": "V >= theta + V"}, "neuron mine: V stands on both sides of the threshold"),
    (
        {"threshold": "V >= 1\nI >= 1"},
        "neuron mine, threshold: one condition is needed, as in V >= v_thresh; got 2",
    ),
    (
        {"threshold": "U >= theta"},
        "neuron mine: the threshold names 'U', which is no state. States: V, I",
    ),
    (
        {"reset": "V = 0 if I else 1"},
        "neuron mine, reset: this is not part of the equation language\n"
        "    V = 0 if I else 1\n"
        "        ^",
    ),
    (
        {"reset": "theta = 0"},
        "neuron mine: the reset names 'theta', which is no state. States: V, I",
    ),
    (
        {"threshold": None},
        "neuron mine: a reset without a threshold never happens; give a threshold",
    ),
    ({"input": "J"}, "neuron mine: input 'J' is no state. States: V, I"),
    ({"refractory": "t_ref"}, "neuron mine has no parameter 't_ref'. It has: tau, theta"),
    (
        {"refractory": "tau"},
        "neuron mine: a refractory period needs a threshold and at least one held state",
    ),
    ({"parameters": (TAU, TAU)}, "neuron mine: declared twice: tau"),
    ({"equations": ""}, "neuron mine: no equation; write at least one line dX/dt = ..."),
    (
        {"initial": {"V": "I"}},
        "neuron mine, initial value of V: unknown name 'I'. Declared: tau, theta\n    I\n    ^",
    ),
    (
        {"parameters": (replace(TAU, default=0.0),)},
        "neuron mine, default value: tau = 0 ms; it must be > 0",
    ),
]


@pytest.mark.parametrize(("change", "said"), BAD, ids=[said[:60] for _, said in BAD])
def test_a_wrong_declaration_is_refused_where_it_is_wrong(change: Any, said: str) -> None:
    with pytest.raises(ModelError) as error:
        Neuron(**{**GOOD, **change})
    assert str(error.value) == said


UNDERIVABLE = [
    (
        {"equations": "dV/dt = (I**2 - V) / tau\ndI/dt = -I / tau"},
        "neuron mine: dV/dt = (I**2 - V)/tau is not linear in I, which arrivals add to. Let them "
        "add to a state that it is linear in",
    ),
    (
        {
            "equations": "dV/dt = (I - V) / tau",
            "input": "V",
            "parameters": (*GOOD["parameters"], replace(THETA, name="I")),
        },
        "neuron mine: arrivals add to V, which stands in the threshold 'V >= theta', so that "
        "spikes would be caused by arrivals and not by the flow; rule eventprop has no derivative "
        "there. Let arrivals add to a current",
    ),
]


@pytest.mark.parametrize(("change", "said"), UNDERIVABLE, ids=["nonlinear", "jumping"])
def test_what_cannot_be_derived_is_refused(change: Any, said: str) -> None:
    with pytest.raises(ModelError) as error:
        derive(Neuron(**{**GOOD, **change}), (), refractory=False)
    assert str(error.value) == said


def test_a_wrong_loss_is_refused_where_it_is_wrong() -> None:
    with pytest.raises(ModelError) as error:
        Loss(name="mine", readout=Readout.MAXIMUM, score="y / TAU_O", keys=("TAU_0",))
    assert str(error.value) == (
        "loss mine, score: unknown name 'TAU_O'. Did you mean 'TAU_0'? Declared: T, TAU_0, y\n"
        "    y / TAU_O\n"
        "        ^"
    )
