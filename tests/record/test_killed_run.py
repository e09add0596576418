"""Real processes, killed at random moments: folders stay readable, a resume gives the same bits."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from runs import assert_same_run

from snnrun.files import remove_stale
from snnrun.record import load_run
from snnrun.record.owner import claim
from snnrun.record.paths import SPIKES, WEIGHTS, RunPaths
from snnrun.streams import stream
from snnrun.training import checkpoint

SCRIPT = Path(__file__).with_name("killed_run.py")
EPOCHS = 20
KILLS = 6
AT_ONCE = 1e-6  # s
MOST_TRIALS = 10  # of one process before its kill; with those after it, all are fewer than a run's


def run(folder: Path, *moment: object) -> int:
    """Go on with a run, to its end or until it is killed at a moment; return the exit code."""
    command = [sys.executable, str(SCRIPT), str(folder), str(EPOCHS), *map(str, moment)]
    return subprocess.run(command, check=False).returncode


def kill(folder: Path, trials: int, seconds: float) -> None:
    """Kill a run so long after so many trials."""
    assert run(folder, trials, seconds) == -signal.SIGALRM


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("undisturbed") / "run"
    assert run(folder) == 0
    return folder


@pytest.mark.long
def test_killed_and_resumed_run_has_the_same_bits(tmp_path: Path, undisturbed: Path) -> None:
    folder = tmp_path / "run"
    paths = RunPaths(folder)
    kill(folder, 1, AT_ONCE)  # before there is a checkpoint
    readable(paths)
    moments = stream(5, "kill moments")
    for _ in range(KILLS):
        kill(folder, int(moments.integers(0, MOST_TRIALS)), moments.uniform(AT_ONCE, 0.03))
        readable(paths)
    assert run(folder) == 0

    assert_same_run(undisturbed, folder, checkpoints=False)
    last = [checkpoint.load(RunPaths(f).last) for f in (undisturbed, folder)]
    np.testing.assert_array_equal(last[0]["weights"], last[1]["weights"])
    assert len(load_run(folder).sessions) > 2


def readable(paths: RunPaths) -> None:
    """Check everything that a killed process left behind."""
    found = load_run(paths.root)
    assert not found.running
    for epoch, trial in found.recorded()[SPIKES]:
        assert len(found.spikes(epoch, trial, "hidden")) == 5
    for epoch, trial in found.recorded()[WEIGHTS]:
        assert found.weights(epoch, trial)["in_to_hid"].shape == (6, 7)
    if paths.last.exists():
        cursor = checkpoint.load(paths.last)
        assert len(found.epochs.get("epoch", ())) >= cursor["epoch"], (
            "checkpoint ahead of the record"
        )


def test_leftovers_of_a_killed_process_are_removed_at_the_next_start(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    kill(folder, 2, AT_ONCE)
    paths = RunPaths(folder)
    leftover = folder / ".run.h5.0123abcd.tmp"
    leftover.write_bytes(b"half")
    assert paths.pid.exists()
    with claim(paths):
        assert not leftover.exists()
        assert [remove_stale(f) for f in paths.folders()] == [[]] * len(paths.folders())
    assert not paths.pid.exists()
