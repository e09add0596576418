"""A multirun as a whole: its folder, and how it is stopped.

The jobs of Hydra's own launcher run one after the other in this process, those of joblib and of
submitit_local at the same time in processes of their own. Asked to stop, all that are at work write
a checkpoint and no further one begins; the message counts them.
"""

from __future__ import annotations

import _thread
import os
import shutil
import signal
import sys
import threading
import time
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from multiprocessing import resource_tracker
from pathlib import Path
from types import FrameType
from typing import Any, ClassVar

from hydra.experimental.callback import Callback

import snnrun.commands.compose  # noqa: F401  registers what conf/config.yaml asks for
from snnrun.commands.arguments import parse
from snnrun.commands.jobs import asked_of
from snnrun.commands.slurm import Left
from snnrun.record.owner import read_owner, running
from snnrun.record.paths import ASKED, MULTIRUN, RunPaths
from snnrun.shell import command
from snnrun.stop import NAMES, stop_requests
from snnrun.sweeps.asked import write_once
from snnrun.sweeps.runs import find_runs
from snnrun.sweeps.sweep import Job

WAIT_S = 120.0  # for the checkpoints of jobs that were asked to stop
LOOK_S = 0.1
STOPPING = "stopping: the jobs at work write their checkpoints; Ctrl-C again ends them at once"
HERE = "BasicLauncher"
PROCESSES = ("JoblibLauncher", "LocalLauncher")  # the second is submitit_local
OF_A_SWEEPER = ("sweep", "hydra/sweeper", "hydra.sweeper.params")  # who alone knows the jobs


class SweepFolder(Callback):
    """Notes the folder of a multirun; conf/config.yaml names it, as Hydra tells nobody else."""

    latest: ClassVar[Path | None] = None
    given: ClassVar[tuple[str, tuple[str, ...]]] = ("", ())  # the command and its words
    relay: ClassVar[Relay | None] = None
    open: ClassVar[ExitStack] = ExitStack()

    def on_multirun_start(self, config: Any, **_: Any) -> None:
        """Note the folder, write there what was asked, and be ready to stop the jobs."""
        SweepFolder.latest = Path(config.hydra.sweep.dir).absolute()
        name, words = SweepFolder.given
        searched = "sweep" in config  # a search writes it once it is known to be the same
        if name == "train" and config.get("WRITE_TO_DISK", True) and not searched:
            write_once(SweepFolder.latest, asked_of(config, name, words))
        launcher = str(config.hydra.launcher.get("_target_", ""))
        if launcher.endswith(HERE):
            SweepFolder.open.enter_context(stop_requests())
        elif launcher.endswith(PROCESSES) and hasattr(signal, "pthread_sigmask"):
            relay = SweepFolder.relay = Relay(SweepFolder.latest)
            SweepFolder.open.callback(relay.close)


class Relay:
    """Stops jobs that run in processes which this one starts.

    Signals are blocked here, and so from their start in those processes, while they wait for a job
    as well; a job lets them in. What comes nevertheless, by a thread of a library that was there
    before, is noted by a handler. The jobs at work are asked to stop, and so are those that begin
    later. This process waits for them, as its end would be theirs. A second Ctrl-C, or WAIT_S
    seconds, end the wait.
    """

    def __init__(self, folder: Path) -> None:
        self.signal: int | None = None
        self._folder = folder
        self._came: deque[int] = deque()
        self._at_once = False
        self._told: set[int] = set()
        self._ended = threading.Event()
        numbers = [getattr(signal, name) for name in NAMES]
        self._handlers = {n: signal.getsignal(n) for n in numbers}
        if self._handlers[signal.SIGHUP] is signal.SIG_IGN:  # nohup
            del self._handlers[signal.SIGHUP]
        resource_tracker.ensure_running()  # which lets signals in again when it starts
        self._before = signal.pthread_sigmask(signal.SIG_BLOCK, self._handlers.keys())
        for number in self._handlers:
            signal.signal(number, self._note)
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop looking, and let signals in again as before."""
        self._ended.set()
        self._thread.join()
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        if self.signal is not None:  # nothing is at work any more, and the end was asked for
            signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_SETMASK, self._before)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self._at_once:
            raise KeyboardInterrupt
        self._came.append(number)

    def _look(self) -> None:
        last = float("inf")
        while not self._ended.wait(LOOK_S):
            while pending := signal.sigpending() & self._handlers.keys():
                self._came.append(signal.sigwait(pending))
            while self._came:
                number = self._came.popleft()
                if self.signal is None:
                    self.signal, last = number, time.monotonic() + WAIT_S
                    print(STOPPING, file=sys.stderr, flush=True)
                elif number == signal.SIGINT:
                    last = 0.0
            if self.signal is not None:
                self._tell()
            if time.monotonic() > last:
                self._at_once, last = True, float("inf")
                for pid in self._told:  # or the end of this process would wait for them
                    with suppress(OSError):
                        os.kill(pid, signal.SIGKILL)
                _thread.interrupt_main()

    def _tell(self) -> None:
        for file in self._folder.glob("**/.hydra/overrides.yaml"):  # of jobs that have begun
            paths = RunPaths(file.parents[1])
            owner = read_owner(paths)
            if owner is not None and owner.pid not in self._told and running(paths):
                self._told.add(owner.pid)
                with suppress(OSError):
                    os.kill(owner.pid, signal.SIGTERM)


@contextmanager
def whole_sweep(name: str, words: Sequence[str]) -> Iterator[None]:
    """Look after a multirun from its start to its end; of a single run nothing is done.

    Args:
        name: Of the command.
        words: What it was given, to say how to go on.
    """
    SweepFolder.latest = SweepFolder.relay = None
    SweepFolder.given = name, tuple(words)
    ended: BaseException | None = None
    try:
        with SweepFolder.open:
            try:
                yield
            except Left:
                raise
            except (SystemExit, KeyboardInterrupt) as error:
                ended = error
                raise
            except Exception:  # joblib's of processes that were ended at once, submitit's of all
                if SweepFolder.relay is None or SweepFolder.relay.signal is None:
                    raise
            finally:
                relay, folder = SweepFolder.relay, SweepFolder.latest
                if folder and name == "train" and (ended or (relay and relay.signal)):
                    print(_told(folder, words), flush=True)
        if relay is not None and relay.signal is not None:
            raise SystemExit(128 + relay.signal)
    finally:
        SweepFolder.open = ExitStack()
        _remove_empty_sweep(SweepFolder.latest)


def _told(folder: Path, words: Sequence[str]) -> str:
    """Return how the jobs of a multirun that was stopped stand, and how to go on with it."""
    found = Counter(map(_state, find_runs(folder)))
    total = _jobs(words)
    parts = [
        f"{found['finished']} finished",
        f"{found['kept']} stopped with a checkpoint",
        *([f"{found['failed']} failed"] if found["failed"] else []),
    ]
    known = sum(found[state] for state in ("finished", "kept", "failed"))
    if total is not None:
        parts.append(f"{max(0, total - known)} not begun")
    jobs = f"of {total} jobs " if total is not None else "jobs: "
    start = "hydra.sweep.dir="
    given = [word for word in words if not word.startswith(start)]
    return (
        f"multirun stopped: {jobs}{', '.join(parts)}. The same command in the same folder goes on "
        f"with all that are not finished:\n  {command('train', *given, f'{start}{folder}')}"
    )


def _state(run: Job) -> str:
    if run.state in ("exploded", "failed", "refused", "finished"):
        return "finished" if run.state == "finished" else "failed"
    return "kept" if RunPaths(run.folder).last.exists() else "begun"


def _jobs(words: Sequence[str]) -> int | None:
    """Return how many jobs the command line asks for; None where only a sweeper knows."""
    total = 1
    try:
        for override in parse([word for word in words if not word.startswith("-")]):
            if override.key_or_group.startswith(OF_A_SWEEPER):
                return None
            if override.is_sweep_override():
                total *= len(list(override.sweep_string_iterator()))
    except Exception:  # a glob, which needs the files to be counted
        return None
    return total


def _remove_empty_sweep(folder: Path | None) -> None:
    """Remove the folder of a multirun if in the end it holds nothing but Hydra's own file.

    So are those around it, up to ``outputs``, that are empty without it.
    """
    if not folder or not folder.is_dir() or {p.name for p in folder.iterdir()} - {MULTIRUN, ASKED}:
        return
    (folder / MULTIRUN).unlink(missing_ok=True)
    shutil.rmtree(folder / ASKED, ignore_errors=True)
    with suppress(OSError):  # not empty: there are other runs
        for place in (folder, *folder.parents):
            if place == Path.cwd() or (place != folder and "outputs" not in place.parts):
                break
            place.rmdir()
