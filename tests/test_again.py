"""The same command in the same folder goes on with its run; another one changes nothing there."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import pytest
from omegaconf import OmegaConf
from runs import (
    OPTIMISED,
    SMALL,
    assert_same_run,
    command,
    end,
    here,
    overrides,
    snnrun,
    start,
    wait_for,
    wait_for_epochs,
)

from snnrun.record import load_run
from snnrun.record.paths import RunPaths
from snnrun.streams import stream
from snnrun.training import checkpoint

KILLS = int(os.environ.get("SNNRUN_KILLS", "1"))
KEYS = {**SMALL, **OPTIMISED, "N_EPOCH": 6, "N_TRAIN": 10010, "PDROP_INPUT": 0.05}


def words(folder: Path, *more: str, **keys: object) -> list[str]:
    return ["train", *overrides({**KEYS, **keys}), f"hydra.run.dir={folder}", *more]


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("undisturbed") / "run"
    done = snnrun(*words(folder))
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.long
def test_a_command_that_is_killed_and_started_again_ends_with_the_same_bits(
    tmp_path: Path, undisturbed: Path
) -> None:
    moments, kills, folder = stream(1, "kill moments"), 0, tmp_path / "run"
    while True:
        process = start(*words(folder))
        if kills < KILLS:
            time.sleep(moments.uniform(0.5, 4.0))
            process.kill()
        code, said = end(process)
        if code != -signal.SIGKILL:
            break
        kills += 1
    assert code == 0, said
    assert_same_run(folder, undisturbed)


@pytest.mark.long
def test_a_seed_that_was_drawn_stays_when_the_command_is_started_again(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    line = words(folder, MODEL_SEED="null")
    process = start(*line)
    wait_for_epochs(folder, 1, process)
    process.terminate()
    assert end(process)[0] == 143
    seed = OmegaConf.load(RunPaths(folder).config).MODEL_SEED
    done = here(*line)
    assert done.returncode == 0, done.stderr
    assert re.search("resumed +from epoch", done.stdout), done.stdout
    assert seed == OmegaConf.load(RunPaths(folder).config).MODEL_SEED
    assert here(*words(tmp_path / "at once", MODEL_SEED=seed)).returncode == 0
    assert_same_run(folder, tmp_path / "at once")


def test_a_finished_run_is_left_as_it_is(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    line = words(folder, N_EPOCH=1, N_TRAIN=130)
    assert here(*line).returncode == 0
    before = contents(folder)
    done = here(*line)
    assert done.returncode == 0, done.stderr
    assert f"{folder}: finished, all of its 1 epochs are done; nothing was" in done.stdout
    assert contents(folder) == before
    further = done.stdout.partition("To train it for longer:\n  snnrun ")[2]
    assert here(*shlex.split(further)).returncode == 0
    assert len(load_run(folder).epochs["epoch"]) == 2
    done = here(*line)  # what was given to `resume` holds from then on
    assert done.returncode == 0, done.stderr
    assert "all of its 2 epochs are done" in done.stdout


def test_so_is_one_of_a_pattern(tmp_path: Path) -> None:
    words = ["train", "dataset=pattern", "preset=superspike_single", "N_EPOCH=1", "N_TRAIN=2"]
    words += [
        "TRIAL_MS=100",
        "dataset.channels=20",
        "MODEL_SEED=1",
        f"hydra.run.dir={tmp_path}/run",
    ]
    assert here(*words).returncode == 0
    first = contents(tmp_path / "run")
    again = here(*words)
    assert again.returncode == 0, again.stderr
    assert contents(tmp_path / "run") == first


def test_another_configuration_is_refused_with_what_differs(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    small = {"N_EPOCH": 1, "N_TRAIN": 130}
    assert here(*words(folder, **small)).returncode == 0
    before = contents(folder)
    done = here(*words(folder, **small, ETA=0.25, NUM_HIDDEN=31))
    assert done.returncode == 2
    assert done.stderr == (
        f"snnrun: error: {folder}: holds a run already, with another configuration:\n"
        "  NUM_HIDDEN: 30 there, 31 now\n"
        "  ETA: 0.005 there, 0.25 now\n"
        f"Go on with it by `snnrun resume {folder}`, or choose another folder\n"
    )
    assert contents(folder) == before
    done = here(*words(folder, N_TRAIN=130, N_EPOCH=2))
    assert done.returncode == 2
    assert contents(folder) == before
    advice = re.search(r"`snnrun (.*)`", done.stderr)
    assert advice, done.stderr
    assert here(*shlex.split(advice[1])).returncode == 0
    assert len(load_run(folder).epochs["epoch"]) == 2


def test_a_run_that_still_builds_is_not_disturbed_by_a_second_command(tmp_path: Path) -> None:
    folder, slow = tmp_path / "run", tmp_path / "slow"
    slow.write_text(
        f"#!{sys.executable}\nimport sys, time\n"
        "print('g++ slow') if '--version' in sys.argv else time.sleep(60)\n"
    )
    slow.chmod(0o755)
    process = start(*words(folder, f"backend.compiler={slow}"))
    wait_for((RunPaths(folder).code / "program.cpp").exists, process)
    before = contents(RunPaths(folder).hydra)
    done = snnrun(*words(folder, ETA=0.25))
    assert done.returncode == 2
    assert f"process {process.pid}" in done.stderr
    assert contents(RunPaths(folder).hydra) == before
    process.terminate()
    assert end(process)[0] == 143


@pytest.mark.long
def test_a_sweep_that_is_run_again_goes_on_where_it_was_killed(tmp_path: Path) -> None:
    sweep = tmp_path / "sweep"
    line = [
        "train",
        "-m",
        *overrides({**KEYS, "N_EPOCH": 4, "N_TRAIN": 3010}),
        "MODEL_SEED=1,2,3",
        f"hydra.sweep.dir={sweep}",
    ]
    process = start(*line)
    wait_for_epochs(sweep / "1", 2, process)
    process.kill()
    end(process)
    first = contents(sweep / "0")
    done = here(*line)
    assert done.returncode == 0, done.stderr
    assert contents(sweep / "0") == first
    assert all(load_run(sweep / name).finished for name in "012")
    assert len(load_run(sweep / "1").sessions) in (1, 2)
    done = here(*line, "ETA=0.1")
    assert done.returncode == 2
    assert "  ETA: 0.005 there, 0.1 now\n" in done.stderr
    assert contents(sweep / "0") == first


@pytest.mark.skipif(
    not (find_spec("hydra_plugins") and find_spec("hydra_plugins.hydra_submitit_launcher")),
    reason="no plugin",
)
@pytest.mark.long
def test_a_job_of_submitit_that_is_preempted_is_requeued_and_goes_on(
    tmp_path: Path, undisturbed: Path
) -> None:
    sweep = tmp_path / "sweep"
    process = subprocess.Popen(
        command(
            "train",
            "-m",
            "hydra/launcher=submitit_local",
            "hydra.launcher.timeout_min=30",
            *overrides(KEYS),
            f"hydra.sweep.dir={sweep}",
        ),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    wait_for_epochs(sweep / "0", 1, process)
    job = json.loads(RunPaths(sweep / "0").pid.read_text())["pid"]
    os.kill(job, signal.SIGUSR2)
    code, said = end(process)
    logs = "".join(path.read_text() for path in sweep.glob(".submitit/*/*_log.*"))
    assert code == 0, said + logs
    assert "this job is preempted" in logs
    log = RunPaths(sweep / "0").log.read_text()
    assert "stopped: by SIGUSR2" in log
    assert re.search("resumed +from epoch", log), log
    assert checkpoint.load(RunPaths(sweep / "0").last)["epoch"] == KEYS["N_EPOCH"]
    assert_same_run(sweep / "0", undisturbed)
