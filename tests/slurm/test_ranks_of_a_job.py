"""A run whose ranks are the tasks of a job of a real Slurm."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest
from mpi import environment, missing, rank_of
from one_machine import Slurm
from runs import OPTIMISED, SMALL, assert_same_run, command, end, overrides, snnrun, wait_for_epochs

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(bool(missing()), reason=missing() or "MPI is there"),
]
SRUN = ["srun", "--mpi=pmi2"]


def start(*words: str) -> subprocess.Popen:
    return subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment()
    )


def test_tasks_of_a_step_on_two_nodes_train_to_the_bits_of_one_process(
    slurm: Slurm, tmp_path: Path
) -> None:
    words = overrides({**SMALL, "N_EPOCH": 2})
    one, two = tmp_path / "one", tmp_path / "two"
    assert snnrun("train", *words, f"hydra.run.dir={one}").returncode == 0
    line = [*SRUN, "-N", "2", "-n", "2", *command("train", *words, f"hydra.run.dir={two}")]
    code, said = end(start(*line))
    assert code == 0, said
    assert "2 ranks, each native" in said
    assert_same_run(one, two)


def test_where_a_task_is_killed_the_job_ends_with_a_message_and_can_go_on(
    slurm: Slurm, tmp_path: Path
) -> None:
    words = overrides({**SMALL, **OPTIMISED, "N_TRAIN": 3000, "N_EPOCH": 8})
    one, many = tmp_path / "one", tmp_path / "many"
    assert snnrun("train", *words, f"hydra.run.dir={one}").returncode == 0
    process = start(*SRUN, "-n", "3", *command("train", *words, f"hydra.run.dir={many}"))
    wait_for_epochs(many, 2, process)
    os.kill(rank_of(many, 2), signal.SIGKILL)
    code, said = end(process)
    assert code != 0
    assert "rank 2 (process" in said
    assert "has ended without a word: it was killed, or its node is lost" in said
    assert f"snnrun resume {many}" in said
    assert snnrun("resume", str(many)).returncode == 0
    assert_same_run(one, many)


def test_tasks_between_which_there_is_no_mpi_do_not_begin(slurm: Slurm, tmp_path: Path) -> None:
    words = [*overrides(SMALL), f"hydra.run.dir={tmp_path / 'run'}"]
    code, said = end(start("srun", "--mpi=none", "-n", "2", *command("train", *words)))
    assert code == 2
    assert said.count("srun has started 2 processes, but MPI of mpi4py sees 1") == 1
    assert "srun --mpi=pmi2" in said
    assert not (tmp_path / "run").exists()
