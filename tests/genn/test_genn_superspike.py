"""rule=superspike with GeNN: the equations, the native backend, and runs that change over."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from runs import assert_same_run, end, overrides, start, wait_for_epochs
from superspike_problem import CASES, EXACT, assert_every_step, config_of, learn, opened

from snnrun.backends.base import Noise
from snnrun.backends.genn.flags import raised
from snnrun.backends.genn.online import GennOnlineBackend
from snnrun.backends.online import WHICH, OnlineRuns
from snnrun.config import from_dict
from snnrun.datasets import load
from snnrun.datasets.spikes import SpikeData
from snnrun.errors import CapacityError, ConfigError
from snnrun.record import load_run
from snnrun.record.paths import RunPaths
from snnrun.run import train
from snnrun.training import checkpoint

pytestmark = pytest.mark.genn
GENN = {
    "name": "genn",
    "device": "single_threaded_cpu",
    "precision": "float64",
    "optimize_code": False,
}
FAST = {"name": "genn", "device": "single_threaded_cpu"}  # float32 with -O3 and fast arithmetic
SHORT = {  # a delay of one step, and segments of one and of two steps
    "delay_ms": 0.5,
    "update_ms": 1.0,
    "feedback": "symmetric",
    "het_rho": 0.2,
    "het_a": 1.0,
    "w_limit": 90.0,
}
RICH = CASES["random, delay, het"] | {"delay_ms": 6.0}  # everything that can be carried


@contextmanager
def both(
    folder: Path,
    rule: dict[str, Any],
    native: dict[str, Any] = EXACT,
    genn: dict[str, Any] = GENN,
    **keys: Any,
) -> Iterator[tuple[OnlineRuns, OnlineRuns, SpikeData]]:
    with ExitStack() as stack:
        one, data = stack.enter_context(opened(config_of(rule, native, **keys), folder / "native"))
        two, _ = stack.enter_context(opened(config_of(rule, genn, **keys), folder / "genn"))
        assert isinstance(two, GennOnlineBackend)
        yield one, two, data


def everything(backend: OnlineRuns) -> dict[str, np.ndarray]:
    tensors = {
        f"{t.name} {which}": backend.get(t.name, which)
        for t in backend.program.tensors
        for which in WHICH
    }
    return {**backend.carried(), **tensors}


def assert_close(one: OnlineRuns, other: OnlineRuns, rtol: float) -> None:
    mine, theirs = everything(one), everything(other)
    assert list(mine) == list(theirs)
    for name, array in theirs.items():
        atol = rtol * np.abs(array).max(initial=0.0)
        np.testing.assert_allclose(mine[name], array, rtol=rtol, atol=atol, err_msg=name)


@pytest.mark.parametrize("case", [*CASES, "short"])
def test_every_step_is_that_of_the_equations(case: str, tmp_path: Path) -> None:
    config = config_of(CASES.get(case, SHORT), GENN)
    with opened(config, tmp_path) as (backend, data):
        assert_every_step(backend, data, config, every=2)


def test_a_run_changes_from_one_backend_to_the_other_and_back(tmp_path: Path) -> None:
    with both(tmp_path, RICH) as (native, genn, data):
        for giver, taker in ((native, genn), (genn, native), (native, genn)):
            learn(giver, data, np.array([1.0, 2.0, 1.0]))
            taker.carry(giver.carried())
            for tensor in giver.program.tensors:
                for which in WHICH:
                    taker.set(tensor.name, giver.get(tensor.name, which), which)
            assert_close(taker, giver, rtol=0.0)
            a, b = (learn(x, data, np.array([1.0, 0.5, 2.0])) for x in (giver, taker))
            assert_close(taker, giver, rtol=1e-10)
            np.testing.assert_array_equal(a.layer_spikes, b.layer_spikes)
            np.testing.assert_array_equal(a.neuron_spikes, b.neuron_spikes)
            np.testing.assert_allclose(a.loss, b.loss, rtol=1e-10)
            assert a.figures.keys() == b.figures.keys()
            for name, figures in a.figures.items():
                np.testing.assert_allclose(figures, b.figures[name], rtol=1e-10, err_msg=name)
            for name in ("hidden_underway", "output_underway", "hidden_own_sum"):
                assert genn.carried()[name].any(), name


def test_in_single_precision_spikes_are_those_of_the_native_backend(tmp_path: Path) -> None:
    keys = {"TRIAL_MS": 100.0, "NUM_HIDDEN": 24}
    with both(tmp_path, {"delay_ms": 1.0}, {"threads": 2}, FAST, **keys) as (native, genn, data):
        for trial in range(3):  # two updates fall into each
            a, b = (learn(x, data, np.ones(1)) for x in (native, genn))
            np.testing.assert_array_equal(a.layer_spikes, b.layer_spikes)
            for layer in range(2):
                shown = [x.trial(data, 0, Noise(in_network=True)) for x in (native, genn)]
                np.testing.assert_array_equal(shown[0].steps[layer], shown[1].steps[layer])
                np.testing.assert_array_equal(shown[0].neurons[layer], shown[1].neurons[layer])
            assert a.layer_spikes.min() > 50
            for tensor in native.program.tensors:
                np.testing.assert_allclose(
                    genn.get(tensor.name),
                    native.get(tensor.name),
                    rtol=1e-4,
                    atol=1e-3,
                    err_msg=f"{tensor.name} after trial {trial}",
                )


def test_what_is_only_looked_at_leaves_nothing_behind(tmp_path: Path) -> None:
    keys = {"REC_NEURONS": [["hidden", "V"]], "REC_NEURONS_EPOCH_TRIAL": [[0, 0]]}
    with both(tmp_path, RICH, **keys) as (native, genn, data):
        for _ in range(2):
            learn(native, data, np.ones(2))
            learn(genn, data, np.ones(2))
            before = everything(genn)
            looks = [x.evaluate(data, np.zeros(3, np.int64)) for x in (native, genn)]
            np.testing.assert_allclose(looks[0].loss, looks[1].loss, rtol=1e-10)
            for disturbed in (False, True):
                one, two = (x.trial(data, 0, Noise(in_network=disturbed)) for x in (native, genn))
                assert one.loss == pytest.approx(two.loss, rel=1e-10)
                for k in range(2):
                    np.testing.assert_array_equal(one.steps[k], two.steps[k])
                    np.testing.assert_array_equal(one.neurons[k], two.neurons[k])
                    for name, states in one.states[k].items():
                        np.testing.assert_allclose(
                            two.states[k][name], states, rtol=1e-9, atol=1e-9
                        )
            for name, array in everything(genn).items():
                assert array.tobytes() == before[name].tobytes(), name


def test_other_data_and_more_of_it_are_taken(tmp_path: Path) -> None:
    more = config_of(
        RICH,
        dataset={
            "name": "pattern",
            "channels": 12,
            "outputs": 5,
            "rate": 400.0,
            "target_spikes": 9,
        },
    )
    other = load(more).train.data
    with both(tmp_path, RICH) as (native, genn, data):
        assert other.n_events > data.n_events
        for shown in (data, other, data):
            for x in (native, genn):
                learn(x, shown, np.ones(2))
            assert_close(genn, native, rtol=1e-10)


@pytest.mark.parametrize("apart", [False, True])
def test_a_gradient_that_is_not_finite_is_reported(apart: bool, tmp_path: Path) -> None:
    """``apart``: seen by the flags that updates raise, as on a GPU, and not in the gradients."""
    with both(tmp_path, {}) as (native, genn, data):
        genn._device.apart = apart
        for x in (native, genn):
            m = x.get("in_to_hid", "first")
            m[3, 2] = np.nan
            x.set("in_to_hid", m, "first")
        found = [learn(x, data, np.ones(4)).failed_batch for x in (native, genn)]
        assert found == [1, 1]  # the first update is in the second trial
        assert len(raised(genn._device, "output")) == (not apart)  # seen flags are lowered


def test_a_full_buffer_is_reported(tmp_path: Path) -> None:
    with (
        opened(config_of({}, GENN, N_MAX_SPIKE=1), tmp_path) as (backend, data),
        pytest.raises(CapacityError, match="holds N_MAX_SPIKE=1"),
    ):
        learn(backend, data, np.ones(20))


def test_no_spike_is_dropped_for_a_gradient() -> None:
    with pytest.raises(ConfigError, match=r"backend\.on_full_buffer=report: has no effect"):
        config_of({}, GENN | {"on_full_buffer": "report"})


KEYS: dict[str, Any] = {
    "dataset": "pattern",
    "dataset.channels": 20,
    "dataset.outputs": 10,
    "dataset.rate": 30,
    "rule.feedback": "random",
    "rule.delay_ms": 0.8,
    "rule.het_rho": 0.1,
    "rule.update_ms": 70,
    "TRIAL_MS": 200,
    "NUM_HIDDEN": 20,
    "MODEL_SEED": 1,
    "N_EPOCH": 3,
    "N_TRAIN": 120,
    "N_VALIDATE": 2,
    "N_TEST": 2,
    "backend": "genn",
    "backend.device": "single_threaded_cpu",
    "REC_SPIKES": "[input,hidden,output]",
    "REC_SPIKES_EPOCH_TRIAL": "[[0,0],[2,60]]",
    "REC_NEURONS": "[[output,V]]",
    "REC_NEURONS_EPOCH_TRIAL": "[[1,7]]",
}


def test_a_stopped_run_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("undisturbed", "stopped")]
    words = ["train", *overrides(KEYS)]
    code, said = end(start(*words, f"hydra.run.dir={folders[0]}"))
    assert code == 0, said
    process = start(*words, f"hydra.run.dir={folders[1]}")
    wait_for_epochs(folders[1], 1, process)
    process.send_signal(signal.SIGTERM)
    code, said = end(process)
    assert code == 143, said
    assert checkpoint.load(RunPaths(folders[1]).last)["carried"]["hidden_e"].any()
    code, said = end(start("resume", str(folders[1])))
    assert code == 0, said
    assert_same_run(folders[1], folders[0])


def test_a_run_learns_as_on_the_native_backend_and_changes_over(tmp_path: Path) -> None:
    def keys(backend: dict[str, Any], epochs: int) -> Any:
        return from_dict(
            {
                "dataset": {"name": "pattern", "channels": 20, "outputs": 10, "rate": 30.0},
                "rule": {"name": "superspike", "update_ms": 70.0},
                "backend": backend,
                "TRIAL_MS": 200.0,
                "DT_MS": 0.2,
                "NUM_HIDDEN": 20,
                "MODEL_SEED": 1,
                "N_EPOCH": epochs,
                "N_TRAIN": 20,
                "N_VALIDATE": 1,
                "N_TEST": 1,
            }
        )

    exact = {"precision": "float64", "contraction": False}
    for name, first, second in (("a", exact, exact), ("b", exact, GENN), ("c", GENN, exact)):
        train(keys(first, 1), tmp_path / name)
        train(keys(second, 2), tmp_path / name, resume=True)
    wanted = load_run(tmp_path / "a").trials
    assert wanted["error_ratio"][-1] < wanted["error_ratio"][0]
    for name in ("b", "c"):
        found = load_run(tmp_path / name).trials
        for column in ("loss", "error_ratio", "van_rossum_distance", "hits_2ms"):
            np.testing.assert_allclose(found[column], wanted[column], rtol=1e-7, err_msg=column)
