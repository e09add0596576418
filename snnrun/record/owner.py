"""Which process works on a run folder, so that two never do, and a dead one is known to be dead."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from snnrun import slurm
from snnrun.errors import RecordError, told
from snnrun.files import atomic_file, one_at_a_time, remove_stale, write_error
from snnrun.record.paths import RunPaths
from snnrun.shell import command, quoted

HEARTBEAT_S = 10.0
SILENCE_S = 60.0  # after this long without a heartbeat, a process on another machine counts as dead


@dataclass(frozen=True, kw_only=True)
class Owner:
    """A process, named so that it is not confused with a later one that got the same number."""

    pid: int
    started: str  # in the units of the system; only compared
    machine: str  # boot id and process namespace: the same machine, not started anew since
    host: str
    job: str = ""  # of Slurm, as squeue and scancel name it; empty outside of one

    @classmethod
    def current(cls) -> Owner:
        """Return this process."""
        pid = os.getpid()
        return cls(
            pid=pid,
            started=_started(pid),
            machine=_machine(),
            host=os.environ.get("SLURMD_NODENAME") or socket.gethostname(),
            job=slurm.job(),
        )


def read_owner(paths: RunPaths) -> Owner | None:
    """Return the process that a run folder names, dead or alive; None if it names none."""
    try:
        return Owner(**json.loads(paths.pid.read_text()))
    except (OSError, ValueError, TypeError):
        return None


def running(paths: RunPaths) -> bool:
    """Tell whether a process works on the run now.

    On this machine the system knows. Of another machine (a compute node that shares the disk) only
    the heartbeat is seen: the time at which ``run.pid`` was last touched.
    """
    owner = read_owner(paths)
    if owner is None:
        return False
    if owner.machine == _machine():
        return _started(owner.pid) == owner.started
    try:
        return time.time() - paths.pid.stat().st_mtime < SILENCE_S
    except OSError:
        return False


@contextmanager
def claim(paths: RunPaths) -> Iterator[None]:
    """Make this process the owner of the run folder for the length of the block.

    Creates the folder, removes what a dead process left half written, and raises RecordError if
    another process is at work in it. Within a block of the same process it changes nothing.
    """
    if read_owner(paths) == Owner.current():
        yield
        return
    try:
        paths.root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise write_error(paths.root, error) from error
    with one_at_a_time(paths.root):
        _refuse_if_running(paths)
        with atomic_file(paths.pid) as file:
            file.write(json.dumps(asdict(Owner.current()), indent=1).encode())
    for folder in paths.folders():
        remove_stale(folder)
    stop = threading.Event()
    try:
        with told():
            threading.Thread(target=_beat, args=(paths.pid, stop), daemon=True).start()
        yield
    finally:
        stop.set()
        if read_owner(paths) == Owner.current():
            with suppress(OSError):
                paths.pid.unlink()


@contextmanager
def at_rest(paths: RunPaths) -> Iterator[None]:
    """Let no process begin to work on a run folder, which exists, for the length of the block.

    Nothing is written, so the folder may be somebody else's. Raises RecordError if a process is at
    work in it.
    """
    with one_at_a_time(paths.root):
        owner = read_owner(paths)
        if owner is not None and running(paths):
            raise _at_work(paths, owner)
        yield


def refuse_old_run(paths: RunPaths) -> None:
    """Raise RecordError if the folder holds a run: a new one would mix with what is left of it."""
    if paths.run.exists() or paths.last.exists():
        raise RecordError(
            f"{paths.root}: holds a run already. Go on with it by "
            f"`{command('resume', paths.root)}`, or choose another folder"
        )


def _refuse_if_running(paths: RunPaths) -> None:
    owner = read_owner(paths)
    if owner is not None and owner != Owner.current() and running(paths):
        raise _at_work(paths, owner)


def _at_work(paths: RunPaths, owner: Owner) -> RecordError:
    here = owner.machine == _machine()
    after = "" if here else f"; {SILENCE_S:.0f} s after its last sign of life it counts as dead"
    return RecordError(
        f"{paths.root}: process {owner.pid} on {owner.host} is working on this run. Wait until it "
        f"has ended, or stop it there (kill {owner.pid}){after}. If it is surely dead, delete "
        f"{quoted(str(paths.pid))}"
    )


def _beat(path: Path, stop: threading.Event) -> None:
    while not stop.wait(HEARTBEAT_S):
        with suppress(OSError):
            os.utime(path)


def _machine() -> str:
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return socket.gethostname()


def _started(pid: int) -> str:
    """Return when a process was started, or an empty string if it has ended."""
    try:
        state, *fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return "" if state in "ZX" else fields[18]
    except OSError:
        if Path("/proc/self").exists():
            return ""
    try:
        command = ["ps", "-o", "lstart=", "-p", str(pid)]
        return subprocess.run(command, capture_output=True, text=True, timeout=5).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""
