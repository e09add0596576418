"""The compiled SuperSpike rule against the plain NumPy loops of superspike_reference.py."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from long import long_but
from superspike_problem import CASES, assert_every_step, config_of, dense, learn, opened

from snnrun.backends.base import Noise
from snnrun.backends.online import online_of, silent_loss
from snnrun.compile.arrivals import late_steps
from snnrun.config import from_dict
from snnrun.datasets import load
from snnrun.errors import ConfigError
from snnrun.models.kernel import Kernel
from snnrun.rules.learning import Online
from snnrun.run import build_program


@pytest.mark.parametrize("case", long_but(CASES, ["symmetric"]))
def test_every_step_is_that_of_the_equations(case: str, tmp_path: Path) -> None:
    config = config_of(CASES[case])
    with opened(config, tmp_path) as (backend, data):
        assert_every_step(backend, data, config)


def test_bits_depend_neither_on_threads_nor_on_how_trials_are_cut(tmp_path: Path) -> None:
    rule = CASES["random, delay, het"]
    ends = []
    for threads, calls in ((1, (6,)), (2, (2, 1, 3)), (3, (6,))):
        config = config_of(rule, {"threads": threads})
        with opened(config, tmp_path) as (backend, data):
            for count in calls:
                learn(backend, data, np.ones(count))
                backend.evaluate(data, np.zeros(1, np.int64))  # leaves nothing behind
                backend.trial(data, 0, Noise(in_network=True))
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
            shown = backend.trial(data, 0, Noise(in_network=True))
            frozen = backend.trial(data, 0)
            results = learn(backend, data, np.ones(1))
            assert [len(s) for s in shown.steps] == results.layer_spikes[0].tolist()
            assert shown.loss == results.loss[0]
            V = shown.states[1]["V"]
            assert np.array_equal(
                V[shown.steps[1], shown.neurons[1]] >= 10.0, np.ones(len(shown.steps[1]), bool)
            )
        assert frozen.loss != shown.loss  # an update falls into the third trial


def test_activations_are_those_of_a_recorded_trial(tmp_path: Path) -> None:
    with opened(config_of(CASES["symmetric"]), tmp_path) as (backend, data):
        assert backend.late_steps == 0  # spikes arrive in the next trial
        backend.late_steps = late = 30
        sizes = [12, *(c.population.size for c in backend.program.populations)]
        expected = np.zeros((2, late + 1, sum(sizes)), np.int64)
        trial = backend.trial(data, 0)
        steps = (trial.input_steps, *trial.steps)
        neurons = (trial.input_channels, *trial.neurons)
        for first, n, i in zip(np.cumsum([0, *sizes]), steps, neurons, strict=False):
            rows = np.minimum(backend.program.steps - 1 - n, late)
            np.add.at(expected[0], (rows, first + i), 1)
        assert expected[:, :late, 12:].any()
        found = backend.evaluate(data, np.zeros(1, np.int64))
        np.testing.assert_array_equal(found.activations, expected)


def test_spikes_are_too_late_only_where_each_trial_begins_anew() -> None:
    for case, late in (("random, delay, het", 0), ("uniform, aligned, reset, het with error", 4)):
        config = config_of(CASES[case])
        assert late_steps(build_program(config, load(config))) == late


def test_a_silent_output_has_the_published_error(tmp_path: Path) -> None:
    """Isolated target spikes: each adds the integral of the squared kernel, 13.333 ms."""
    config = from_dict(
        {
            "dataset": {"name": "pattern", "outputs": 3, "target_spikes": 2, "channels": 2},
            "rule": {"name": "superspike"},
            "MODEL_SEED": 1,
            "TRIAL_MS": 1000.0,
            "NUM_HIDDEN": 4,
        }
    )
    splits = load(config)
    program = build_program(config, splits)
    targets = splits.train.data.targets
    assert targets is not None
    assert online_of(program).error_scale == pytest.approx(1.2e6)
    assert silent_loss(program, targets, 0) == pytest.approx(1.6e5 * 2, rel=1e-2)


def test_the_silent_error_is_that_of_a_long_run_of_the_recursion() -> None:
    dt, n = 0.5, 60
    steps, neurons = np.array([3, 20, 22, 59]), np.array([0, 0, 1, 1])
    target = dense(steps, neurons, n, 2)
    rise, decay, last = np.zeros(2), np.zeros(2), np.zeros((n, 2))
    for k in range(40 * n):
        rise = rise * np.exp(-dt / 5.0) + target[k % n]
        decay = decay * np.exp(-dt / 10.0) + target[k % n]
        last[k % n] = (4.0 * (decay - rise)) ** 2
    filtered = Kernel(rise=5.0, decay=10.0).filtered(target, dt, periodic=True)
    np.testing.assert_allclose((filtered**2).mean(axis=0), last.mean(axis=0), rtol=1e-12)


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
    learning = Online.of(config_of(options).rule)
    np.testing.assert_allclose([learning.rate(trial, 40.0) for trial in range(5)], wanted)


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"ETA": 0.1}, "ETA=0.1: has no effect with rule=superspike; use rule.r0, leave it out"),
        ({"TAU_RISE": 3.0}, "TAU_RISE=3.0: has no effect with rule=superspike; use rule.tau_rise"),
        ({"HIDDEN_HIDDEN_MEAN": 2.0}, "=2.0: has no effect with rule=superspike; leave it out"),
        ({"TAU_B": 3.0}, "TAU_B=3.0: has no effect with rule=superspike; leave it out"),
        ({"TAU_1": 3.0}, "TAU_1=3.0: has no effect with rule=superspike; leave it out"),
        ({"NU_UPPER": 3.0}, "NU_UPPER=3.0: has no effect with rule=superspike; leave it out"),
        ({"SPEAKER_LEFT": [1]}, "has no effect with dataset=pattern; leave it out"),
        ({"N_BATCH": 2}, "rule=superspike needs N_BATCH=1"),
        ({"RECURRENT": True}, "rule=superspike needs RECURRENT=false"),
        ({"rule": {"name": "superspike", "cut_at": 3, "cut_every": 2}}, "give one of them"),
        ({"rule": {"name": "superspike", "tau_rise": 20.0}}, "shorter than rule.tau_decay=10"),
        ({"rule": {"name": "superspike", "update_ms": 0.72}}, "whole number of steps"),
        ({"rule": "eventprop"}, "target spikes and no classes"),
        ({"dataset": "shd", "rule": "superspike"}, "has classes and no target spikes"),
        ({"AUGMENTATION": {"random_shift": 3}}, "no effect on one frozen pattern"),
    ],
)
def test_what_means_nothing_here_is_refused(keys: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        from_dict({"dataset": "pattern", "MODEL_SEED": 1, **keys})
