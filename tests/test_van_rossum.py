"""LOSS_TYPE=van_rossum with rule=surrogate: gradient, figures, training, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import reference
import reference_discrete
from long import long_but
from oracle import Problem, problem
from parity import (
    TAUS,
    data_of,
    gradients_of,
    load_parameters,
    load_weights,
    native,
    program_of,
    with_targets,
)
from test_parity import assert_close
from test_regularisers import STRENGTHS
from test_surrogate import penalty_of

from snnrun import load_run, train
from snnrun.backends.base import NO_NOISE
from snnrun.backends.native.library import NativeBackend
from snnrun.backends.pattern import distances_ms
from snnrun.compile.loss import kernel_of
from snnrun.config import from_dict
from snnrun.datasets import load
from snnrun.errors import ConfigError, ModelError
from snnrun.models.regularisers import REGULARISERS
from snnrun.models.surrogates import SURROGATES, SpikeDerivative
from snnrun.rules import find_rule
from snnrun.run import build_program
from snnrun.tasks.spike_pattern import FIGURES

DT, EXAMPLES, TOLERANCE = 0.1, 3, 1e-11
CASES: dict[str, dict[str, Any]] = {
    "plain": {},
    "two recurrent layers, beyond a block": {
        "recurrent": True,
        "hidden_layers": 2,
        "sizes": (5, 140, 150),
        "surrogate": "sigmoid",
    },
    "resets differentiated, refractory outputs": {
        "detach": False,
        "t_ref": 1.0,
        "surrogate": "arctan",
        "model": "alif",
    },
    "parameters of outputs trained, penalty": {
        "spread": 0.1,
        "train": (*TAUS, "v_thresh", "v_reset"),
        "model": "lif_subtract",
        "recurrent": True,
        "surrogate": "triangular",
        "t_ref": 0.5,
        "regulariser": "Thomas1",
    },
}


def drawn(model: str = "lif", t_ref: float = 0.0, spread: float = 0.0, **more: Any) -> Problem:
    options = {"seed": 4, "examples": EXAMPLES, "sizes": (5, 4, 3), **more}
    case = problem(model, "van_rossum", t_ref=t_ref, spread=spread, **options)
    output = replace(case.layers[-1], t_ref=t_ref)
    return replace(case, layers=(*case.layers[:-1], output))


def loaded(case: Problem, threads: int = 1, **more: Any) -> NativeBackend:
    backend = native(program_of(case, DT, **{"spikes": SpikeDerivative(), **more}), threads=threads)
    load_weights(backend, case.weights)
    load_parameters(backend, case)
    return backend


def targets_of(case: Problem) -> np.ndarray:
    shape = (EXAMPLES, case.steps(DT), case.layers[-1].size)
    return np.random.default_rng(2).random(shape) < 0.02


@pytest.mark.parametrize("name", long_but(CASES, ["resets differentiated, refractory outputs"]))
def test_the_gradient_is_that_of_the_steps(name: str) -> None:
    options = dict(CASES[name])
    surrogate, detach = options.pop("surrogate", "fast_sigmoid"), options.pop("detach", True)
    trained, regulariser = options.pop("train", ()), options.pop("regulariser", None)
    case = drawn(**options)
    spikes = SpikeDerivative(surrogate=SURROGATES[surrogate], detach_reset=detach)
    more = {"regulariser": REGULARISERS[regulariser], "strengths": STRENGTHS} if regulariser else {}
    backend, targets = loaded(case, train=trained, spikes=spikes, **more), targets_of(case)

    def gradient(e: int, penalty: Callable | None) -> reference.Result:
        return reference_discrete.gradient(
            case,
            DT,
            e,
            reference_discrete.SURROGATES[surrogate],
            detach=detach,
            target=targets[e],
            penalty=penalty,
        )

    wanted = plain = [gradient(e, None) for e in range(EXAMPLES)]
    assert all(one.counts[layer].sum() for one in plain for layer in range(len(case.layers)))
    if regulariser:
        wanted = [gradient(e, penalty_of(regulariser, None)) for e in range(EXAMPLES)]
        with_, without = (reference.mean_gradients(x)["in_to_hid"] for x in (wanted, plain))
        assert np.abs(with_ - without).max() > 1e-3 * np.abs(without).max()
    results = backend.gradient(with_targets(data_of(case, DT), targets), np.arange(EXAMPLES))
    np.testing.assert_allclose(results.loss, [one.loss for one in wanted], rtol=1e-12)
    assert (results.prediction == -1).all()
    assert_close(gradients_of(backend), reference.mean_gradients(wanted), TOLERANCE)


@pytest.mark.parametrize("rise", [5.0, 9.99])
def test_nearly_equal_time_constants_keep_the_digits_of_float32(rise: float) -> None:
    case = drawn()
    case = replace(case, loss=replace(case.loss, tau_rise=rise, tau_decay=10.0))
    program = program_of(case, DT, spikes=SpikeDerivative())
    data, found = with_targets(data_of(case, DT), targets_of(case)), []
    for precision in ("float64", "float32"):
        backend = native(program, precision=precision)
        load_weights(backend, case.weights)
        load_parameters(backend, case)
        found.append((backend.gradient(data, np.arange(EXAMPLES)), gradients_of(backend)))
    (wanted, exact), (results, gradients) = found
    np.testing.assert_array_equal(results.neuron_spikes, wanted.neuron_spikes)
    np.testing.assert_allclose(results.loss, wanted.loss, rtol=2e-5)
    assert_close(gradients, exact, 2e-5)


def test_figures_follow_from_spikes_and_silent_outputs() -> None:
    case = drawn()
    backend, targets = loaded(case), targets_of(case)
    data, all_ = with_targets(data_of(case, DT), targets), np.arange(EXAMPLES)
    found = backend.evaluate(data, all_)
    assert found.figures.keys() <= set(FIGURES) | {"rate_hidden", "rate_output"}
    trials = [backend.trial(data, e) for e in all_]
    backend.set("hid_to_out", np.zeros_like(case.weights["hid_to_out"]))
    silent = backend.evaluate(data, all_)
    assert silent.layer_spikes[:, -1].sum() == 0
    np.testing.assert_allclose(silent.figures["error_ratio"], 1.0, rtol=1e-12)
    figures = found.figures
    np.testing.assert_allclose(figures["error_ratio"], found.loss / silent.loss, rtol=1e-12)
    np.testing.assert_allclose(figures["van_rossum_distance"], found.loss / 3, rtol=1e-12)
    for e, trial in enumerate(trials):
        spikes, due = (trial.steps[-1], trial.neurons[-1]), np.nonzero(targets[e])
        assert figures["hits_2ms"][e] == (distances_ms(due, spikes, DT) <= 2.0).mean()
        assert figures["spurious_5ms"][e] == (distances_ms(spikes, due, DT) > 5.0).mean()


@pytest.mark.long
def test_training_has_the_same_bits_for_any_number_of_threads() -> None:
    case = drawn(recurrent=True, sizes=(5, 40, 3))
    data = with_targets(data_of(case, DT), targets_of(case))
    found = []
    for threads in (1, 3):
        backend = loaded(case, threads=threads)
        results = backend.train(data, np.tile(np.arange(3), 4), 1, np.full(12, 0.01), 0, NO_NOISE)
        found.append([results.loss, *results.figures.values(), backend.get("in_to_hid")])
    for one, other in zip(*found, strict=True):
        np.testing.assert_array_equal(one, other)


KEYS: dict[str, Any] = {
    "dataset": {"name": "pattern", "channels": 30, "outputs": 10, "rate": 30.0},
    "rule": {"name": "surrogate", "scale": 1.0},
    "LOSS_TYPE": "van_rossum",
    "TRIAL_MS": 200.0,
    "NUM_HIDDEN": 40,
    "N_EPOCH": 12,
    "MODEL_SEED": 1,
    "N_TEST": 2,
    "INPUT_HIDDEN_STD": 9.0,
    "HIDDEN_OUTPUT_STD": 8.0,
}


def test_the_keys_reach_the_filter() -> None:
    config = from_dict({**KEYS, "TAU_RISE": 3.0, "TAU_DECAY": 7.0})
    kernel = kernel_of(build_program(config, load(config)))
    assert (kernel.rise, kernel.decay) == (3.0, 7.0)
    t = np.arange(0, 60, 1e-3)
    alpha = kernel.filtered((t == 0)[:, None] * 1.0, 1e-3)[:, 0]
    assert alpha.max() == pytest.approx(1.0, abs=1e-6)
    assert t[alpha.argmax()] == pytest.approx(21 / 4 * np.log(7 / 3), abs=1e-3)


@pytest.mark.long
def test_the_error_falls(tmp_path: Path) -> None:
    run = train(KEYS, tmp_path / "run")
    rows = load_run(tmp_path / "run").epochs
    assert rows["error_ratio"][-1] < 0.6 < 0.8 < rows["error_ratio"][0]
    np.testing.assert_allclose(rows["train_skill"], 1 - rows["error_ratio"], rtol=1e-12)
    assert rows["hits_5ms"][-1] > rows["hits_5ms"][0]
    assert run.test["skill"] == 1 - run.test["error_ratio"]


def test_a_run_whose_surrogate_is_steep_for_its_potentials_says_so() -> None:
    def hint(**options: Any) -> str:
        config = from_dict({**KEYS, "rule": {"name": "surrogate", **options}})
        return find_rule(config.rule.name).hint(config)

    assert hint().startswith("rule.scale=1 usually learns faster than the default with V_THRESH=10")
    assert hint(scale=10.0) == hint(surrogate="triangular") == ""
    ordinary = from_dict({"rule": "surrogate", "LOSS_TYPE": "max"})
    assert find_rule("surrogate").hint(ordinary) == ""


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"rule": "eventprop"}, "cannot differentiate"),
        ({"rule": "stdp"}, "cannot differentiate"),
        ({"rule": "superspike"}, "has no effect with rule=superspike"),
        ({"dataset": "shd"}, "LOSS_TYPE=van_rossum: dataset shd has classes and no target spikes"),
        ({"LOSS_TYPE": "max"}, "rule=surrogate with LOSS_TYPE=van_rossum"),
        ({"N_BATCH": 2}, "needs N_BATCH=1"),
        ({"TAU_RISE": 10.0}, "must be shorter than TAU_DECAY=10"),
        ({"REC_PREDICTIONS": True}, "predicts no class"),
    ],
)
def test_what_does_not_go_together_is_refused(keys: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        from_dict({**KEYS, **keys})


def test_backends_refuse_what_only_they_can_know() -> None:
    case = drawn()
    with pytest.raises(ModelError, match="compares spike trains step by step"):
        program_of(case, DT)
    backend, data = loaded(case), data_of(case, DT)
    with pytest.raises(ConfigError, match="needs target spikes, which this data set has not"):
        backend.evaluate(data, np.arange(1))
    last = np.zeros_like(targets_of(case))
    last[:, -1] = True
    with pytest.raises(ConfigError, match="due in the last step"):
        backend.evaluate(with_targets(data, last), np.arange(1))
