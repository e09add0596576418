"""Real runs that are killed, stopped and resumed end with the bits of one that never was.

SNNRUN_KILLS=20 kills more often than the suite does; SNNRUN_KILL_SEED chooses other moments.
"""

from __future__ import annotations

import itertools
import os
import re
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from long import long_but
from runs import (
    SMALL,
    assert_same_run,
    end,
    epochs_done,
    here,
    overrides,
    small,
    snnrun,
    start,
    stopped_at,
    wait_for,
    wait_for_epochs,
)

from snnrun.config import Config, from_dict
from snnrun.errors import CheckpointError, ConfigError
from snnrun.record import load_run
from snnrun.record.paths import RunPaths
from snnrun.run import test as evaluate_run
from snnrun.run import train
from snnrun.streams import stream
from snnrun.training import checkpoint, keeper, loop
from snnrun.training.loop import Trainer

KILLS = int(os.environ.get("SNNRUN_KILLS", "4"))
SEED = int(os.environ.get("SNNRUN_KILL_SEED", "1"))
EPOCHS = 4
# All that a run keeps from batch to batch: moments, trained time constants, schedule, place in the
# ease-in, dropout, best epoch, predictions; and recordings in all kinds of epochs.
KEYS: dict[str, Any] = {
    **SMALL,
    "N_EPOCH": EPOCHS,
    "N_TRAIN": 10010,  # a third of a second or more, so that there is a middle of an epoch
    "N_VALIDATE": 210,
    "RECURRENT": True,
    "HIDDEN_HIDDEN_MEAN": 0.0,
    "TRAIN_TAU": True,
    "PDROP_INPUT": 0.05,
    "HIDDEN_NOISE": 0.01,
    "PDROP_HIDDEN": 0.1,
    "LR_EASE_IN_FACTOR": 1.01,
    "ETA_FAC": 0.7,
    "MIN_EPOCH_ETA_FIXED": 1,
    "EMA_ALPHA1": 0.6,
    "EMA_ALPHA2": 0.3,
    "COLLECT_CONFUSION": True,
    "REC_PREDICTIONS": True,
    "REC_SPIKES": "[input,hidden]",
    "REC_SPIKES_EPOCH_TRIAL": "[[0,0],[2,400],[-1,505]]",
    "REC_NEURONS": "[[hidden,V]]",
    "REC_NEURONS_EPOCH_TRIAL": "[[1,7]]",
    "W_REPORT_INTERVAL": 300,
    "W_EPOCH_INTERVAL": 2,
    "backend.flags": "[-O3]",  # the bits that users get
}


def words(folder: Path) -> list[str]:
    return ["train", *overrides(KEYS), f"hydra.run.dir={folder}"]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that is never stopped."""
    folder = tmp_path_factory.mktemp("undisturbed") / "run"
    code, said = end(start(*words(folder)))
    assert code == 0, said
    assert len(load_run(folder).epochs["epoch"]) == EPOCHS
    assert len(set(load_run(folder).epochs["learning_rate"])) > 2  # the schedule acts
    return folder


@pytest.mark.long
def test_killed_and_resumed_runs_end_with_the_same_bits(tmp_path: Path, undisturbed: Path) -> None:
    moments = stream(SEED, "kill moments")
    kills, runs = 0, 0
    while kills < KILLS:
        folder, runs = tmp_path / f"run{runs}", runs + 1
        killed = True
        while killed:
            begun = RunPaths(folder).overrides.exists()
            process = start(*(["resume", str(folder)] if begun else words(folder)))
            killed = False
            if kills < KILLS:
                time.sleep(moments.uniform(0.0, 3.2))  # start-up takes a good one
                process.kill()
            code, said = end(process)
            if code == -signal.SIGKILL:
                killed, kills = True, kills + 1
            else:
                assert code == 0, said
        assert_same_run(folder, undisturbed)
        shutil.rmtree(folder)


@pytest.mark.long
@pytest.mark.parametrize(
    ("number", "name", "code"),
    [
        (signal.SIGTERM, "SIGTERM", 143),
        (signal.SIGINT, "Ctrl-C", 130),
        (signal.SIGUSR2, "SIGUSR2", 140),
        (signal.SIGHUP, "SIGHUP", 129),
    ],
)
def test_signals_stop_a_run_with_a_checkpoint_in_the_middle_of_an_epoch(
    tmp_path: Path, undisturbed: Path, number: int, name: str, code: int
) -> None:
    for attempt in range(5):
        folder = tmp_path / f"run{attempt}"
        process = start(*words(folder))
        wait_for_epochs(folder, 1, process)
        time.sleep(0.2)
        process.send_signal(number)
        found, said = end(process)
        assert found == code, said
        state = checkpoint.load(RunPaths(folder).last)
        assert f"stopped: by {name} in epoch {state['epoch']}, trial {state['trial']};" in said
        assert f"snnrun resume {folder}" in " ".join(said.split())
        if state["trial"] > 0:  # the machine decides whether it falls between two epochs
            break
    assert state["trial"] > 0
    # with another number of threads, and stopped once more
    process = start("resume", str(folder), "backend.threads=3")
    wait_for_epochs(folder, epochs_done(folder) + 1, process)
    process.send_signal(number)
    assert end(process)[0] == code
    done = here("resume", str(folder), "backend.threads=1")
    assert done.returncode == 0, done.stderr
    assert_same_run(folder, undisturbed)


@pytest.mark.long
def test_a_run_stopped_before_its_first_batch_can_be_resumed(
    tmp_path: Path, undisturbed: Path
) -> None:
    folder = tmp_path / "run"
    process = start(*words(folder))
    wait_for(RunPaths(folder).pid.exists, process)
    process.send_signal(signal.SIGTERM)
    code, said = end(process)
    assert code in (143, -signal.SIGTERM), said
    assert here("resume", str(folder)).returncode == 0
    assert_same_run(folder, undisturbed)


@pytest.mark.long
def test_a_second_process_is_refused_while_the_first_goes_on(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    process = start(*words(folder), "N_EPOCH=1000")
    wait_for_epochs(folder, 1, process)
    for command in ("resume", "test"):
        second = snnrun(command, str(folder))
        assert second.returncode == 2
        assert re.fullmatch(
            rf"snnrun: error: {folder}: process {process.pid} on \S+ is working on this run\. Wait "
            rf"until it has ended, or stop it there \(kill {process.pid}\)\. If it is surely dead, "
            rf"delete {folder}/run\.pid\n",
            second.stderr,
        ), second.stderr
    wait_for_epochs(folder, epochs_done(folder) + 1, process)
    process.terminate()
    assert end(process)[0] == 143


# The rest needs no process of its own.


@pytest.mark.parametrize("rule", long_but(["eventprop", "surrogate"], ["eventprop"]))
def test_more_epochs_continue_as_if_they_had_been_asked_for_at_once(
    tmp_path: Path, rule: str
) -> None:
    keys = {"TRAIN_TAU": True, "rule": rule, "LOSS_TYPE": "max", "RECURRENT": True}
    long = small(N_EPOCH=5, **keys)
    train(long, tmp_path / "at once")
    train(small(N_EPOCH=2, **keys), tmp_path / "in parts")
    train(long, tmp_path / "in parts", resume=True)
    assert_same_run(tmp_path / "in parts", tmp_path / "at once")
    assert len(load_run(tmp_path / "in parts").sessions) == 2


def test_fewer_epochs_than_are_done_are_refused(tmp_path: Path) -> None:
    train(small(N_EPOCH=3), tmp_path)
    with pytest.raises(ConfigError) as error:
        train(small(N_EPOCH=2), tmp_path, resume=True)
    assert str(error.value) == (
        "N_EPOCH=2: the run has begun 3 epochs already; give at least N_EPOCH=3, or start another "
        "run"
    )


@pytest.mark.parametrize("which", ["last", "best"])
@pytest.mark.long
def test_a_run_can_start_from_the_weights_of_an_earlier_one(tmp_path: Path, which: str) -> None:
    common = {"OUT_DIR": str(tmp_path), "NAME": "series", "CHECKPOINT_BEST": "training"}
    earlier, other, later = (tmp_path / "outputs" / "d" / name for name in "abc")
    train(small(**common, N_EPOCH=4, ETA=0.03), earlier)
    train(small(**{**common, "NAME": "other"}, N_EPOCH=1), other)
    loaded = {f"LOAD_{which.upper()}": True, "W_OUTPUT_EPOCH_TRIAL": [[0, 0]]}
    train(small(**common, **loaded, N_EPOCH=1), later)
    saved = checkpoint.load(getattr(RunPaths(earlier), which))
    found = load_run(later).weights(0, 0)
    assert found.keys() == {"in_to_hid", "hid_to_out"}
    for name, weights in found.items():
        np.testing.assert_array_equal(weights, saved["tensors"][name]["value"])
    after = checkpoint.load(RunPaths(later).last)
    assert (after["epoch"], after["updates"]) == (1, 7)  # weights only: it counts anew


def test_a_killed_run_that_had_loaded_weights_does_not_load_newer_ones(tmp_path: Path) -> None:
    common = {"OUT_DIR": str(tmp_path), "NAME": "series", "N_EPOCH": 2}
    earlier, run, newer = (tmp_path / "outputs" / "d" / name for name in "abc")
    config = small(**common, LOAD_LAST=True)
    train(small(**common), earlier)
    train(config, run)
    shutil.copytree(run, tmp_path / "complete")
    killed_before_its_first_epoch_ended(run, config)
    train(small(**common, ETA=0.1), newer)  # also of this NAME, and newer
    train(config, run, resume=True)
    assert_same_run(run, tmp_path / "complete")


def killed_before_its_first_epoch_ended(folder: Path, config: Any) -> None:
    """Leave in ``folder`` what a kill in the first epoch leaves."""
    shutil.rmtree(folder)
    process = os.fork()
    if process == 0:
        Trainer._epoch = lambda *_: os.kill(os.getpid(), signal.SIGKILL)  # type: ignore
        train(config, folder)
    assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == -signal.SIGKILL


def killed_at_a_file(folder: Path, config: Config, number: int) -> bool:
    """Train, and be killed just before file ``number`` gets its name; return whether it was."""
    process = os.fork()
    if process == 0:
        files = itertools.count()
        replace = os.replace

        def replace_or_die(*names: Any) -> None:
            if next(files) == number:
                os.kill(os.getpid(), signal.SIGKILL)
            replace(*names)

        os.replace = replace_or_die  # type: ignore[assignment]
        train(config, folder)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == -signal.SIGKILL


@pytest.mark.parametrize("every", [5, pytest.param(1, marks=pytest.mark.long)])
def test_a_kill_between_any_two_files_leaves_a_run_that_ends_with_the_same_bits(
    every: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeper, "SHARE", 1e9)  # a checkpoint after each epoch, short as they are
    config = small(
        COLLECT_CONFUSION=True,
        REC_PREDICTIONS=True,
        CHECKPOINT_BEST="training",
        ETA=0.02,
        REC_SPIKES=["hidden"],
        REC_SPIKES_EPOCH_TRIAL=[[1, 1], [2, 8]],
        W_OUTPUT_EPOCH_TRIAL=[[0, 0], [2, 3]],
    )
    train(config, tmp_path / "undisturbed")
    number, killed = 0, True
    while killed:
        folder = tmp_path / f"killed{number}"
        killed = killed_at_a_file(folder, config, number)
        train(config, folder, resume=True)
        assert_same_run(folder, tmp_path / "undisturbed")
        shutil.rmtree(folder)
        number += every
    assert number > 20


ADAPTIVE = {"name": "eprop", "feedback": "adaptive"}
TRAINED = {"PDROP_INPUT": 0.2, "RECURRENT": True, "TRAIN_TAU": True, "ETA": 0.02}
ONLINE = {  # rule=superspike, whose traces and clock run on from one presentation to the next
    "dataset": {"name": "pattern", "channels": 8, "outputs": 5, "rate": 100.0},
    "NUM_HIDDEN": 6,
    "TRIAL_MS": 60.0,
    "N_TRAIN": 10,
    "N_VALIDATE": 2,
    "N_TEST": 2,
    "N_EPOCH": 3,
    "MODEL_SEED": 1,
    "rule": {"name": "superspike", "update_ms": 35.0, "w0": 90.0, "feedback": "random"},
}
KINDS: dict[str, Callable[[], Config]] = {
    "sum_weigh_input": lambda: small(LOSS_TYPE="sum_weigh_input", **TRAINED),
    "relative_mse": lambda: small(LOSS_TYPE="relative_mse", **TRAINED),
    "surrogate": lambda: small(rule="surrogate", LOSS_TYPE="max", PDROP_HIDDEN=0.1, **TRAINED),
    "eprop": lambda: small(rule=ADAPTIVE, LOSS_TYPE="avg_xentropy", **TRAINED),
    "stdp": lambda: small(rule={"name": "stdp", "w_max": 4.0, "reward": True}, **TRAINED),
    "superspike": lambda: from_dict(ONLINE),
}


@pytest.mark.parametrize("kind", long_but(KINDS, []))
def test_runs_with_other_losses_and_rules_go_on_to_the_same_bits_after_a_stop_or_a_kill(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeper, "SHARE", 1e9)
    config = KINDS[kind]()
    train(config, tmp_path / "undisturbed")
    assert len(set(load_run(tmp_path / "undisturbed").epochs["train_loss"])) == 3
    for number in (5, 7):
        folder = tmp_path / f"killed{number}"
        assert killed_at_a_file(folder, config, number)
        begun = checkpoint.load(RunPaths(folder).last)["epoch"]
        assert 0 < begun < 3
        train(config, folder, resume=True)
        assert_same_run(folder, tmp_path / "undisturbed")
    monkeypatch.setattr(loop, "CHUNK_S", 0.0)  # one mini-batch at a time
    for look in (2, 10, 25):
        folder = tmp_path / f"stopped{look}"
        assert stopped_at(look, config, folder, monkeypatch)
        assert checkpoint.load(RunPaths(folder).last)["trial"] > 0
        train(config, folder, resume=True)
        assert_same_run(folder, tmp_path / "undisturbed")


def test_loading_without_an_earlier_run_says_so(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError) as error:
        train(small(OUT_DIR=str(tmp_path), NAME="new", LOAD_BEST=True), tmp_path / "run")
    assert str(error.value) == (
        "LOAD_BEST=true: no earlier run with NAME=new and such a checkpoint below "
        f"{tmp_path}/outputs. `snnrun runs` lists the runs; to go on with a run, use "
        "`snnrun resume RUN`"
    )


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "outputs" / "d"
    train(small(OUT_DIR=str(tmp_path), N_EPOCH=1), folder / "a")
    with pytest.raises(CheckpointError) as error:
        train(small(OUT_DIR=str(tmp_path), LOAD_LAST=True, NUM_HIDDEN=31), folder / "b")
    assert str(error.value) == (
        f"{folder}/a/checkpoints/last.h5: made for another network: 5-30-3 with in_to_hid, "
        "hid_to_out; this one is 5-31-3 with in_to_hid, hid_to_out"
    )


def test_without_checkpoints_a_resume_begins_again(tmp_path: Path) -> None:
    config = small(CHECKPOINT=False, CHECKPOINT_BEST="neither")
    train(config, tmp_path / "run")
    assert list(RunPaths(tmp_path / "run").checkpoints.iterdir()) == []
    shutil.copytree(tmp_path / "run", tmp_path / "before")
    train(config, tmp_path / "run", resume=True)
    assert_same_run(tmp_path / "run", tmp_path / "before", checkpoints=False)


@pytest.mark.long
def test_without_checkpoints_a_stopped_run_is_kept_and_ends_with_its_last_weights(
    tmp_path: Path, undisturbed: Path
) -> None:
    folder = tmp_path / "run"
    process = start(*words(folder), "CHECKPOINT=false")
    wait_for_epochs(folder, 1, process)
    assert not RunPaths(folder).last.exists()
    process.send_signal(signal.SIGTERM)
    assert end(process)[0] == 143
    assert checkpoint.load(RunPaths(folder).last)["epoch"] > 0
    assert here("resume", str(folder)).returncode == 0
    assert_same_run(folder, undisturbed)  # the checkpoint of the stop is not left behind, stale


def test_the_test_command_uses_the_last_or_the_best_checkpoint(tmp_path: Path) -> None:
    train(small(N_EPOCH=4, ETA=0.03), tmp_path)
    config = small(N_EPOCH=5, ETA=5.0)  # wrecks the weights
    train(config, tmp_path, resume=True)
    run = load_run(tmp_path)
    assert run.epochs["validation_accuracy"].argmax() < 4
    last = evaluate_run(config, tmp_path)
    assert last["accuracy"] == run.test["accuracy"]
    assert last["loss"] == run.test["loss"]
    best = evaluate_run(small(N_EPOCH=5, LOAD_BEST=True), tmp_path)
    assert best["loss"] != last["loss"]
