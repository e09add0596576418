"""Whole runs with backend=genn: records, checkpoints, resuming, both backends in turn, its code."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hydra import compose, initialize_config_dir
from runs import (
    assert_same_run,
    end,
    epochs_done,
    overrides,
    small,
    snnrun,
    start,
    wait_for_epochs,
    write_shd,
)

from snnrun.commands.compose import VERSION
from snnrun.config import conf_dir, from_dict, validate
from snnrun.errors import BuildError, CapacityError, ConfigError
from snnrun.record import load_run
from snnrun.record.paths import RunPaths
from snnrun.run import compile_only, train
from snnrun.run import test as evaluate_run
from snnrun.training import checkpoint

pytestmark = pytest.mark.genn
EXACT = {
    "name": "genn",
    "device": "single_threaded_cpu",
    "precision": "float64",
    "optimize_code": False,
}
NATIVE = {"name": "native", "precision": "float64", "contraction": False}


def config(backend: dict[str, Any] = EXACT, **keys: Any) -> Any:
    return small(**{"N_EPOCH": 2, "N_TRAIN": 50, "backend": backend, **keys})


def last_weights(folder: Path) -> dict[str, np.ndarray]:
    saved = checkpoint.load(RunPaths(folder).last)["tensors"]
    return {f"{name} {which}": a for name, t in saved.items() for which, a in t.items()}


RECORDED: dict[str, Any] = {
    "REC_SPIKES": ["input", "hidden", "output"],
    "REC_SPIKES_EPOCH_TRIAL": [[1, 1]],
    "REC_NEURONS": [["hidden", "V"], ["output", "I"]],
    "REC_NEURONS_EPOCH_TRIAL": [[0, 2]],
    "W_OUTPUT_EPOCH_TRIAL": [[1, 0]],
    "REC_PREDICTIONS": True,
    "PDROP_INPUT": 0.1,
    "TRAIN_TAU": True,
}


def test_a_run_is_that_of_the_native_backend(tmp_path: Path) -> None:
    for name, backend in (("native", NATIVE), ("genn", EXACT)):
        train(config(backend, **RECORDED), tmp_path / name)
    one, other = (load_run(tmp_path / name) for name in ("genn", "native"))
    for column in ("train_loss", "validation_loss", "learning_rate", "spikes_per_neuron/hidden"):
        np.testing.assert_allclose(one.epochs[column], other.epochs[column], rtol=1e-9)
    for column in ("train_accuracy", "validation_accuracy", "silent_neurons/hidden"):
        np.testing.assert_array_equal(one.epochs[column], other.epochs[column])
    assert one.test["accuracy"] == other.test["accuracy"]
    weights = last_weights(tmp_path / "native")
    for name, array in last_weights(tmp_path / "genn").items():
        np.testing.assert_allclose(array, weights[name], rtol=1e-7, atol=1e-12, err_msg=name)
    for population in ("input", "hidden", "output"):
        a, b = (r.spikes(epoch=1, trial=1, population=population) for r in (one, other))
        for example in range(20):
            for mine, theirs in zip(a.example(example), b.example(example), strict=True):
                np.testing.assert_array_equal(mine, theirs)
    for population, variable in (("hidden", "V"), ("output", "I")):
        a, b = (
            r.variables(epoch=0, trial=2, population=population, variable=variable)
            for r in (one, other)
        )
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)  # recorded in float32


def learning_curves(words: list[str], folder: Path, seeds: range) -> np.ndarray:
    """Return the losses of every mini-batch of runs in float32, [backend, seed, batch]."""
    found = []
    for backend in ("native", "genn"):
        device = ["backend.device=single_threaded_cpu"] if backend == "genn" else []
        for seed in seeds:
            chosen = [*words, f"backend={backend}", *device, f"MODEL_SEED={seed}"]
            with initialize_config_dir(str(conf_dir()), **VERSION):
                run = validate(compose("config", chosen))
            train(run, folder / f"{backend}{seed}")
            found.append(load_run(folder / f"{backend}{seed}").trials["loss"])
    return np.array(found).reshape(2, len(seeds), -1)


@pytest.mark.parametrize("name", ["yinyang", "shd"])
def test_learning_curves_differ_by_less_than_those_of_other_seeds(
    name: str, tmp_path: Path
) -> None:
    data = write_shd(tmp_path / "data", examples=72, events=3000)
    words = {
        "yinyang": ["preset=yinyang_wp2021", "N_TRAIN=960", "N_VALIDATE=64", "N_TEST=32"],
        "shd": [
            "preset=shd_plain",
            f"dataset.path={data}",
            "TRIAL_MS=100",
            "N_BATCH=4",
            "N_TRAIN=60",
            "N_VALIDATE=12",
        ],
    }[name]
    curves = learning_curves([*words, "N_EPOCH=1"], tmp_path, range(1, 4))
    assert curves[0, :, 0].mean() > curves[0, :, -3:].mean()  # it learns
    between_backends = np.abs(curves[0] - curves[1]).mean()
    between_seeds = np.abs(curves[0] - np.roll(curves[0], 1, axis=0)).mean()
    assert between_backends < 0.1 * between_seeds


def test_a_checkpoint_of_one_backend_continues_on_the_other(tmp_path: Path) -> None:
    for name, first, second in (("a", NATIVE, NATIVE), ("b", NATIVE, EXACT), ("c", EXACT, NATIVE)):
        train(config(first, TRAIN_TAU=True), tmp_path / name)
        train(config(second, TRAIN_TAU=True, N_EPOCH=4), tmp_path / name, resume=True)
    expected = last_weights(tmp_path / "a")
    for name in ("b", "c"):
        for key, array in last_weights(tmp_path / name).items():
            np.testing.assert_allclose(array, expected[key], rtol=1e-6, atol=1e-11, err_msg=key)


def test_the_command_line_resumes_and_tests_with_the_other_backend(tmp_path: Path) -> None:
    run = tmp_path / "run"
    keys = {
        "N_EPOCH": 1,
        "N_TRAIN": 40,
        "N_VALIDATE": 20,
        "N_TEST": 20,
        "N_BATCH": 20,
        "DT_MS": 0.2,
        "NUM_HIDDEN": 20,
        "MODEL_SEED": 1,
    }
    done = snnrun("train", *overrides(keys), f"hydra.run.dir={run}")
    assert done.returncode == 0, done.stderr
    device = "backend.device=single_threaded_cpu"
    done = snnrun("resume", str(run), "backend=genn", device, "N_EPOCH=2", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "GeNN" in done.stdout
    assert epochs_done(run) == 2
    done = snnrun("test", str(run), "backend=genn", device)
    assert done.returncode == 0, done.stderr
    done = snnrun(
        "resume", str(run), "N_EPOCH=3", "N_MAX_SPIKE=77", "backend.on_full_buffer=report"
    )
    assert done.returncode == 0, done.stderr
    done = snnrun("test", str(run), "backend=native")  # what only GeNN has is left out
    assert done.returncode == 0, done.stderr
    done = snnrun("resume", str(run), "backend=native", "N_EPOCH=4", "backend.threads=1")
    assert done.returncode == 0, done.stderr
    assert "native" in done.stdout
    done = snnrun("resume", str(run), "backend=genn", device, "N_EPOCH=5")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("pipeline", [False, True])
def test_a_killed_run_ends_with_the_bits_of_one_that_never_was(
    pipeline: bool, tmp_path: Path
) -> None:
    keys = {
        "backend": "genn",
        "backend.device": "single_threaded_cpu",
        "N_EPOCH": 5,
        "N_TRAIN": 1500,
        "N_VALIDATE": 40,
        "N_TEST": 20,
        "N_BATCH": 10,
        "DT_MS": 0.2,
        "NUM_HIDDEN": 20,
        "MODEL_SEED": 1,
        "PIPELINE": str(pipeline).lower(),
        "PDROP_INPUT": 0.05,
        "HIDDEN_NOISE": 0.05,
        "PDROP_HIDDEN": 0.2,
    }
    undisturbed, killed = tmp_path / "undisturbed", tmp_path / "killed"
    code, said = end(start("train", *overrides(keys), f"hydra.run.dir={undisturbed}"))
    assert code == 0, said
    for number in (signal.SIGKILL, signal.SIGTERM):
        words = (
            ["resume", str(killed)]
            if killed.exists()
            else ["train", *overrides(keys), f"hydra.run.dir={killed}"]
        )
        process = start(*words)
        wait_for_epochs(killed, epochs_done(killed) + 1, process)
        time.sleep(0.1)
        process.send_signal(number)
        code, said = end(process)
        assert code == (-number if number == signal.SIGKILL else 128 + number), said
    code, said = end(start("resume", str(killed)))
    assert code == 0, said
    assert_same_run(undisturbed, killed)


def test_generated_code_is_in_the_run_folder_and_is_used_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SNNRUN_CACHE", str(tmp_path / "cache"))
    with pytest.raises(BuildError, match="BUILD=false, but this network has not been built"):
        compile_only(config(BUILD=False), tmp_path / "nothing")
    folder = compile_only(config(), tmp_path / "one")
    (code,) = folder.glob("*_CODE")
    assert {"neuronUpdate.cc", "synapseUpdate.cc", "librunner.so"} <= set(os.listdir(code))
    assert "dV/dt" in (folder / "model.txt").read_text()
    built = (code / "librunner.so").stat().st_mtime_ns
    train(config(BUILD=False), tmp_path / "two")  # a copy of it, in a folder of its own
    (copy,) = RunPaths(tmp_path / "two").code.glob("*_CODE")
    assert copy.name == code.name
    assert (copy / "librunner.so").stat().st_mtime_ns == built
    evaluate_run(config(BUILD=False), tmp_path / "two")
    assert (code / "librunner.so").stat().st_mtime_ns == built


def test_two_networks_run_in_one_process_each_with_its_own_code(tmp_path: Path) -> None:
    losses = {}
    for name in ("a", "b", "a again"):
        threshold = {"a": 0.5, "b": 0.8, "a again": 0.5}[name]
        train(config(V_THRESH=threshold), tmp_path / name)
        losses[name] = load_run(tmp_path / name).epochs["train_loss"]
    np.testing.assert_array_equal(losses["a"], losses["a again"])
    assert (losses["a"] != losses["b"]).all()


def test_kernel_times_are_recorded_where_they_are_asked_for(tmp_path: Path) -> None:
    train(config(TIMING=True), tmp_path / "timed")
    train(config(TIMING=False), tmp_path / "untimed")
    timings = load_run(tmp_path / "timed").timings
    assert (timings["kernel_neuron_update"] > 0).all()
    assert (timings["kernel_presynaptic_update"] > 0).all()
    assert timings["kernel_neuron_update"].sum() < timings["train"].sum() * 2
    assert not load_run(tmp_path / "untimed").timings


def test_a_full_buffer_stops_the_run_or_is_reported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    keys = {"N_MAX_SPIKE": 1, "V_THRESH": 0.3}
    with pytest.raises(CapacityError, match="population hidden: a neuron spiked"):
        train(config(**keys), tmp_path / "stopped")
    train(config({**EXACT, "on_full_buffer": "report"}, **keys), tmp_path / "reported")
    run = load_run(tmp_path / "reported")
    assert (run.epochs["dropped_spikes/hidden"] > 0).all()
    assert "exceeded N_MAX_SPIKE=1 and had no gradient" in capsys.readouterr().out
    with pytest.raises(CapacityError):
        train(config(**keys), tmp_path / "reported again")


def test_a_compiler_that_fails_is_shown_with_its_command_and_output(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SNNRUN_CACHE", str(tmp_path / "cache"))
    with pytest.raises(BuildError, match="no_such_flag") as caught:
        train(config({**EXACT, "flags": ["--no_such_flag"]}), tmp_path / "run")
    assert "build.log" in str(caught.value)


def test_a_device_that_pygenn_lacks_is_refused_with_those_that_it_has(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match=r"it has: .*single_threaded_cpu"):
        train(config({**EXACT, "device": "hip"}), tmp_path / "run")


def test_keys_of_the_other_backend_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"backend.threads=2: has no effect unless backend.name"):
        config({**EXACT, "threads": 2})
    with pytest.raises(ConfigError, match=r"PIPELINE=true: has no effect unless backend.name"):
        config(NATIVE, PIPELINE=True)


def test_data_that_change_in_every_epoch_are_those_of_the_native_backend(tmp_path: Path) -> None:
    data = write_shd(tmp_path / "data", examples=48, events=1500)
    keys: dict[str, Any] = {
        "dataset": {"name": "shd", "path": str(data)},
        "DT_MS": 2.0,
        "TRIAL_MS": 100.0,
        "AUGMENTATION": {"random_shift": 40, "blend": [0.5, 0.5]},
        "N_INPUT_DELAY": 2,
        "INPUT_DELAY": 10.0,
        "PDROP_INPUT": 0.1,
        "N_TRAIN": 60,
        "N_VALIDATE": 8,
        "N_TEST": 8,
        "N_BATCH": 10,
        "NUM_HIDDEN": 12,
        "INPUT_HIDDEN_MEAN": 0.02,
        "N_EPOCH": 2,
        "MODEL_SEED": 1,
    }
    for name, backend in (("native", NATIVE), ("genn", EXACT)):
        train(from_dict({**keys, "backend": backend}), tmp_path / name)
    one, other = (load_run(tmp_path / name) for name in ("genn", "native"))
    np.testing.assert_allclose(one.trials["loss"], other.trials["loss"], rtol=1e-9)
    assert (one.epochs["spikes_per_neuron/hidden"] > 0.5).all()


GRAPH: dict[str, Any] = {
    "network.populations": [{"name": "a"}, {"name": "b", "size": 12}],
    "network.projections": [
        {"from": "input", "to": "a", "mean": 2.5, "delay": {"start": 0.7, "max": 3, "train": True}},
        {
            "from": "a",
            "to": "b",
            "mean": 1.5,
            "std": 0.3,
            "connectivity": {"kind": "sparse", "probability": 0.5},
            "delay": {"kind": "synaptic", "start": {"uniform": [0, 4]}, "max": 5, "train": True},
        },
        {"from": "b", "to": "a", "mean": 0.1, "std": 0.1, "sign": "inhibitory", "delay": 0.5},
        {"from": "a", "to": "output", "mean": 0.4, "std": 0.3},
        {"from": "b", "to": "output", "mean": 0.4, "std": 0.3},
    ],
    "ETA_DELAY": 0.05,
    "DELAY_WIDTH": 1.5,
    "DELAY_WIDTH_DECAY": 0.5,
    "DELAY_OUTPUT_EPOCH_TRIAL": [[1, 0]],
    "LOSS_TYPE": "max",
}


def test_a_graph_with_delays_is_trained_as_by_numpy_and_goes_on_there(tmp_path: Path) -> None:
    exact = {"name": "numpy"}
    for name, first, second in (("numpy", exact, exact), ("genn", EXACT, exact)):
        train(config(first, **GRAPH), tmp_path / name)
        train(config(second, **{**GRAPH, "N_EPOCH": 3}), tmp_path / name, resume=True)
    one, other = (load_run(tmp_path / name) for name in ("genn", "numpy"))
    np.testing.assert_allclose(one.epochs["train_loss"], other.epochs["train_loss"], rtol=1e-9)
    weights = last_weights(tmp_path / "numpy")
    for name, array in last_weights(tmp_path / "genn").items():
        np.testing.assert_allclose(array, weights[name], rtol=1e-7, atol=1e-12, err_msg=name)
    for name in ("input_to_a_delays first", "a_to_b_delays first", "a_to_b first"):
        assert weights[name].any(), name
    assert (weights["b_to_a value"] <= 0).all()
    for name, delays in one.delays(1, 0).items():
        np.testing.assert_allclose(delays, other.delays(1, 0)[name], rtol=1e-6)
