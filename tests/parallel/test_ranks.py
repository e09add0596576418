"""One run on several ranks: the bits of one process, and one message where it cannot be."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from mpi import environment, on_ranks
from runs import RECORDS, SMALL, TIMEOUT_S, assert_same_run, overrides, snnrun

pytestmark = pytest.mark.mpi
WORDS = overrides({**SMALL, **RECORDS, "N_EPOCH": 2})


def ranks(count: int, *words: str, **more: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        on_ranks(count, *words),
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
        env=environment() | more,
    )


def test_three_ranks_train_to_the_bits_of_one_process(tmp_path: Path) -> None:
    one, three = tmp_path / "one", tmp_path / "three"
    assert snnrun("train", *WORDS, f"hydra.run.dir={one}").returncode == 0
    done = ranks(3, "train", *WORDS, "backend.threads=2", f"hydra.run.dir={three}")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 ranks, each native, float32, 2 threads" in done.stdout
    assert done.stdout.count("finished") == 1  # rank 0 alone has the terminal
    assert_same_run(one, three)


def test_without_mpi4py_several_processes_do_not_begin(tmp_path: Path) -> None:
    (tmp_path / "mpi4py.py").write_text("raise ImportError\n")
    folder = tmp_path / "run"
    refused = ranks(
        2, "train", *WORDS, f"hydra.run.dir={folder}", PYTHONPATH=str(tmp_path), SNNRUN_TRACEBACK=""
    )
    assert refused.returncode == 2
    assert refused.stderr.count("mpiexec has started 2 processes of snnrun, which share") == 1
    assert "pip install 'snnrun[mpi]'" in refused.stderr
    assert not folder.exists()


def test_more_ranks_than_examples_of_a_mini_batch_are_refused(tmp_path: Path) -> None:
    refused = ranks(3, "train", *WORDS, "N_BATCH=2", f"hydra.run.dir={tmp_path / 'run'}")
    assert refused.returncode == 2
    assert "3 ranks, but a mini-batch of N_BATCH=2 has parts for 2" in refused.stderr
