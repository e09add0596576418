"""The compiled SuperSpike rule against the plain NumPy loops of superspike_reference.py."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from superspike_reference import Reference

from snnrun.backends import open_backend
from snnrun.backends.base import Adam, Results
from snnrun.backends.native.online import OnlineBackend
from snnrun.config import Config, from_dict
from snnrun.datasets import load
from snnrun.datasets.spikes import SpikeData
from snnrun.errors import ConfigError
from snnrun.models.superspike import SuperSpike
from snnrun.network.build import initial_weights
from snnrun.run import build_program

CHANNELS, HIDDEN, OUTPUTS = 12, 7, 5
SMALL: dict[str, Any] = {
    "DT_MS": 0.5, "TRIAL_MS": 40.0, "NUM_HIDDEN": HIDDEN, "MODEL_SEED": 3, "TAU_REF": 2.0,
}  # fmt: skip
DATA = {"name": "pattern", "channels": CHANNELS, "outputs": OUTPUTS, "rate": 100.0}
EXACT = {"precision": "float64", "contraction": False, "threads": 2, "flags": ["-O1"]}
RULE = {"name": "superspike", "update_ms": 50.0, "w0": 250.0, "w_limit": 120.0}
CASES: dict[str, dict[str, Any]] = {
    "symmetric": {"sigma_floor": -1.0},
    "random, delay, het": {
        "feedback": "random", "feedback_seed": 5, "feedback_sd": 0.5, "delay_ms": 1.0,
        "het_rho": 0.3, "het_tau": 20.0,
    },
    "uniform, aligned, reset, het with error": {
        "feedback": "uniform", "update_aligned": True, "update_ms": 15.0, "het_a": 2.5,
        "reset_state_per_trial": True, "het_rho": 1.0, "het_error_scaled": True, "delay_ms": 1.5,
    },
    "no hidden layer, delay, burn-in": {
        "feedback": "none", "delay_ms": 2.0, "burn_in_ms": 20.0, "beta": 0.5, "tau_rise": 3.0,
        "tau_decay": 8.0, "tau_rms": 200.0, "tau_error": 50.0, "epsilon": 1e-3,
    },
}  # fmt: skip


def config_of(rule: dict[str, Any], backend: dict[str, Any] = EXACT, **keys: Any) -> Config:
    hidden = {} if rule.get("feedback") != "none" else {"NUM_HIDDEN": 256}
    return from_dict(
        SMALL | hidden | {"dataset": DATA, "rule": RULE | rule, "backend": backend} | keys
    )


@contextmanager
def opened(config: Config, folder: Path) -> Iterator[tuple[OnlineBackend, SpikeData]]:
    splits = load(config)
    program = build_program(config, splits)
    with open_backend(program, config, folder, splits, lambda text: None) as found:
        backend = found.backend
        assert isinstance(backend, OnlineBackend)
        for name, weights in initial_weights(program.network, config.MODEL_SEED).items():
            backend.set(name, weights)
        yield backend, splits.train.data


def learn(backend: OnlineBackend, data: SpikeData, rates: np.ndarray) -> Results:
    """Present the pattern once for each of the step sizes."""
    adam = Adam(beta1=0.9, beta2=0.999, epsilon=1e-8)  # of no use here
    return backend.train(data, np.zeros(len(rates), np.int64), 1, rates, adam, 0, 0.0, 0)


def reference_of(config: Config, backend: OnlineBackend) -> Reference:
    weights = [backend.get(t.name) for t in backend.program.tensors]
    fixed = backend.rule.fixed_feedback(HIDDEN, OUTPUTS)
    return Reference(
        weights, config.rule, dt=config.DT_MS, tau_mem=config.TAU_MEM, tau_syn=config.TAU_SYN,
        threshold=config.V_THRESH, t_ref=config.TAU_REF, feedback=fixed,
    )  # fmt: skip


def dense(steps: np.ndarray, ids: np.ndarray, n_steps: int, size: int) -> np.ndarray:
    found = np.zeros((n_steps, size))
    found[steps, ids] = 1.0
    return found


def compare(backend: OnlineBackend, reference: Reference, where: str) -> None:
    """Compare all that the reference has with what the backend carries, after the same steps."""
    kept, scale = backend.carried(), reference.dt / reference.o.tau_decay
    for tensor, layer in zip(backend.program.tensors, reference.layers, strict=True):
        name = backend.program.populations[tensor.layer].population.name
        own_sum = kept.get(f"{name}_own_sum")
        m = backend.get(tensor.name, "first")
        if own_sum is not None:  # the reference has the term in m
            m = m - 1e-3 * reference.o.het_rho * layer.w * own_sum
        seen = {
            "V": (kept[f"{name}_states"][0], layer.V),
            "I": (kept[f"{name}_states"][1], layer.I),
            "held": (kept[f"{name}_refractory"][0], layer.held),
            "z": (kept[f"{name}_z"][0], layer.z),
            "z~": (kept[f"{name}_z_filtered"][0], layer.zf),
            "s'": (kept[f"{name}_slope_rows"][-1], layer.slope),
            "err": (kept[f"{name}_error_rows"][-1], layer.err),
            "e": (kept[f"{name}_e"] / scale, layer.e),
            "lambda": (kept[f"{name}_lambda"], layer.lam),
            "m": (m, layer.m),
            "root of v": (backend.get(tensor.name, "second"), np.sqrt(layer.v2)),
            "w": (backend.get(tensor.name), layer.w),
        }
        for what, (got, wanted) in seen.items():
            np.testing.assert_allclose(
                got,
                wanted,
                rtol=1e-10,
                atol=1e-13 * np.abs(wanted).max(initial=1.0),
                err_msg=f"{what} of {name}, {where}",
            )
    got = kept["output_mean_square"][0]
    np.testing.assert_allclose(got, reference.mean_square, rtol=1e-9, atol=1e-15, err_msg=where)


@pytest.mark.parametrize("case", CASES)
def test_every_step_is_that_of_the_equations(case: str, tmp_path: Path) -> None:
    config = config_of(CASES[case])
    with opened(config, tmp_path) as (backend, data):
        reference = reference_of(config, backend)
        steps = config.steps
        inputs = dense(*data.events(0), steps, CHANNELS)
        assert data.targets is not None
        targets = dense(*data.targets.of(0), steps, OUTPUTS)
        spikes = [0] * len(reference.layers)
        before = [layer.w.copy() for layer in reference.layers]
        for trial, r0 in enumerate((2.0, 3.0, 0.7)):
            kept, rate = backend.carried(), np.array([r0])
            tensors = {(t.name, which): backend.get(t.name, which)
                       for t in backend.program.tensors
                       for which in ("value", "first", "second")}  # fmt: skip
            reference.begin_trial()
            for n in range(steps):
                reference.step(inputs[n], targets[n], r0, last=n == steps - 1)
                whole = reference.o.update_aligned and n < steps - 1
                spikes = [s + int(x.spikes.sum())
                          for s, x in zip(spikes, reference.layers, strict=True)]  # fmt: skip
                if whole and (n + 1) % round(reference.o.update_ms / reference.dt):
                    continue  # a trial that stops here would have its last update here
                if trial > 1 and n % 7 and n != steps - 1:
                    continue
                backend.carry(kept)
                for (name, which), values in tensors.items():
                    backend.set(name, values, which)
                backend.stop = n + 1
                learn(backend, data, rate)
                compare(backend, reference, f"{case}: trial {trial}, step {n}")
        assert min(spikes) > 20, "the comparison needs spikes"
        assert reference.updates >= 2
        changed = [not np.array_equal(w, x.w)
                   for w, x in zip(before, reference.layers, strict=True)]  # fmt: skip
        assert all(changed)
        assert any((np.abs(x.w) == config.rule.w_limit).any() for x in reference.layers) or (
            config.rule.feedback == "none"
        )


def test_bits_depend_neither_on_threads_nor_on_how_trials_are_cut(tmp_path: Path) -> None:
    rule = CASES["random, delay, het"]
    ends = []
    for threads, calls in ((1, (6,)), (2, (2, 1, 3)), (3, (6,))):
        config = config_of(rule, {"threads": threads, "flags": ["-O1"]})
        with opened(config, tmp_path) as (backend, data):
            for count in calls:
                learn(backend, data, np.ones(count))
                backend.evaluate(data, np.zeros(1, np.int64))  # leaves nothing behind
                backend.trial(data, 0, disturbed=True)
            state = {**backend.carried()}
            for tensor in backend.program.tensors:
                for which in ("value", "first", "second"):
                    state[tensor.name + which] = backend.get(tensor.name, which)
            ends.append(state)
    for other in ends[1:]:
        for name, array in ends[0].items():
            assert array.tobytes() == other[name].tobytes(), name


def test_a_recorded_trial_is_the_one_that_is_learned(tmp_path: Path) -> None:
    with opened(config_of(CASES["symmetric"]), tmp_path) as (backend, data):
        for _ in range(3):
            shown = backend.trial(data, 0, disturbed=True)
            frozen = backend.trial(data, 0)
            results = learn(backend, data, np.ones(1))
            assert [len(s) for s in shown.steps] == results.layer_spikes[0].tolist()
            assert shown.loss == results.loss[0]
            V = shown.states[1]["V"]
            assert np.array_equal(V[shown.steps[1], shown.neurons[1]] >= 10.0,
                                  np.ones(len(shown.steps[1]), bool))  # fmt: skip
        assert frozen.loss != shown.loss  # an update falls into the third trial


def test_a_silent_output_has_the_published_error(tmp_path: Path) -> None:
    """Isolated target spikes: each adds the integral of the squared kernel, 13.333 ms."""
    config = from_dict({
        "dataset": {"name": "pattern", "outputs": 3, "target_spikes": 2, "channels": 2},
        "rule": {"name": "superspike"}, "MODEL_SEED": 1, "TRIAL_MS": 1000.0, "NUM_HIDDEN": 4,
    })  # fmt: skip
    splits = load(config)
    program = build_program(config, splits)
    targets = splits.train.data.targets
    assert targets is not None
    assert program.online is not None
    square = program.online.silent_square(*targets.of(0), 3, config.steps, config.DT_MS)
    np.testing.assert_allclose(square, 2 * 0.0133333, rtol=1e-2)
    assert program.online.error_scale == pytest.approx(1.2e6)
    shown = square * program.online.tau_error / 1000 * program.online.error_scale
    np.testing.assert_allclose(shown, 1.6e5 * 2, rtol=1e-2)


def test_the_silent_error_is_that_of_a_long_run_of_the_recursion() -> None:
    rule, dt, n = SuperSpike(), 0.5, 60
    steps, neurons = np.array([3, 20, 22, 59]), np.array([0, 0, 1, 1])
    target = dense(steps, neurons, n, 2)
    rise, decay, last = np.zeros(2), np.zeros(2), np.zeros((n, 2))
    for k in range(40 * n):
        rise = rise * np.exp(-dt / 5.0) + target[k % n]
        decay = decay * np.exp(-dt / 10.0) + target[k % n]
        last[k % n] = (4.0 * (decay - rise)) ** 2
    np.testing.assert_allclose(
        rule.silent_square(steps, neurons, 2, n, dt), last.mean(axis=0), rtol=1e-12
    )


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ({"cut_every": 2}, [1, 1, 0.1, 0.1, 0.01]),
        ({"cut_at": 3, "cut_factor": 0.5}, [1, 1, 1, 0.5, 0.5]),
        ({"cut_at_ms": 100.0}, [1, 1, 1, 0.1, 0.1]),
        ({"cut_at_ms": 80.0}, [1, 1, 0.1, 0.1, 0.1]),
    ],
)
def test_schedules_of_the_step_size(options: dict[str, Any], wanted: list[float]) -> None:
    found = SuperSpike.of(config_of(options).rule).rates(0, 5, 40.0)
    np.testing.assert_allclose(found, wanted)


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"ETA": 0.1}, "ETA=0.1: has no effect with rule=superspike"),
        ({"N_BATCH": 2}, "rule=superspike needs N_BATCH=1"),
        ({"RECURRENT": True}, "rule=superspike needs RECURRENT=false"),
        ({"rule": {"name": "superspike", "het_a": 3.0}}, "needs rule.het_rho above 0"),
        ({"rule": {"name": "superspike", "cut_at": 3, "cut_every": 2}}, "give one of them"),
        ({"rule": {"name": "superspike", "tau_rise": 20.0}}, "shorter than rule.tau_decay=10"),
        ({"rule": {"name": "superspike", "feedback_seed": 7}}, "unless rule.feedback is random"),
        ({"rule": {"name": "superspike", "update_ms": 0.72}}, "whole number of steps"),
        ({"rule": "eventprop"}, "target spikes and no classes"),
        ({"rule": {"name": "eventprop", "r0": 2.0}}, "unless rule.name is superspike"),
        ({"dataset": "shd", "rule": "superspike"}, "has classes and no target spikes"),
        ({"AUGMENTATION": {"random_shift": 3}}, "no effect on one frozen pattern"),
    ],
)
def test_what_means_nothing_here_is_refused(keys: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        from_dict({"dataset": "pattern", "MODEL_SEED": 1, **keys})
