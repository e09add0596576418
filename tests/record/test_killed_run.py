"""Real processes, killed at random moments: folders stay readable, a resume gives the same bits."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from snnrun.record import load_run
from snnrun.record.atomic import remove_stale
from snnrun.record.owner import claim
from snnrun.record.paths import SPIKES, WEIGHTS, RunPaths
from snnrun.record.reader import comparable
from snnrun.streams import stream
from snnrun.training import checkpoint

SCRIPT = Path(__file__).with_name("killed_run.py")
EPOCHS = 20
KILLS = 6


def start(folder: Path) -> subprocess.Popen:
    command = [sys.executable, str(SCRIPT), str(folder), str(EPOCHS)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def kill_after(folder: Path, seconds: float) -> bool:
    """Kill a run this long after its start; return whether it had not ended before."""
    process = start(folder)
    time.sleep(seconds)
    process.send_signal(signal.SIGKILL)
    process.stdout.close()
    return process.wait() == -signal.SIGKILL


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("undisturbed") / "run"
    process = start(folder)
    assert process.wait() == 0
    process.stdout.close()
    return folder


def test_killed_and_resumed_run_has_the_same_bits(tmp_path: Path, undisturbed: Path) -> None:
    folder = tmp_path / "run"
    paths = RunPaths(folder)
    moments = stream(5, "kill moments").uniform(0.0, 0.1, KILLS)
    kills = 0
    for moment in moments:
        kills += kill_after(folder, moment)
        readable(paths)
    assert kills > 1
    process = start(folder)
    assert process.wait() == 0
    process.stdout.close()

    expected, found = comparable(undisturbed), comparable(folder)
    assert expected.keys() == found.keys()
    for name, values in expected.items():
        assert values.dtype == found[name].dtype, name
        np.testing.assert_array_equal(values, found[name], err_msg=name)
    last = [checkpoint.load(RunPaths(f).last) for f in (undisturbed, folder)]
    np.testing.assert_array_equal(last[0]["weights"], last[1]["weights"])
    assert len(load_run(folder).sessions) > 1


def readable(paths: RunPaths) -> None:
    """Check everything that a killed process left behind."""
    run = load_run(paths.root)
    assert not run.running
    for epoch, trial in run.recorded()[SPIKES]:
        assert len(run.spikes(epoch, trial, "hidden")) == 5
    for epoch, trial in run.recorded()[WEIGHTS]:
        assert run.weights(epoch, trial)["in_to_hid"].shape == (6, 7)
    if paths.last.exists():
        cursor = checkpoint.load(paths.last)
        assert len(run.epochs.get("epoch", ())) >= cursor["epoch"], "checkpoint ahead of the record"


def test_leftovers_of_a_killed_process_are_removed_at_the_next_start(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    assert kill_after(folder, 0.02)
    paths = RunPaths(folder)
    leftover = folder / ".run.h5.0123abcd.tmp"
    leftover.write_bytes(b"half")
    assert paths.pid.exists()
    with claim(paths):
        assert not leftover.exists()
        assert [remove_stale(f) for f in paths.folders()] == [[]] * len(paths.folders())
    assert not paths.pid.exists()
