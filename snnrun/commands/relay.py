"""Stopping the jobs of a multirun that run in processes of their own, which this one starts."""

from __future__ import annotations

import _thread
import os
import signal
import sys
import threading
import time
from collections import deque
from contextlib import suppress
from multiprocessing import resource_tracker
from pathlib import Path
from types import FrameType

from snnrun.record.owner import read_owner, running
from snnrun.record.paths import RunPaths
from snnrun.stop import NAMES

WAIT_S = 120.0  # for the checkpoints of jobs that were asked to stop
LOOK_S = 0.1
STOPPING = "stopping: the jobs at work write their checkpoints; Ctrl-C again ends them at once"


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
