"""Optimisers: their equations, all backends alike, clipping, rates, checkpoints, one's own."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from optimiser_formulas import adam, clipped, lion, rmsprop, sgd
from runs import (
    SMALL,
    assert_same_run,
    end,
    here,
    overrides,
    small,
    start,
    stopped_at,
    wait_for_epochs,
)

from snnrun.backends.base import NO_NOISE
from snnrun.backends.interpreter.backend import NumpyBackend
from snnrun.compile.program import DELAYS, PARAMETERS, Program
from snnrun.config import from_dict
from snnrun.datasets import load
from snnrun.errors import CheckpointError, ConfigError
from snnrun.network.build import initial_weights
from snnrun.network.delays import DelayKind
from snnrun.optimisers import optimiser_of
from snnrun.optimisers.evaluate import apply, scale_of, shared_values
from snnrun.record import load_run
from snnrun.record.paths import RunPaths
from snnrun.run import build_program, built, train
from snnrun.training import checkpoint
from snnrun.training.schedule import Rates
from snnrun.training.state import from_checkpoint
from tests import graph_cases as graphs
from tests.long import long_but
from tests.parity import native

Array = np.ndarray
Steps = Callable[[Array, list[Array]], list[Array]]  # first values, gradients -> values


# name -> keys, and what they mean
CASES: dict[str, tuple[dict[str, Any], Steps]] = {
    "adam": ({}, adam),
    "adamw": ({"name": "adamw", "weight_decay": 0.1}, lambda w, g: adam(w, g, decay=0.1)),
    "sgd": ({"name": "sgd"}, lambda w, g: sgd(w, g, momentum=0.9)),
    "plain sgd": ({"name": "sgd", "momentum": 0.0}, sgd),
    "nesterov": (
        {"name": "sgd", "momentum": 0.8, "nesterov": True, "weight_decay": 0.02},
        lambda w, g: sgd(w, g, momentum=0.8, nesterov=True, l2=0.02),
    ),
    "rmsprop": ({"name": "rmsprop"}, rmsprop),
    "centred rmsprop": (
        {"name": "rmsprop", "centred": True, "momentum": 0.5, "alpha": 0.9},
        lambda w, g: rmsprop(w, g, centred=True, momentum=0.5, alpha=0.9),
    ),
    "lion": ({"name": "lion", "weight_decay": 0.1}, lambda w, g: lion(w, g, decay=0.1)),
    "clipped by norm": ({"clip_norm": 0.7}, lambda w, g: adam(w, clipped(g, norm=0.7))),
    "clipped by value": (
        {"name": "sgd", "clip_value": 0.2},
        lambda w, g: sgd(w, clipped(g, value=0.2), momentum=0.9),
    ),
}


def keys_of(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of keys with these options of the optimiser."""
    config = from_dict({"optimiser": {**options}})
    return config.by_key()


def steps_of(options: Mapping[str, Any], w: Array, gradients: list[Array]) -> list[Array]:
    """Return the values after each update with our equations, as the numpy backend takes them."""
    update = optimiser_of(keys_of(options))
    states, found = {name: np.zeros_like(w) for name in update.states}, []
    for step, g in enumerate(gradients, 1):
        scale = scale_of(update, [g])
        shared = shared_values(update, rate=0.05, step=step, weights=True, scale=scale)
        apply(update, shared, w, g, states)
        found.append(w.copy())
    return found


def some_gradients(count: int = 30) -> tuple[Array, list[Array]]:
    """Return first values, and gradients of all sizes."""
    draws = np.random.default_rng(4)
    sizes = 10 ** draws.uniform(-2, 0.5, count)
    return draws.normal(size=(4, 3)), [size * draws.normal(size=(4, 3)) for size in sizes]


@pytest.mark.parametrize("name", CASES)
def test_the_equations_are_those_of_the_publications(name: str) -> None:
    options, formula = CASES[name]
    w, gradients = some_gradients()
    wanted = formula(w.copy(), gradients)
    for found, expected in zip(steps_of(options, w, gradients), wanted, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-14)


def test_a_variance_that_is_small_beside_the_mean_keeps_the_digits_of_float32() -> None:
    options = {"name": "rmsprop", "centred": True}
    draw, start = np.random.default_rng(5), np.zeros(3)
    gradients = [1 + 1e-4 * draw.normal(size=3) for _ in range(4000)]
    exact = steps_of(options, start.copy(), gradients)
    rounded = [g.astype(np.float32) for g in gradients]
    found = steps_of(options, start.astype(np.float32), rounded)
    last = [values[-1] - values[-500] for values in (found, exact)]
    np.testing.assert_allclose(*last, rtol=1e-3)


EVERYTHING = graphs.Graph(
    graphs.hidden("a", "b", size=14),
    [
        {"ends": "input-a", "synapses": graphs.shared(graphs.CHANNELS, 14), "mean": 0.6},
        {"ends": "input-b", "delays": DelayKind.SYNAPTIC, "bounds": (0.0, np.inf)},
        {"ends": "a-b", "synapses": graphs.sparse(14, 15), "delays": DelayKind.SYNAPTIC},
        {"ends": "b-a", "synapses": graphs.sparse(15, 14), "mean": 0.1},
        {"ends": "b-b", "delays": DelayKind.AXONAL, "mean": 0.1},
        {"ends": "a-output", "delays": DelayKind.DENDRITIC},
        {"ends": "b-output"},
    ],
    trained=("tau_mem", "tau_syn"),
)


def program_with(options: Mapping[str, Any], surrogate: bool = False) -> Program:
    """Return a program of everything that learns, with these options of the optimiser."""
    program = EVERYTHING.program(surrogate=surrogate)
    return replace(program, optimiser=optimiser_of(keys_of(options)))


def learned(backend: Any, updates: int = 4) -> dict[str, Array]:
    """Return all that a backend holds after some updates; weights, delays, ... have own rates."""
    program = backend.program
    own = {DELAYS: 0.3, PARAMETERS: 0.1}
    rates = np.array([[own.get(t.kind, 0.03) for t in program.tensors]] * updates)
    rates *= np.linspace(1, 0.5, updates)[:, None]
    graphs.start(backend)
    backend.train(graphs.data(examples=2 * updates), np.arange(2 * updates), 2, rates, 0, NO_NOISE)
    kept = [(t.name, which) for t in program.tensors for which in ("value", *t.states)]
    return {f"{name} {which}": backend.get(name, which) for name, which in kept}


@pytest.mark.parametrize(
    "name", long_but(list(CASES), ["nesterov", "lion", "clipped by norm", "clipped by value"])
)
def test_native_and_numpy_take_the_same_steps(name: str) -> None:
    program = program_with(CASES[name][0])
    expected, found = learned(NumpyBackend(program)), learned(native(program))
    start = NumpyBackend(program)
    graphs.start(start)
    for array, value in found.items():
        scale = np.abs(expected[array]).max()
        np.testing.assert_allclose(value, expected[array], rtol=1e-9, atol=1e-10 * scale)
    for tensor in program.tensors:
        moved = found[f"{tensor.name} value"] != start.get(tensor.name)
        assert moved.any() == tensor.trained, tensor.name


@pytest.mark.parametrize("surrogate", long_but([False, True], [True]))
def test_a_clipped_norm_has_the_same_bits_for_any_number_of_threads(surrogate: bool) -> None:
    program = program_with({"clip_norm": 0.05}, surrogate)
    one, three = (learned(native(program, threads=count, precision="float32")) for count in (1, 3))
    assert {name: a.tobytes() for name, a in one.items()} == {
        name: a.tobytes() for name, a in three.items()
    }
    free = learned(native(program_with({}, surrogate), precision="float32"))
    assert any((free[name] != one[name]).any() for name in one)


def test_weights_alone_decay() -> None:
    program = program_with({"name": "adamw", "weight_decay": 10.0})
    backend = NumpyBackend(program)
    graphs.start(backend)
    before = {t.name: backend.get(t.name) for t in program.tensors}
    still = np.full(1, 1e-3)
    backend.train(graphs.data(examples=2), np.arange(2), 2, still, 0, NO_NOISE)
    for tensor in program.tensors:
        change = backend.get(tensor.name) - before[tensor.name]
        most = np.abs(change).max()
        if tensor.kind in (DELAYS, PARAMETERS):
            assert most <= 1.001e-3
        else:  # 10 x 1e-3 of it, besides Adam's step
            np.testing.assert_allclose(change, -0.01 * before[tensor.name], atol=1.001e-3)


def test_each_array_follows_its_own_rate() -> None:
    rates = {"output": 0.002, "parameters": 0.5, "hid_to_hid": 0.003}
    config = small(
        RECURRENT=True, TRAIN_TAU=True, N_EPOCH=1, N_TRAIN=20, optimiser={"rates": rates}, ETA=0.001
    )
    splits = load(config)
    with built(config, splits) as backend:
        program = backend.program
        for name, weights in initial_weights(program.network, 1).items():
            backend.set(name, weights)
        before = {t.name: backend.get(t.name) for t in program.tensors}
        given = Rates().of_tensors(config, program, 0, 0, np.array([0.001]), 1)
        backend.train(splits.train.data, np.arange(20), 20, given, 0, NO_NOISE)
        after = {t.name: backend.get(t.name) for t in program.tensors}
    for name, rate in (
        ("in_to_hid", 0.001),
        ("hid_to_out", 0.002),
        ("hid_to_hid", 0.003),
        ("hidden_parameters", 0.5),
    ):
        moved = np.abs(after[name] - before[name])
        assert moved.max() == pytest.approx(rate, rel=1e-3)  # Adam's first step is its rate


@pytest.mark.parametrize("name", long_but(["sgd", "rmsprop", "lion", "clipped by norm"], ["sgd"]))
def test_a_stop_changes_no_bit_whatever_the_optimiser(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = small(optimiser=CASES[name][0], TRAIN_TAU=True, ETA=0.002)
    train(config, tmp_path / "run")
    assert stopped_at(5, config, tmp_path / "stopped", monkeypatch)
    saved = checkpoint.load(RunPaths(tmp_path / "stopped").last)
    assert 0 < saved["updates"] < 21
    states = optimiser_of(config.by_key()).states
    assert list(saved["tensors"]["in_to_hid"]) == ["value", *states]
    assert all(saved["tensors"]["in_to_hid"][state].any() for state in states)
    train(config, tmp_path / "stopped", resume=True)
    assert_same_run(tmp_path / "stopped", tmp_path / "run")


@pytest.mark.long
def test_a_run_that_is_killed_ends_with_the_same_bits(tmp_path: Path) -> None:
    keys = {**SMALL, "N_EPOCH": 6, "N_TRAIN": 4000, "optimiser": "rmsprop", "schedule": "plateau"}
    keys |= {"optimiser.momentum": 0.5, "optimiser.clip_norm": 0.05, "schedule.patience": 0}
    keys |= {"schedule.threshold": 0.05, "optimiser.rates.output": 0.001}
    folders = tmp_path / "whole", tmp_path / "killed"
    words = [["train", *overrides(keys), f"hydra.run.dir={folder}"] for folder in folders]
    assert end(start(*words[0]))[0] == 0
    process = start(*words[1])
    wait_for_epochs(folders[1], 2, process)
    process.kill()
    assert end(process)[0] == -signal.SIGKILL
    assert end(start("resume", str(folders[1])))[0] == 0
    assert_same_run(*folders)
    assert len(set(load_run(folders[0]).epochs["learning_rate"])) > 1  # the schedule acts


def test_a_checkpoint_of_another_optimiser_is_refused_and_its_weights_can_be_taken(
    tmp_path: Path,
) -> None:
    keys = {**SMALL, "backend": "numpy", "N_EPOCH": 1, "N_TRAIN": 20, "OUT_DIR": str(tmp_path)}
    folder = tmp_path / "outputs" / "first"
    train(from_dict({**keys, "NAME": "mine"}), folder)
    other = {**keys, "optimiser": "sgd", "N_EPOCH": 2, "NAME": "mine"}
    with pytest.raises((CheckpointError, ConfigError), match=r"optimiser\.name|optimiser adam"):
        train(from_dict(other), folder, resume=True)
    saved = checkpoint.load(RunPaths(folder).last)
    with (
        built(from_dict(other), load(from_dict(other))) as backend,
        pytest.raises(CheckpointError) as error,
    ):
        from_checkpoint(saved, backend, "last.h5")
    assert str(error.value) == (
        "last.h5: made with optimiser adam, which keeps first, second for each weight; this run "
        "has sgd, which keeps velocity for each weight. Go on with the optimiser of the checkpoint "
        "and its options, or begin another run with LOAD_LAST=true, which takes the weights alone"
    )
    again = tmp_path / "outputs" / "again"
    train(from_dict({**other, "LOAD_LAST": True, "N_EPOCH": 0}), again)
    loaded = checkpoint.load(RunPaths(again).last)["tensors"]["in_to_hid"]
    np.testing.assert_array_equal(loaded["value"], saved["tensors"]["in_to_hid"]["value"])
    del saved["optimiser"]  # as those of older versions are
    adam_again = from_dict({**keys, "N_EPOCH": 2})
    with built(adam_again, load(adam_again)) as backend:
        assert from_checkpoint(saved, backend, "last.h5").epoch == 1


OWN = '''"""Optimisers of a user's own."""

from snnrun.keys.kinds import FLOAT
from snnrun.optimisers import Optimiser, option

SIGNED = Optimiser(
    name="signed",
    meaning="steps along the sign of a mean of the gradient",
    states=("mean", "zero"),
    options=(option("keep", FLOAT, "Decay of the mean.", 0.5, minimum=0, below=1),),
    once="""
        half = rate / 2
        whole = half + half * step / step
    """,
    update="""
        mean = keep * mean + (1 - keep) * g
        w = w - whole * (sign(mean) + zero + decay * w)
    """,
)
WRONG = Optimiser(name="wrong", meaning="has a mistake", update="w = w - rate * speed")
NOTHING = Optimiser(name="nothing", meaning="moves nothing", states=("m",), update="m = g")
'''


def test_an_optimiser_of_ones_own_is_a_few_equations(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own_optimisers.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    options = {
        "name": "own_optimisers.SIGNED",
        "keep": 0.25,
        "clip_value": 0.01,
        "weight_decay": 0.1,
    }
    w, gradients = some_gradients()
    mean, wanted = np.zeros_like(w), w.copy()
    for g in gradients:
        mean = 0.25 * mean + 0.75 * np.clip(g, -0.01, 0.01)
        wanted = wanted - 0.05 * (np.sign(mean) + 0.1 * wanted)
    np.testing.assert_allclose(steps_of(options, w.copy(), gradients)[-1], wanted, rtol=1e-12)
    program = program_with(options)
    expected, found = learned(NumpyBackend(program)), learned(native(program))
    for array, value in found.items():
        np.testing.assert_allclose(value, expected[array], rtol=1e-8, atol=1e-10)
    assert "keep * mean + (1 - keep) * g" in program.describe()
    for name, message in {
        "own_optimisers.WRONG": "unknown name 'speed'",
        "own_optimisers.NOTHING": "the last line of its update must assign w",
        "own_optimisers.SIGN": "has no 'SIGN'",
    }.items():
        with pytest.raises(ConfigError) as error:
            from_dict({"optimiser": {"name": name}})
        assert message in str(error.value)
    for keys, message in (
        ({"optimiser": {**options, "keep": 2}}, "optimiser.keep=2: must be a number >= 0 and < 1"),
        (
            {"optimiser": {**options, "momentum": 0.5}},
            "has no effect with optimiser own_optimisers",
        ),
        ({"optimiser": options, "ADAM_EPS": 0.5}, "ADAM_EPS=0.5: has no effect with optimiser own"),
    ):
        with pytest.raises(ConfigError) as error:
            from_dict(keys)
        assert message in str(error.value)
    sys.modules.pop("own_optimisers")


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"optimiser": "sdg"}, "Did you mean 'sgd'?"),
        ({"optimiser": {"momentum": 0.5}}, "optimiser.momentum=0.5: has no effect unless "),
        ({"optimiser": "sgd", "ADAM_BETA1": 0.5}, "ADAM_BETA1=0.5: has no effect unless "),
        ({"optimiser": {"clip_norm": 1, "clip_value": 1}}, "by norm or by value; give one of them"),
        ({"optimiser": {"clip_norm": 0}}, "optimiser.clip_norm=0: must be a number > 0"),
        ({"optimiser": {"rates": {"delays": 0.1}}}, "the learning rate of delays is ETA_DELAY"),
        ({"optimiser": {"rates": {"output": -1}}}, "optimiser.rates.output=-1: must be a number >"),
        (
            {"optimiser": {"name": "sgd", "momentum": 0.0, "nesterov": True}},
            "optimiser.nesterov=true: has no effect with optimiser.momentum=0",
        ),
        ({"dataset": "pattern", "optimiser": "sgd"}, "has no effect with rule=superspike"),
        ({"dataset": "pattern", "optimiser": {"clip_norm": 1.0}}, "no effect with rule=superspike"),
    ],
)
def test_what_has_no_effect_or_no_meaning_is_refused(keys: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as error:
        from_dict(keys)
    assert message in str(error.value)


def test_a_rate_of_nothing_that_learns_is_refused() -> None:
    config = small(optimiser={"rates": {"hidden_parameters": 0.1}})
    with pytest.raises(ConfigError) as error:
        build_program(config, load(config))
    assert str(error.value) == (
        "optimiser.rates.hidden_parameters=0.1: has no effect, as nothing that is trained is "
        "called so. There are: hid_to_out, in_to_hid, output"
    )


def test_options_are_given_on_the_command_line_and_equations_shown(tmp_path: Path) -> None:
    few = {**SMALL, "backend": "numpy", "N_TRAIN": 20, "N_EPOCH": 1, "OUT_DIR": str(tmp_path)}
    words = ["optimiser=adamw", "optimiser.weight_decay=0.2", "optimiser.rates.output=0.001"]
    done = here("compile", *overrides(few), *words)
    assert done.returncode == 0, done.stderr
    assert "    once: keep = 1 - rate * decay\n" in done.stdout
    assert "optimiser adamw: Adam, with weights that decay apart from it; beta1 0.9" in done.stdout
    wrong = here("train", *overrides(few), "optimiser.momentum=0.5")
    assert wrong.returncode == 2
    assert "optimiser.momentum=0.5: has no effect unless optimiser.name is sgd" in wrong.stderr
