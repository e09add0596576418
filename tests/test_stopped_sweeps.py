"""Ctrl-C of a multirun: every job at work writes a checkpoint, and the message counts them."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import time
from importlib.util import find_spec
from pathlib import Path

import pytest
from long import long_but
from runs import (
    OPTIMISED,
    SMALL,
    assert_same_run,
    command,
    end,
    here,
    overrides,
    wait_for,
    wait_for_epochs,
)

from snnrun.record import load_run
from snnrun.record.paths import RunPaths
from snnrun.sweeps.sweep import read_sweep
from snnrun.training import checkpoint

KEYS = {**SMALL, **OPTIMISED, "N_TRAIN": 3000, "N_EPOCH": 400}
JOBLIB = ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2"]
needs_submitit = pytest.mark.skipif(
    not (find_spec("hydra_plugins") and find_spec("hydra_plugins.hydra_submitit_launcher")),
    reason="no plugin",
)
needs_joblib = pytest.mark.skipif(
    not (find_spec("hydra_plugins") and find_spec("hydra_plugins.hydra_joblib_launcher")),
    reason="no plugin",
)


def started(sweep: Path, *words: str) -> subprocess.Popen:
    """Start a multirun as a terminal does, in a process group of its own."""
    keys = overrides({key: value for key, value in KEYS.items() if key != "MODEL_SEED"})
    line = ["train", "-m", *keys, *words, f"hydra.sweep.dir={sweep}"]
    return subprocess.Popen(
        command(*line),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


@needs_joblib
@pytest.mark.long
@pytest.mark.parametrize("whole_group", [True, False])
def test_every_job_of_joblib_writes_a_checkpoint_and_the_same_command_goes_on(
    tmp_path: Path, whole_group: bool
) -> None:
    sweep = tmp_path / "sweep"
    process = started(sweep, *JOBLIB, "MODEL_SEED=1,2,3")
    for name in "01":
        wait_for_epochs(sweep / name, 1, process)
    if whole_group:  # Ctrl-C
        os.killpg(process.pid, signal.SIGINT)
    else:  # kill, or a scheduler
        os.kill(process.pid, signal.SIGTERM)
    code, said = end(process)
    assert code == (130 if whole_group else 143), said
    assert "stopped; 3 jobs: 1 waiting, 2 stopped; in " in said
    for name in "01":
        reached = checkpoint.load(RunPaths(sweep / name).last)
        assert reached["epoch"] >= 1
        assert not RunPaths(sweep / name).pid.exists()
    assert not (sweep / "2").exists()
    if whole_group:
        return
    process = started(sweep, *JOBLIB, "MODEL_SEED=1,2,3", "N_EPOCH=3")
    code, said = end(process)
    assert code == 2
    assert "N_EPOCH: 400 there, 3 now" in said


@needs_submitit
@pytest.mark.long
@pytest.mark.parametrize("whole_group", [True, False])
def test_jobs_of_submitit_on_this_machine_stop_with_who_started_them(
    tmp_path: Path, whole_group: bool
) -> None:
    sweep = tmp_path / "sweep"
    process = started(sweep, "hydra/launcher=submitit_local", "MODEL_SEED=1,2")
    for name in "01":
        wait_for_epochs(sweep / name, 1, process)
    if whole_group:  # Ctrl-C
        os.killpg(process.pid, signal.SIGINT)
    else:
        process.terminate()
    code, said = end(process)
    assert code == (130 if whole_group else 143), said
    assert "stopped; 2 jobs: 2 stopped; in " in said
    for name in "01":
        assert checkpoint.load(RunPaths(sweep / name).last)["epoch"] >= 1
        assert not RunPaths(sweep / name).pid.exists()


@needs_joblib
@pytest.mark.long
def test_a_second_ctrl_c_ends_the_jobs_of_joblib_at_once(tmp_path: Path) -> None:
    sweep = tmp_path / "sweep"
    # a mini-batch of half a minute
    long = ["N_BATCH=10000", "N_TRAIN=10000", "DT_MS=0.02", "NUM_HIDDEN=2000"]
    process = started(sweep, *JOBLIB, "MODEL_SEED=1,2", *long)
    wait_for(lambda: all(RunPaths(sweep / name).run.exists() for name in "01"), process)
    time.sleep(2.0)
    for _ in range(2):
        os.killpg(process.pid, signal.SIGINT)
        time.sleep(1.0)
    code, said = end(process)
    assert code == 130, said
    assert "stopped; 2 jobs: 2 killed; in " in said
    assert not any(RunPaths(sweep / name).last.exists() for name in "01")


@pytest.mark.parametrize(
    "number", long_but([signal.SIGINT, signal.SIGTERM], [signal.SIGINT], lambda number: number.name)
)
def test_jobs_that_run_one_after_the_other_are_counted_as_well(tmp_path: Path, number: int) -> None:
    sweep = tmp_path / "sweep"
    process = started(sweep, "MODEL_SEED=1,2,3", "N_EPOCH=3")
    begun = (RunPaths(sweep / "1").last, RunPaths(sweep / "2").pid)
    wait_for(lambda: any(path.exists() for path in begun), process)
    process.send_signal(number)
    code, said = end(process)
    assert code == 128 + number, said
    counted = re.search(r"stopped; 3 jobs: (\d) finished", said)
    assert counted, said
    assert int(counted[1]) >= 1
    again = re.search(r"\n  snnrun (sweep resume .*)\n", said)
    assert again, said
    done = here(*shlex.split(again[1]))
    assert done.returncode == 0, done.stderr
    assert all(load_run(sweep / name).finished for name in "012")
    if number == signal.SIGINT:
        last = [*overrides({**KEYS, "N_EPOCH": 3, "MODEL_SEED": 2})]
        assert here("train", *last, f"hydra.run.dir={tmp_path}/alone").returncode == 0
        assert_same_run(sweep / "1", tmp_path / "alone")


@needs_joblib
@pytest.mark.long
def test_jobs_of_joblib_end_with_a_checkpoint_when_who_started_them_is_killed(
    tmp_path: Path,
) -> None:
    sweep = tmp_path / "sweep"
    process = started(sweep, *JOBLIB, "MODEL_SEED=1,2,3")
    for name in "01":
        wait_for_epochs(sweep / name, 1, process)
    process.kill()
    end(process)  # its output ends with the last worker
    assert [job.state for job in read_sweep(sweep).jobs] == ["stopped", "stopped", "waiting"]
