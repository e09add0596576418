"""A script on several ranks: its calls are shared, and all else is done by rank 0."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from mpi import environment, mpiexec
from runs import SMALL, TIMEOUT_S, assert_same_run

pytestmark = pytest.mark.mpi
SCRIPT = f"""
import os, sys, snnrun
rank = os.environ.get("PMI_RANK") or os.environ.get("OMPI_COMM_WORLD_RANK", "")
keys = {SMALL!r} | {{"N_EPOCH": 1}}
if "own seeds" in sys.argv:
    keys["MODEL_SEED"] = int(rank)
if rank != "1" or "without rank 1" not in sys.argv:
    run = snnrun.train(keys, sys.argv[1], progress=False, on_epoch=lambda row: print("epoch"))
    run = snnrun.resume(run, {{"N_EPOCH": 2}}, progress=False)
    print("accuracy", snnrun.evaluate(run, "validation").accuracy == run.accuracy["validation"])
if "fails" in sys.argv:
    raise ValueError("mine")
"""


def script(folder: Path) -> str:
    path = folder / "script.py"
    path.write_text(SCRIPT)
    return str(path)


def ranks(folder: Path, *words: str, timeout: float = TIMEOUT_S) -> subprocess.CompletedProcess:
    line = [str(mpiexec()), "-n", "2", sys.executable, script(folder), str(folder / "run"), *words]
    return subprocess.run(
        line, capture_output=True, text=True, timeout=timeout, check=False, env=environment()
    )


def test_ranks_share_what_a_script_calls_and_the_first_goes_on_with_it(tmp_path: Path) -> None:
    line = [sys.executable, script(tmp_path), str(tmp_path / "alone")]
    subprocess.run(line, check=True, env=environment())
    done = ranks(tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines() == ["epoch", "accuracy True"]
    assert "2 ranks, each native" in (tmp_path / "run" / "run.log").read_text()
    assert_same_run(tmp_path / "alone", tmp_path / "run")


@pytest.mark.long
def test_an_error_of_the_script_ends_all_ranks(tmp_path: Path) -> None:
    done = ranks(tmp_path, "fails")
    assert done.returncode != 0
    assert done.stderr.count("ValueError: mine") == 1


@pytest.mark.long
def test_ranks_that_ask_for_different_runs_are_refused_with_how_to_have_them(
    tmp_path: Path,
) -> None:
    refused = ranks(tmp_path, "own seeds")
    assert refused.returncode != 0
    assert refused.stderr.count("the ranks must be alike:\n  call: rank 0 (process") == 1
    assert "'MODEL_SEED': 0" in refused.stderr
    assert "To have each do its own, set SNNRUN_MPI=0" in refused.stderr
    assert not (tmp_path / "run").exists()


@pytest.mark.long
def test_a_rank_that_waits_for_others_in_vain_says_so(tmp_path: Path) -> None:
    with pytest.raises(subprocess.TimeoutExpired) as waited:
        ranks(tmp_path, "without rank 1", timeout=20)
    said = (waited.value.stderr or b"").decode()
    assert "rank 0 waits for ranks that have not called snnrun yet" in said
