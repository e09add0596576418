"""Numbers are data of a program: what differs in numbers only is built once."""

from __future__ import annotations

from collections.abc import Mapping
from ctypes import Structure
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import sympy as sp
from oracle import problem
from parity import constant, data_of, genn, gradients_of, load_weights, native, program_of
from superspike_problem import DATA, RULE
from test_parity import assert_close

from snnrun.backends.base import Backend, Noise
from snnrun.backends.genn import description_of
from snnrun.backends.genn.settings import Settings
from snnrun.backends.native.emit import generate
from snnrun.backends.native.emit_online import generate_online
from snnrun.backends.native.interface import Job
from snnrun.backends.native.library import NativeBackend
from snnrun.compile.derive import derive
from snnrun.compile.program import Program, compile_program
from snnrun.config import from_dict
from snnrun.errors import BuildError
from snnrun.models.declare import Neuron, Parameter
from snnrun.models.equations import symbol
from snnrun.models.neurons import LIF
from snnrun.models.regularisers import REGULARISERS
from snnrun.rules.learning import Engine
from snnrun.run import build_program

FIRST_SPIKE = {"dataset": "yinyang"}
REGULARISED = {"dataset": "shd", "LOSS_TYPE": "sum", "REG_TYPE": "Thomas1"}
SURROGATE = {"dataset": "shd", "LOSS_TYPE": "sum", "rule": {"name": "surrogate"}}
ALIF = {"dataset": "shd", "LOSS_TYPE": "max", "HIDDEN_NEURON_TYPE": "ALIF"}
TRAINED = {"dataset": "shd", "LOSS_TYPE": "sum", "TRAIN_TAU": True}
SWEPT: list[tuple[dict[str, Any], str, float, float]] = [
    *((FIRST_SPIKE, key, 11.0, 13.0) for key in ("TAU_MEM", "TAU_SYN", "TAU_0", "TAU_1")),
    *((FIRST_SPIKE, key, 0.7, 0.9) for key in ("V_THRESH", "ALPHA", "V_RESET")),
    *((REGULARISED, key, 0.2, 0.3) for key in ("LBD_UPPER", "LBD_LOWER", "GLB_UPPER")),
    *((REGULARISED, key, 7.0, 9.0) for key in ("NU_UPPER", "RHO_UPPER")),
    *((REGULARISED, key, 0.2, 0.3) for key in ("HIDDEN_NOISE", "PDROP_HIDDEN")),
    *((ALIF, key, 0.2, 0.3) for key in ("B_INCR", "B_INIT")),
    (ALIF, "TAU_B", 70.0, 90.0),
    *((TRAINED, key, 2.0, 2.5) for key in ("MIN_TAU_M", "MIN_TAU_SYN")),
    (SURROGATE, "rule.scale", 5.0, 7.0),
    *((SURROGATE, key, 11.0, 13.0) for key in ("TAU_MEM", "TAU_SYN")),
]


ONLINE = {"dataset": DATA, "TRIAL_MS": 40.0, "TAU_REF": 2.0, "rule": RULE | {"het_rho": 0.3}}
SWEPT += [
    *((ONLINE, key, 11.0, 13.0) for key in ("TAU_MEM", "TAU_SYN", "rule.tau_decay")),
    (ONLINE, "rule.tau_rise", 3.0, 4.0),
    *((ONLINE, f"rule.{key}", 11.0, 13.0) for key in ("beta", "w_limit", "het_tau")),
    *((ONLINE, key, 0.7, 0.9) for key in ("V_THRESH", "V_RESET", "rule.epsilon", "rule.het_rho")),
]


def program_with(keys: dict[str, Any], name: str, value: float) -> Program:
    """Return the program of ``keys`` with the one called ``name`` at ``value``."""
    group, _, name = name.rpartition(".")
    changed: dict[str, Any] = {name: value}
    if group:
        changed = {group: {**keys[group], **changed}}
    data = SimpleNamespace(n_channels=5, n_classes=3, shape=())
    config = from_dict({"MODEL_SEED": 1, "NUM_HIDDEN": 6, **keys, **changed})
    splits: Any = SimpleNamespace(train=SimpleNamespace(data=data))
    return build_program(config, splits)


@pytest.mark.parametrize(("base", "key", "one", "other"), SWEPT, ids=str)
def test_a_sweep_over_a_number_builds_once(
    base: dict[str, Any], key: str, one: float, other: float
) -> None:
    programs = [program_with(base, key, value) for value in (one, other)]
    online = programs[0].engine is Engine.ONLINE
    write = generate_online if online else generate
    before, after = (write(program, "float32") for program in programs)
    assert before.source == after.source
    assert list(before.numbers) == list(after.numbers)
    assert before.numbers != after.numbers
    if "genn" in programs[0].rule.backends:
        models = [description_of(program, Settings()) for program in programs]
        assert models[0].code() == models[1].code()
        assert models[0].text() != models[1].text()


@pytest.mark.genn
def test_models_of_one_library_in_one_process_keep_their_own_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SNNRUN_CACHE", str(tmp_path))
    opened: list[tuple[Backend, Backend]] = []
    for factor in (1.0, 0.7):
        values = {"tau_mem": 20.0 * factor, "v_thresh": factor, "b_incr": 0.3 * factor}
        case = constant(problem("alif", "max", seed=3, examples=4, parameters=values))
        program = program_of(case, 0.2, train=(), noise=0.1 * factor, spike_dropout=0.3 * factor)
        data, examples = data_of(case, 0.2), np.arange(4)
        opened.append((native(program), genn(program, [data])))
        for backend in opened[-1]:
            load_weights(backend, case.weights)
    assert len(list(tmp_path.rglob("librunner.so"))) == 1
    found = []
    for exact, other in (*opened, *opened):
        for backend in (exact, other):
            backend.gradient(data, examples, Noise(key=5, in_network=True))
        assert_close(gradients_of(other), gradients_of(exact))
        found.append(gradients_of(other)["hid_to_out"])
    assert (found[0] != found[1]).any()


def test_programs_of_one_library_in_one_process_keep_their_own_numbers() -> None:
    case = constant(problem("lif", seed=3, examples=4))
    program = program_of(case, 0.2, train=())
    numbers = generate(program, "float64").numbers
    slower = {n: v * 0.5 if n.endswith("inverse_tau_mem") else v for n, v in numbers.items()}
    data, examples = data_of(case, 0.2), np.arange(4)

    def gradients(given: Mapping[str, float] | None, beside: Any = None) -> list[np.ndarray]:
        backend = native(program, numbers=given)
        load_weights(backend, case.weights)
        if beside is not None:
            beside.gradient(data, examples)
        backend.gradient(data, examples)
        return [backend.get(t.name, "gradient") for t in program.tensors]

    alone, other = gradients(None), gradients(slower)
    assert any((a != b).any() for a, b in zip(alone, other, strict=True))
    there = native(program, numbers=slower)
    load_weights(there, case.weights)
    for a, b in zip(alone, gradients(None, beside=there), strict=True):
        np.testing.assert_array_equal(a, b)


def test_parameters_of_a_neuron_may_be_called_as_what_a_regulariser_sees() -> None:
    odd = Neuron(
        name="odd",
        equations="dV/dt = (I - V) / TAU_MEM\ndI/dt = -I / T",
        threshold="V >= size",
        reset="V = 0",
        input="I",
        parameters=tuple(
            Parameter(name=name, default=value, unit="ms", positive=True, meaning="odd")
            for name, value in (("TAU_MEM", 20.0), ("T", 5.0), ("size", 1.5))
        ),
        meaning="odd",
        source="this test",
    )
    case = constant(problem("lif", seed=3, examples=4))
    program = program_of(
        case,
        0.2,
        train=(),
        regulariser=REGULARISERS["Thomas1"],
        strengths={
            "TAU_MEM": 11.0,
            "LBD_UPPER": 1.0,
            "LBD_LOWER": 1.0,
            "NU_UPPER": 2.0,
            "RHO_UPPER": 3.0,
            "GLB_UPPER": 1.0,
        },
    )
    hidden = program.network.layers[0]
    values = {"TAU_MEM": 20.0, "T": 5.0, "size": 1.5}
    population = replace(hidden.population, neuron=odd, values=values)
    layers = (replace(hidden, population=population), *program.network.layers[1:])
    made = compile_program(
        replace(program.network, layers=layers),
        program.loss,
        program.loss_values,
        steps=program.steps,
        dt=0.2,
        regulariser=program.regulariser,
        regulariser_values=program.regulariser_values,
    )
    numbers = generate(made, "float64").numbers
    assert numbers["Hidden.size"] == 1.5
    assert numbers["Hidden.inverse_reg_size"] == 1 / population.size
    assert numbers["Hidden.inverse_TAU_MEM"] == 1 / 20
    assert numbers["Hidden.reg_TAU_MEM"] == 11


def test_a_library_of_another_program_or_interface_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    case = constant(problem("lif", seed=3, examples=4))
    program = program_of(case, 0.2, train=())
    with pytest.raises(BuildError, match=r"is another program\. Delete its folder"):
        native(program, numbers={"Hidden.tau_men": 1.0})
    fields = [*Job._fields_[1:], Job._fields_[0]]
    monkeypatch.setattr(NativeBackend, "job", type("Job", (Structure,), {"_fields_": fields}))
    with pytest.raises(BuildError, match="was built for another version of snnrun"):
        native(program)


def test_the_slope_of_a_spike_that_grazes_keeps_its_digits() -> None:
    jump = derive(LIF, (), refractory=False).jump
    assert jump is not None
    names = [symbol(name) for name in ("I", "v_thresh", "tau_mem")]
    slope = sp.lambdify(names, jump.slope, "numpy")
    current = np.float32(1 + 1e-4)
    found = slope(current, np.float32(1), np.float32(20))
    assert found == pytest.approx((float(current) - 1) / 20, rel=1e-6)
