"""What can go wrong in a run ends with one message that says what, where and what to do."""

from __future__ import annotations

import os
import re
import subprocess
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from long import long_but
from oracle import problem
from parity import data_of, load_weights, native, program_of
from runs import SMALL, end, overrides, own_cache, small, snnrun, start, write_mnist

from snnrun.backends.base import NO_NOISE
from snnrun.errors import (
    BuildError,
    CheckpointError,
    ConfigError,
    DataError,
    NumericalError,
    RecordError,
    SnnrunError,
)
from snnrun.record import load_run
from snnrun.record.paths import RunPaths
from snnrun.run import test as evaluate_run
from snnrun.run import train
from snnrun.training import checkpoint
from snnrun.training.loop import Trainer


def message(error: type[SnnrunError], config: Any, folder: Path, **more: Any) -> str:
    """Return what a run that fails says."""
    with pytest.raises(error) as raised:
        train(config, folder, **more)
    return str(raised.value)


def refused(*words: str, **options: Any) -> str:
    """Return the error of a command that ends with code 2 and nothing else on standard error."""
    done = snnrun(*words, **options)
    assert done.returncode == 2, done
    assert done.stderr.startswith("snnrun: error: ")
    assert "Traceback" not in done.stderr
    return done.stderr.removeprefix("snnrun: error: ").rstrip("\n")


# numbers


@pytest.mark.parametrize("threads", long_but([1, 2, 4], [4]))
def test_an_exploding_learning_rate_stops_the_run(tmp_path: Path, threads: int) -> None:
    code, said = end(
        start(
            "train",
            *overrides(SMALL),
            "ETA=1e9",
            f"hydra.run.dir={tmp_path}/run",
            f"backend.threads={threads}",
        )
    )
    assert code == 2, said
    assert re.search(
        "snnrun: error: training has exploded: the gradient or the values of "
        r"(in_to_hid|hid_to_out) are not finite, or beyond 1e6, since trial 0 of epoch 0 \(update "
        r"0, learning rate 1e\+09\)\. No checkpoint was written before\. Try ETA=0\.005, "
        r"LR_EASE_IN_FACTOR=1\.05, optimiser\.clip_norm=1\.0 or smaller initial weights\n",
        said,
    ), said
    run = load_run(tmp_path / "run")
    assert run.finished == ""
    assert not run.running


def test_an_explosion_late_in_a_run_names_the_last_checkpoint(tmp_path: Path) -> None:
    train(small(N_EPOCH=2), tmp_path)
    said = message(NumericalError, small(N_EPOCH=4, ETA=1e9), tmp_path, resume=True)
    assert "since trial 0 of epoch 2 (update 14, learning rate" in said
    assert "The last checkpoint is of the end of epoch 1." in said
    assert list(load_run(tmp_path).epochs["epoch"]) == [0, 1]
    assert checkpoint.load(RunPaths(tmp_path).last)["epoch"] == 2
    train(small(N_EPOCH=4), tmp_path, resume=True)  # and goes on from there
    assert list(load_run(tmp_path).epochs["epoch"]) == [0, 1, 2, 3]


def spoil(monkeypatch: pytest.MonkeyPatch, phase: str, value: float) -> None:
    """Set a weight to ``value`` before the second epoch's ``phase`` runs."""
    run_phase = Trainer._run_phase

    def spoiled(trainer: Trainer, epoch: int, part: Any) -> None:
        if epoch == 1 and part.name == phase:
            weights = trainer.backend.get("hid_to_out")
            weights[0, 0] = value
            trainer.backend.set("hid_to_out", weights)
        run_phase(trainer, epoch, part)

    monkeypatch.setattr(Trainer, "_run_phase", spoiled)


@pytest.mark.parametrize("loss", long_but(["sum", "max", "avg_xentropy"], ["avg_xentropy"]))
def test_nan_in_training_stops_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, loss: str
) -> None:
    spoil(monkeypatch, "train", np.nan)
    said = message(NumericalError, small(LOSS_TYPE=loss), tmp_path)
    assert said.startswith("training has exploded: ")
    assert "since trial 0 of epoch 1 (update 7, learning rate 0.00475). " in said
    assert "The last checkpoint is of the end of epoch 0." in said


@pytest.mark.parametrize("loss", long_but(["sum", "avg_xentropy"], ["avg_xentropy"]))
def test_nan_in_validation_stops_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, loss: str
) -> None:
    spoil(monkeypatch, "validation", np.nan)
    said = message(NumericalError, small(LOSS_TYPE=loss), tmp_path)
    assert said.startswith("the loss on the validation set is not finite in epoch 1; ")
    assert said.endswith("Try ETA=0.001, LR_EASE_IN_FACTOR=1.05 or optimiser.clip_norm=1.0")


# compilers and the build cache


def test_without_a_compiler_the_message_says_what_to_install(tmp_path: Path) -> None:
    environment = {**os.environ, "PATH": str(tmp_path)}
    environment.pop("CXX", None)
    said = refused("train", *overrides(SMALL), f"hydra.run.dir={tmp_path}/run", env=environment)
    assert said == (
        "no C++ compiler: looked for g++, clang++, c++ and the Python package ziglang. Install one "
        "(Debian and Ubuntu: apt install g++; Fedora: dnf install gcc-c++; macOS: xcode-select "
        "--install), or take the one that pip can install: pip install 'snnrun[compiler]'. "
        "Small networks run without one: backend=numpy"
    )


@pytest.mark.parametrize("source", ["backend.compiler", "CXX"])
def test_a_compiler_that_does_not_exist_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    config = small()
    if source == "CXX":
        monkeypatch.setenv("CXX", "nonsense")
    else:
        config = small(backend={"compiler": "nonsense"})
    assert message(BuildError, config, tmp_path) == (
        f"{source}=nonsense: this is no C++ compiler that runs here (one answers to --version "
        "within 30 s). Give its name or path, or leave it out to take the first of g++, clang++, "
        "c++"
    )


def test_a_compiler_error_shows_the_command_and_the_end_of_its_log(tmp_path: Path) -> None:
    said = message(BuildError, small(backend={"flags": ["-fnonsense"]}), tmp_path)
    first, command, heading, *log = said.splitlines()
    assert first == "the compiler failed (exit code 1)."
    assert command.startswith("Command: ")
    assert command.endswith(" -fnonsense program.cpp -o program.so")
    assert heading == "End of its output:"
    assert any("-fnonsense" in line for line in log)
    assert len(log) <= 40


def test_a_program_that_is_not_built_is_refused_with_build_false(tmp_path: Path) -> None:
    cache = own_cache(tmp_path / "cache")
    config = small(BUILD=False, backend={"cache_dir": str(cache)})
    assert message(BuildError, config, tmp_path / "run") == (
        f"BUILD=false, but this program has not been built before (looked in {cache}). Run once "
        "with BUILD=true"
    )
    train(small(backend={"cache_dir": str(cache)}), tmp_path / "a")
    train(config, tmp_path / "run")


@pytest.mark.long
def test_a_damaged_library_in_the_cache_is_named(tmp_path: Path) -> None:
    cache = own_cache(tmp_path / "cache")
    config = small(backend={"cache_dir": str(cache)}, N_EPOCH=1)
    train(config, tmp_path / "a")
    [library] = cache.glob("*/program.so")
    library.unlink()  # this process has it open
    library.write_bytes(b"not a library")
    said = refused(
        "train",
        *overrides(SMALL),
        "N_EPOCH=1",
        f"backend.cache_dir={cache}",
        f"hydra.run.dir={tmp_path}/b",
    )
    assert said.startswith(f"{library} cannot be loaded: ")
    assert said.endswith(
        "Delete its folder to build it anew; if the disk does not allow programs to run (noexec), "
        "name another folder with backend.cache_dir=FOLDER"
    )


@pytest.mark.parametrize("what", ["file", "full"])
def test_a_build_folder_that_cannot_be_written_is_named(
    tmp_path: Path, small_disk: Path, what: str
) -> None:
    cache = small_disk / "cache"
    if what == "file":
        cache = tmp_path / "cache"
        cache.write_text("")
    else:
        (small_disk / "filler").write_bytes(bytes(2**20 - 2**16))
    said = message(BuildError, small(backend={"cache_dir": str(cache)}), tmp_path / "run")
    if what == "file":
        assert said.startswith(f"the build folder {cache} cannot be used: ")
        assert said.endswith(
            "Make room or make it writable, or name another one with backend.cache_dir=FOLDER"
        )
    else:  # the compiler may be the first to meet it
        assert "cannot be used" in said or "No space left on device" in said


@pytest.fixture
def small_disk(tmp_path: Path) -> Any:
    """A disk of 1 MiB, where this process may mount one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(disk)], capture_output=True
    )
    if mounted.returncode != 0:
        pytest.skip("no permission to mount a small disk")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


# the run folder


@pytest.mark.long
def test_a_full_disk_is_one_message_and_the_run_can_go_on(small_disk: Path) -> None:
    folder = small_disk / "run"
    config = small(NUM_HIDDEN=300, N_EPOCH=20, W_REPORT_INTERVAL=1, W_EPOCH_INTERVAL=1)
    said = message(RecordError, config, folder)
    assert said.startswith("cannot write ")
    assert said.endswith(
        "the disk is full, or your quota on it is used up. Free some space and resume the run, or "
        "start one on another disk with hydra.run.dir=FOLDER"
    )
    assert len(load_run(folder).epochs["epoch"]) < 20
    for part in RunPaths(folder).parts("weights").values():
        part.unlink()
    train(small(NUM_HIDDEN=300, N_EPOCH=20), folder, resume=True)
    assert len(load_run(folder).epochs["epoch"]) == 20


def test_a_read_only_folder_is_one_message(small_disk: Path) -> None:
    folder = small_disk / "run"
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    said = refused("train", *overrides(SMALL), f"hydra.run.dir={folder}")
    assert re.fullmatch(
        rf"the run folder cannot be made: .*{folder}.*; OUT_DIR says where", said
    ), said


def test_from_python_a_folder_that_holds_a_run_is_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    train(small(N_EPOCH=1), folder)
    assert message(RecordError, small(N_EPOCH=1), folder) == (
        f"{folder}: holds a run already. Go on with it by `snnrun resume {folder}`, or choose "
        "another folder"
    )


# data and checkpoints


def test_missing_data_are_named_with_what_to_do(tmp_path: Path) -> None:
    data = tmp_path / "data"
    said = refused("train", "dataset=mnist", f"dataset.path={data}", f"OUT_DIR={tmp_path}")
    assert str(data) in said
    assert "train-images-idx3-ubyte" in said
    assert "snnrun data fetch dataset=mnist" in said


def test_more_examples_than_there_are_are_refused_before_the_build(tmp_path: Path) -> None:
    config = small(
        dataset={"name": "mnist", "path": str(write_mnist(tmp_path / "data"))},
        N_TRAIN=1000,
        N_VALIDATE=5,
        backend={"flags": ["--nonsense"]},
    )
    said = message(DataError, config, tmp_path / "run")
    assert said.startswith("N_TRAIN=1000 with N_VALIDATE=5 asks for 1005 examples, but ")


def test_a_missing_compiler_is_told_before_data_are_read(tmp_path: Path) -> None:
    config = small(
        dataset={"name": "mnist", "path": str(tmp_path / "none")}, backend={"compiler": "nonsense"}
    )
    said = message(BuildError, config, tmp_path / "run")
    assert said.startswith("backend.compiler=nonsense: this is no C++ compiler that runs here")


def test_a_checkpoint_that_is_cut_off_is_refused_and_the_other_one_named(tmp_path: Path) -> None:
    train(small(), tmp_path)
    paths = RunPaths(tmp_path)
    content = paths.last.read_bytes()
    paths.last.write_bytes(content[:-1000])
    said = message(CheckpointError, small(N_EPOCH=4), tmp_path, resume=True)
    assert said.startswith(f"{paths.last}: truncated: ")
    assert said.endswith(
        f" The best checkpoint exists ({paths.best}): LOAD_BEST=true goes on from there. Otherwise "
        "start the run again"
    )


def test_a_checkpoint_of_another_network_is_refused(tmp_path: Path) -> None:
    train(small(N_EPOCH=1), tmp_path)
    said = message(CheckpointError, small(N_HID_LAYER=2, N_EPOCH=2), tmp_path, resume=True)
    assert said == (
        f"{tmp_path}/checkpoints/last.h5: made for another network: 5-30-3 with in_to_hid, "
        "hid_to_out; this one is 5-30-30-3 with in_to_hid0, hid_to_hidfwd0, hid_to_out"
    )


def test_a_run_without_a_test_set_cannot_be_tested(tmp_path: Path) -> None:
    config = small(N_TEST=0, N_EPOCH=1)
    train(config, tmp_path)
    assert load_run(tmp_path).test == {}
    with pytest.raises(DataError) as error:
        evaluate_run(config, tmp_path)
    assert str(error.value) == ("dataset yinyang has no test set here; N_TEST says how large it is")


def test_a_run_without_validation_is_trained_and_tested(tmp_path: Path) -> None:
    accuracy = train(small(N_VALIDATE=0, CHECKPOINT_BEST="neither", N_EPOCH=2), tmp_path)
    run = load_run(tmp_path)
    assert accuracy == run.epochs["train_accuracy"][-1]
    assert np.isnan(run.epochs["validation_accuracy"]).all()
    assert not RunPaths(tmp_path).best.exists()


def test_data_of_another_shape_are_refused_by_the_backend(tmp_path: Path) -> None:
    backend = native(program_of(problem(), 0.1, train=()))
    with pytest.raises(ConfigError) as error:
        backend.evaluate(data_of(problem(), 0.2), np.arange(1))
    assert str(error.value) == ("the data has 120 steps and 5 channels, the program 240 and 5")


@pytest.mark.long
def test_all_threads_stop_after_the_batch_that_failed(tmp_path: Path) -> None:
    given = problem(spread=0.0, examples=8, seed=3)
    program, data = program_of(given, 0.1, train=()), data_of(given, 0.1)
    examples, rates = np.tile(np.arange(8), 4), np.array([1e-3, 1e9, 1e-3, 1e-3])
    failed = []

    def fail_often() -> None:
        backend = native(program, precision="float32", contraction=True, threads=3)
        for _ in range(400):
            load_weights(backend, given.weights)
            failed.append(backend.train(data, examples, 8, rates, 0, NO_NOISE).failed_batch)
            backend.set("hid_to_out", np.full_like(given.weights["hid_to_out"], np.nan))
            failed.append(backend.evaluate(data, np.tile(examples, 40)).failed_batch)

    thread = threading.Thread(target=fail_often, daemon=True)
    thread.start()
    thread.join(timeout=20)
    assert not thread.is_alive(), f"threads wait for each other for ever, after {len(failed)} calls"
    assert failed == [1, 0] * 400
