"""The users' flags, of which most tests take other ones: what they share, and runs with them."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from oracle import Problem
from parity import data_of, gradients_of, load_parameters, load_weights, native, program_of
from runs import SMALL, assert_same_run, here, overrides, small
from test_parity import CASES, DT, LARGE, drawn_again

from snnrun.backends.native.compiler import find_compiler, flags
from snnrun.backends.native.library import NativeBackend
from snnrun.compile.program import Program
from snnrun.models.surrogates import SpikeDerivative
from snnrun.record import load_run
from snnrun.run import compile_only


def eventprop(given: Problem, name: str) -> Program:
    return program_of(given, DT, train=CASES[name].train, integrator=CASES[name].integrator)


def surrogate(given: Problem, name: str) -> Program:
    return program_of(given, DT, train=CASES[name].train, spikes=SpikeDerivative())


@pytest.mark.long
@pytest.mark.parametrize(
    ("name", "program"),
    [
        # trained time constants, as a large layer
        ("recurrent, refractory", eventprop),
        ("two large layers", eventprop),
        ("spike times of two layers", eventprop),
        ("adaptive, peaks", surrogate),
    ],
)
def test_the_users_optimisation_has_the_bits_of_none(
    name: str, program: Callable[[Problem, str], Program]
) -> None:
    given = CASES[name].problem
    more = LARGE if CASES[name].large else ()
    plain, fast = (
        native(program(given, name), flags=(*more, level), threads=2) for level in ("-O0", "-O3")
    )
    for seed in (20, 21):
        case = drawn_again(given, seed)
        found = [bits(backend, case) for backend in (plain, fast)]
        assert found[0] == found[1]


def bits(backend: NativeBackend, case: Problem) -> dict[str, bytes]:
    load_weights(backend, case.weights)
    load_parameters(backend, case)
    results = backend.gradient(data_of(case, DT), np.arange(len(case.examples)))
    assert results.neuron_spikes.sum() > 0
    gradients = {name: array.tobytes() for name, array in gradients_of(backend).items()}
    trial = backend.trial(data_of(case, DT), 0)
    states = {
        f"{name} of {layer}": array.tobytes()
        for layer, found in enumerate(trial.states)
        for name, array in found.items()
    }
    return {"loss": results.loss.tobytes(), **gradients, **states}


@pytest.mark.long
@pytest.mark.usefixtures("users_flags")
def test_users_get_the_highest_level(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = flags(find_compiler(), contraction=True, extra=())
    assert [word for word in given if word.startswith("-O")] == ["-O3"]
    compile_only(small(), tmp_path)
    assert shlex.join(given) in " ".join(capsys.readouterr().out.split())


@pytest.mark.usefixtures("users_flags")
@pytest.mark.long
def test_a_run_with_the_users_flags_learns_and_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    words = overrides({**SMALL, "N_TRAIN": 1000, "N_EPOCH": 4, "backend.threads": 2})
    for folder, more in (("whole", []), ("parts", ["N_EPOCH=2"])):
        done = here("train", *words, *more, f"hydra.run.dir={tmp_path / folder}")
        assert done.returncode == 0, done.stderr
    done = here("resume", str(tmp_path / "parts"), "N_EPOCH=4", "backend.threads=1")
    assert done.returncode == 0, done.stderr
    assert_same_run(tmp_path / "whole", tmp_path / "parts")
    accuracy = load_run(tmp_path / "whole").epochs["train_accuracy"]
    assert accuracy[-1] > max(accuracy[0], 0.6)
