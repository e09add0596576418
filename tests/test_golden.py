"""The generated C++ of two programs, as text, so that every change of it is seen in a diff.

SNNRUN_UPDATE_GOLDEN=1 writes the files anew.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from snnrun import __version__
from snnrun.backends.native.emit import emit
from snnrun.compile.program import Program, compile_program
from snnrun.config import from_dict
from snnrun.network.build import (
    build_network,
    find_learning,
    find_loss,
    find_regulariser,
    find_rule,
)

FOLDER = Path(__file__).parent / "golden"
UPDATE = os.environ.get("SNNRUN_UPDATE_GOLDEN") == "1"
PROGRAMS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "lif-recurrent": {"RECURRENT": True, "LOSS_TYPE": "sum_weigh_exp"},
        "alif-trained-taus": {
            "HIDDEN_NEURON_TYPE": "ALIF",
            "TRAIN_TAU": True,
            "TAU_REF": 2.0,
            "LOSS_TYPE": "max",
        },
        "first-spike": {"LOSS_TYPE": "first_spike", "HIDDEN_NEURON_TYPE": "LIF_subtract"},
    }
)
NATIVE: Mapping[str, Mapping[str, Any]] = MappingProxyType(  # of rules that no other backend runs
    {
        "surrogate-alif-recurrent": {
            "rule": {"name": "surrogate", "surrogate": "piecewise_linear", "detach_reset": False},
            "HIDDEN_NEURON_TYPE": "ALIF",
            "RECURRENT": True,
            "LOSS_TYPE": "max",
            "TAU_REF": 2.0,
            "REG_TYPE": "simple",
        },
        "stdp": {
            "rule": {"name": "stdp", "bound": "multiplicative", "reward": True},
            "RECURRENT": True,
        },
    }
)
ALL = {**PROGRAMS, **NATIVE}


def program(keys: Mapping[str, Any]) -> Program:
    config = from_dict({"dataset": "shd", "NUM_HIDDEN": 64, "MODEL_SEED": 1, **keys})
    loss = find_loss(config)
    regulariser, strengths = find_regulariser(config)
    return compile_program(
        build_network(config, n_inputs=700, n_outputs=20),
        loss,
        {key: float(config.get(key)) for key in loss.keys},
        steps=config.steps,
        dt=config.DT_MS,
        regulariser=regulariser,
        regulariser_values=strengths,
        rule=find_rule(config),
        learning=find_learning(config),
    )


def rounded(code: str) -> str:
    """Return code with 12 digits of each number: the last ones depend on the processor's BLAS."""
    return re.sub(r"\d+\.\d{12,}(e-?\d+)?", lambda found: f"{float(found[0]):.12g}", code)


@pytest.mark.parametrize("name", ALL)
def test_the_generated_code_is_the_one_that_was_reviewed(name: str) -> None:
    found = rounded(emit(program(ALL[name]), "float32")).replace(__version__, "VERSION")
    file = FOLDER / f"{name}.cpp"
    if UPDATE:
        FOLDER.mkdir(exist_ok=True)
        file.write_text(found)
    assert found == file.read_text(), (
        "the generated code has changed; if that is meant, SNNRUN_UPDATE_GOLDEN=1 pytest "
        "tests/test_golden.py writes it anew, and git diff shows how"
    )


@pytest.mark.parametrize("name", ALL)
def test_the_generated_code_is_readable(name: str) -> None:
    lines = emit(program(ALL[name]), "float32").splitlines()
    assert not any(line != line.rstrip() for line in lines)
    assert max(map(len, lines)) <= 200
    assert any("dV/dt" in line for line in lines)


def test_the_same_program_gives_the_same_text() -> None:
    keys = PROGRAMS["alif-trained-taus"]
    assert emit(program(keys), "float64") == emit(program(keys), "float64")
