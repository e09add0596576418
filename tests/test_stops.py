"""Real signals to real runs: before the first mini-batch, ignored ones, those of a launcher."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from runs import (
    LONG,
    OPTIMISED,
    SMALL,
    command,
    end,
    here,
    overrides,
    start,
    wait_for,
    wait_for_epochs,
)

from snnrun.backends.native import processes
from snnrun.record import load_run
from snnrun.record.paths import RunPaths
from snnrun.stop import StopNow, stop_requests
from snnrun.training import checkpoint

SLOW = """#!{python}
import os, sys, time
if '--version' in sys.argv:
    print('g++ slow')
elif os.fork() == 0:  # as g++ starts cc1plus
    open({compiling!r}, 'a').write(f'{{os.getppid()}} {{os.getpid()}} ')
    time.sleep(60)
else:
    os.wait()
"""


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def wait_for_end(pids: list[int]) -> None:
    """Wait until processes that were sent a signal are gone, which takes the system a moment."""
    limit = time.monotonic() + 10
    while any(map(alive, pids)):
        assert time.monotonic() < limit, "a process of the compiler goes on"
        time.sleep(0.02)


@pytest.mark.parametrize(
    ("number", "name"),
    [
        (signal.SIGINT, "Ctrl-C"),
        pytest.param(signal.SIGTERM, "SIGTERM", marks=pytest.mark.long),
        pytest.param(signal.SIGUSR1, "SIGUSR1", marks=pytest.mark.long),
        pytest.param(signal.SIGUSR2, "SIGUSR2", marks=pytest.mark.long),
        pytest.param(signal.SIGHUP, "SIGHUP", marks=pytest.mark.long),
    ],
)
def test_a_signal_while_the_compiler_runs_ends_it_and_the_run_with_a_message(
    tmp_path: Path, number: int, name: str
) -> None:
    slow, compiling, folder = tmp_path / "slow", tmp_path / "compiling", tmp_path / "run"
    slow.write_text(SLOW.format(python=sys.executable, compiling=str(compiling)))
    slow.chmod(0o755)
    cache = tmp_path / "cache"
    words = command(
        "train",
        *overrides(SMALL),
        f"backend.compiler={slow}",
        f"backend.cache_dir={cache}",
        f"hydra.run.dir={folder}",
    )
    process = subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )
    wait_for(lambda: compiling.exists() and len(compiling.read_text().split()) >= 2, process)
    os.killpg(process.pid, number)  # as a terminal does it
    code, said = end(process)
    assert code == 128 + number, said
    assert f"stopped: by {name} before the first mini-batch; nothing is lost" in said
    assert f"snnrun resume {folder}" in said
    assert "error" not in said
    wait_for_end([int(pid) for pid in compiling.read_text().split()])
    assert not RunPaths(folder).pid.exists()
    assert list(cache.iterdir()) == []  # nothing half built
    assert "stopped: by" in RunPaths(folder).log.read_text()
    own = ["backend.compiler=null", "backend.cache_dir=null"]
    done = here("resume", str(folder), *own, "N_EPOCH=1")
    assert done.returncode == 0, done.stderr


def test_a_compiler_that_is_just_being_started_is_ended_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    popen, started = subprocess.Popen, []

    def asked_to_stop(*words: Any, **options: Any) -> subprocess.Popen:
        started.append(popen(*words, **options))
        os.kill(os.getpid(), signal.SIGTERM)
        return started[0]

    monkeypatch.setattr(processes.subprocess, "Popen", asked_to_stop)
    with stop_requests() as stop:
        stop.prepare()
        with pytest.raises(StopNow):
            processes.run(["sleep", "60"], tmp_path)
    assert started[0].poll() == -signal.SIGTERM


@pytest.mark.long
def test_a_run_that_is_started_with_nohup_survives_the_end_of_its_terminal(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    words = ["nohup", *command("train", *overrides(LONG), f"hydra.run.dir={folder}")]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    wait_for_epochs(folder, 1, process)
    process.send_signal(signal.SIGHUP)
    wait_for_epochs(folder, 10, process)
    process.send_signal(signal.SIGTERM)
    assert end(process)[0] == 143


LAUNCHER = """
import signal, sys
from snnrun.cli import main
from snnrun.record.paths import RunPaths
folder = RunPaths({folder!r})
def requeue(number, frame):
    print("requeued with the checkpoint", folder.last.exists(), "and free", not folder.pid.exists())
    sys.exit(99)
def bypass(number, frame):
    print("bypassed")
signal.signal(signal.SIGUSR2, requeue)
signal.signal(signal.SIGTERM, bypass)
sys.exit(main({words!r}))
"""


@pytest.mark.parametrize("first", [(signal.SIGTERM,), pytest.param((), marks=pytest.mark.long)])
def test_a_launchers_own_handler_is_called_when_everything_is_saved(
    tmp_path: Path, first: tuple[int, ...]
) -> None:
    folder = tmp_path / "run"
    words = ["train", *overrides(LONG), f"hydra.run.dir={folder}"]
    process = subprocess.Popen(
        [sys.executable, "-c", LAUNCHER.format(folder=str(folder), words=words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    wait_for_epochs(folder, 1, process)
    for number in (*first, signal.SIGUSR2):  # Slurm may send both at once
        process.send_signal(number)
    code, said = end(process)
    assert code == 99, said
    assert "requeued with the checkpoint True and free True" in said
    assert checkpoint.load(RunPaths(folder).last)["epoch"] >= 1


@pytest.mark.long
def test_a_signal_during_the_final_test_lets_the_run_end(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    keys = {**SMALL, **OPTIMISED, "N_EPOCH": 1, "N_TEST": 100000}
    process = start("train", *overrides(keys), f"hydra.run.dir={folder}")
    wait_for_epochs(folder, 1, process)
    process.send_signal(signal.SIGTERM)
    code, said = end(process)
    assert code == 0, said
    assert load_run(folder).finished
