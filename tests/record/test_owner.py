from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from snnrun.errors import RecordError
from snnrun.record import owner
from snnrun.record.owner import Owner, claim, read_owner, running
from snnrun.record.paths import RunPaths


def write_owner(paths: RunPaths, **changes: object) -> None:
    current = Owner.current()
    paths.root.mkdir(exist_ok=True)
    paths.pid.write_text(json.dumps({**vars(current), **changes}))


def test_run_is_running_while_it_is_claimed(tmp_path: Path) -> None:
    paths = RunPaths(tmp_path / "a" / "run")
    assert not running(paths)
    with claim(paths):
        assert running(paths)
        assert read_owner(paths) == Owner.current()
    assert not running(paths)
    assert not paths.pid.exists()


def test_claim_ends_with_an_error_too(tmp_path: Path) -> None:
    paths = RunPaths(tmp_path)
    with pytest.raises(ValueError, match="training"), claim(paths):
        raise ValueError("training")
    assert not paths.pid.exists()


def test_folder_of_a_living_process_cannot_be_claimed(tmp_path: Path) -> None:
    paths = RunPaths(tmp_path)
    sleeper = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    write_owner(paths, pid=sleeper.pid, started=owner._started(sleeper.pid))
    assert running(paths)
    refused = pytest.raises(RecordError, match=rf"process {sleeper.pid} on .* delete .*run\.pid$")
    with refused, claim(paths):
        pass
    sleeper.kill()
    sleeper.communicate()
    assert not running(paths)
    with claim(paths):
        assert read_owner(paths) == Owner.current()


def test_process_that_got_the_number_of_a_dead_one_is_another(tmp_path: Path) -> None:
    write_owner(RunPaths(tmp_path), started="1")
    assert not running(RunPaths(tmp_path))


def test_zombie_is_dead(tmp_path: Path) -> None:
    child = subprocess.Popen([sys.executable, "-c", "pass"])
    started = owner._started(child.pid)
    deadline = time.monotonic() + 10
    while owner._started(child.pid) and time.monotonic() < deadline:
        time.sleep(0.01)  # until it has ended; nobody has waited for it yet
    write_owner(RunPaths(tmp_path), pid=child.pid, started=started)
    assert not running(RunPaths(tmp_path))
    child.wait()


def test_process_on_another_machine_lives_while_its_heart_beats(tmp_path: Path) -> None:
    paths = RunPaths(tmp_path)
    write_owner(paths, machine="another", host="node7")
    assert running(paths)
    refused = pytest.raises(RecordError, match=r"node7 .* 60 s after its last sign of life")
    with refused, claim(paths):
        pass
    past = time.time() - owner.SILENCE_S - 1
    os.utime(paths.pid, (past, past))
    assert not running(paths)
    with claim(paths):
        pass


def test_heart_beats_while_the_run_is_claimed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(owner, "HEARTBEAT_S", 0.01)
    paths = RunPaths(tmp_path)
    with claim(paths):
        os.utime(paths.pid, (1, 1))
        deadline = time.monotonic() + 10
        while paths.pid.stat().st_mtime == 1 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert paths.pid.stat().st_mtime > 1


@pytest.mark.parametrize("text", ["", "{", "[]", '{"pid": 1}'])
def test_damaged_owner_file_counts_as_none(tmp_path: Path, text: str) -> None:
    paths = RunPaths(tmp_path)
    paths.pid.write_text(text)
    assert read_owner(paths) is None
    with claim(paths):
        assert running(paths)


def test_claim_leaves_the_file_of_a_new_owner_alone(tmp_path: Path) -> None:
    paths = RunPaths(tmp_path)
    with claim(paths):
        write_owner(paths, pid=1, started="1")
    assert paths.pid.exists()


def test_folder_that_cannot_be_made_is_an_error_that_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RecordError, match="cannot write"), claim(RunPaths(tmp_path / "file" / "a")):
        pass
