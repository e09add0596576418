"""backend=numpy, the derived program without a compiler, beside the reference and native."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import test_connectivity
import test_noise
import test_pairs
import test_parity
import test_regularisers
import test_surrogate
import test_update
import test_van_rossum
from long import long_but
from oracle import Problem
from parity import load_parameters, load_weights, program_of
from runs import assert_same_run, small

from snnrun import load_run
from snnrun.backends.interpreter.backend import NumpyBackend
from snnrun.compile.program import Program
from snnrun.config import from_dict
from snnrun.errors import ConfigError
from snnrun.models.neurons import ALIF
from snnrun.run import train
from snnrun.testing import BuildOptions, check_model

MODULES = (test_connectivity, test_pairs, test_surrogate, test_update, test_van_rossum)


@pytest.fixture
def interpreted(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in MODULES:
        monkeypatch.setattr(module, "native", lambda program, **_: NumpyBackend(program))


def loaded(name: str, given: Problem) -> NumpyBackend:
    one = test_parity.CASES[name]
    program = program_of(one.problem, test_parity.DT, train=one.train, integrator=one.integrator)
    backend = NumpyBackend(program)
    load_weights(backend, given.weights)
    load_parameters(backend, given)
    return backend


@pytest.mark.parametrize(
    "name", long_but(test_parity.CASES, ["adaptive, peaks", "lags of spike times"])
)
def test_spikes_losses_and_gradients_are_those_of_the_reference(name: str) -> None:
    given = test_parity.CASES[name].problem
    test_parity.assert_equal(name, given, loaded)
    test_parity.assert_equal(name, test_parity.with_late_events(given), loaded)


@pytest.mark.usefixtures("interpreted")
@pytest.mark.parametrize(
    "choice", long_but(test_pairs.FOUND, test_pairs.FOUND[:4], test_pairs.name_of)
)
def test_pairs_of_choices_are_those_of_the_reference(choice: dict[str, Any]) -> None:
    test_pairs.test_the_gradient_is_that_of_the_reference(choice)


@pytest.mark.usefixtures("interpreted")
@pytest.mark.parametrize(
    "choice", long_but(test_surrogate.FOUND, test_surrogate.FOUND[:4], test_surrogate.name_of)
)
def test_surrogate_gradients_are_those_of_the_steps(choice: dict[str, Any]) -> None:
    test_surrogate.test_the_gradient_is_that_of_the_steps(choice)


@pytest.mark.usefixtures("interpreted")
@pytest.mark.parametrize("name", long_but(test_van_rossum.CASES, list(test_van_rossum.CASES)[:1]))
def test_distances_of_spike_trains_are_those_of_the_reference(name: str) -> None:
    test_van_rossum.test_the_gradient_is_that_of_the_steps(name)


@pytest.mark.usefixtures("interpreted")
@pytest.mark.parametrize("name", test_update.CASES)
def test_neurons_that_are_declared_by_an_update_do_its_steps(name: str) -> None:
    test_update.test_steps_are_those_of_the_formulas(name, "float64")


@pytest.mark.usefixtures("interpreted")
@pytest.mark.parametrize("name", test_connectivity.CASES)
def test_gradients_are_those_of_dense_projections_at_the_synapses(name: str) -> None:
    test_connectivity.test_gradients_are_those_of_dense_projections_at_the_synapses(name)


@pytest.mark.parametrize("name", test_regularisers.REGULARISERS)
def test_what_regularisers_add_is_that_of_the_reference(name: str) -> None:
    def make(program: Program, _: Sequence[Any]) -> NumpyBackend:
        return NumpyBackend(program)

    test_regularisers.test_the_push_is_that_of_the_reference(name, "max", False, make)


def test_noise_and_dropout_are_those_of_the_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    name = "recurrent, refractory"
    one, noise, spike_dropout = test_noise.CASES[name]
    backend = NumpyBackend(
        program_of(
            one.problem, test_noise.DT, train=one.train, noise=noise, spike_dropout=spike_dropout
        )
    )
    load_weights(backend, one.problem.weights)
    load_parameters(backend, one.problem)
    monkeypatch.setattr(test_noise, "built", lambda _: backend)
    test_noise.test_spikes_and_gradients_are_those_of_the_reference_with_the_same_draws(name)


SAME = {"backend.precision": "float64", "backend.contraction": False}
SIZES: dict[str, Any] = {
    "N_TRAIN": 48,
    "N_VALIDATE": 16,
    "N_TEST": 16,
    "N_EPOCH": 2,
    "NUM_HIDDEN": 20,
    "DT_MS": 0.5,
    "PDROP_INPUT": 0.1,
}


@pytest.mark.parametrize(
    "more",
    [
        pytest.param({"TRAIN_TAU": True, "LOSS_TYPE": "sum"}, marks=pytest.mark.long),
        {"rule": "surrogate", "LOSS_TYPE": "max", "RECURRENT": True},
    ],
)
def test_a_run_learns_what_native_learns(more: dict[str, Any], tmp_path: Path) -> None:
    runs = []
    for backend, own in (("numpy", {}), ("native", SAME)):
        config = from_dict({**SIZES, **more, **own, "backend": backend, "MODEL_SEED": 3})
        train(config, tmp_path / backend)
        runs.append(load_run(tmp_path / backend))
    one, other = runs
    assert len(set(one.epochs["train_loss"])) == 2
    for column in ("train_loss", "validation_loss", "train_accuracy", "hidden_spikes/hidden"):
        if column in one.epochs:
            np.testing.assert_allclose(one.epochs[column], other.epochs[column], rtol=1e-9)
    assert one.test["accuracy"] == other.test["accuracy"]


def test_a_run_that_goes_on_has_the_bits_of_one_that_did_not_stop(tmp_path: Path) -> None:
    one, two = (
        from_dict({**SIZES, "backend": "numpy", "MODEL_SEED": 3, "N_EPOCH": n}) for n in (1, 2)
    )
    train(two, tmp_path / "whole")
    train(one, tmp_path / "parts")
    train(two, tmp_path / "parts", resume=True)
    assert_same_run(tmp_path / "whole", tmp_path / "parts")


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"rule": "stdp"}, "rule=stdp: backend numpy cannot run it; use backend=native"),
        ({"backend.threads": 2}, "backend.threads"),
        ({"backend.precision": "float64"}, "backend.precision=float64: has no effect"),
    ],
)
def test_what_it_cannot_do_is_refused(keys: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        small(backend="numpy", **keys)


@pytest.mark.long
def test_gradients_pass_the_checks_of_a_model() -> None:
    assert check_model(ALIF, options=BuildOptions(backend="numpy")).passed
