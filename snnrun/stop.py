"""Requests to stop: Ctrl-C, and the signals by which schedulers, launchers and terminals ask.

SIGTERM comes from schedulers and `kill`, SIGUSR1 and SIGUSR2 warn of the end of a job's time or of
preemption, SIGHUP says that the terminal or the connection is gone.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

TIME_IS_UP = 124  # as the exit code of timeout(1)
NAMES = ("SIGINT", "SIGTERM", "SIGUSR1", "SIGUSR2", "SIGHUP")  # those that this system has
_asked: list[Stop] = []  # the blocks of `stop_requests` that are open, one within the other


class StopNow(BaseException):
    """A stop was asked for where there is nothing to save yet; see ``Stop.at_once``."""


class Pruned(BaseException):
    """A search gives up a run that does worse than others did; its checkpoint is written."""


class Stop:
    """Remembers that the run was asked to stop; the loop looks at it between batches.

    While ``at_once`` is true there is nothing to wait for: the first request raises StopNow.
    """

    def __init__(self) -> None:
        self.signal: int | None = None  # the first that came
        self.at_once = False
        self._came: list[int] = []
        self._ends: float | None = None  # when the time is up, by time.monotonic
        self._minutes = 0.0

    def __bool__(self) -> bool:
        return self.signal is not None or self.time_is_up

    def limit(self, minutes: float | None) -> None:
        """Ask for a stop in so many minutes (TIME_LIMIT); None: never."""
        self._minutes = minutes or 0.0
        self._ends = None if minutes is None else time.monotonic() + 60 * minutes

    @property
    def time_is_up(self) -> bool:
        """Whether it is the time limit that asks, and no signal."""
        return self.signal is None and self._ends is not None and time.monotonic() >= self._ends

    @property
    def name(self) -> str:
        """What asked, in words."""
        if self.signal is None:
            return f"TIME_LIMIT={self._minutes:g} (minutes)"
        return "Ctrl-C" if self.signal == signal.SIGINT else signal.Signals(self.signal or 15).name

    @property
    def exit_code(self) -> int:
        """The shell's convention: 128 + the signal's number; 124 when the time is up."""
        return TIME_IS_UP if self.signal is None else 128 + int(self.signal)

    def prepare(self) -> None:
        """Let requests raise StopNow from now on, and those that came before do so at once."""
        self.at_once = True
        if self.signal is not None:
            self._give_up()

    def note(self, number: int) -> None:
        """Remember a request."""
        again = number == signal.SIGINT and number in self._came
        self._came.append(number)
        if self.signal is None:
            self.signal = number
        if again:
            raise KeyboardInterrupt
        if self.at_once:
            self._give_up()

    def pass_on(self, handlers: dict[int, Any]) -> None:
        """Call the handlers of whoever started this process, for each signal that came."""
        for number in dict.fromkeys(self._came):
            handler = handlers.get(number)
            if callable(handler) and handler is not signal.default_int_handler:
                handler(number, None)

    def _give_up(self) -> None:
        self.at_once = False  # once is enough
        raise StopNow


@contextmanager
def requests_wait() -> Iterator[None]:
    """Let requests to stop at once wait until the end of the block, and raise them there."""
    here = threading.current_thread() is threading.main_thread()  # where signals are handled
    waiting = [stop for stop in _asked if stop.at_once and here]
    for stop in waiting:
        stop.at_once = False
    try:
        yield
    finally:
        for stop in waiting:
            stop.prepare()


@contextmanager
def stop_requests() -> Iterator[Stop]:
    """Turn signals into a request for the length of the block; a second Ctrl-C stops at once.

    Blocks may stand within each other: all are asked. What commands/multirun.py had blocked while
    no job runs is let in. Where a launcher has handlers of its own (the one of submitit puts a job
    back into the queue), they are called after a block that a request has ended, when everything is
    saved. SIGHUP stays ignored where it is, as `nohup` wants it.
    """
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop  # only the main thread may set handlers; a launcher's worker gets no signals
        return
    if _asked:
        stop.signal = _asked[-1].signal
    _asked.append(stop)
    before = {} if len(_asked) > 1 else _listen()
    blocked = _unblock(before)
    ended = False
    try:
        yield stop
    except SystemExit:
        ended = True
        raise
    finally:
        if blocked:
            signal.pthread_sigmask(signal.SIG_BLOCK, blocked)
        _asked.remove(stop)
        for number, handler in before.items():
            signal.signal(number, handler)
        if ended:
            stop.pass_on(before)


def _listen() -> dict[int, Any]:
    """Set the handlers, and return those that were set before."""
    numbers = [getattr(signal, name) for name in NAMES if hasattr(signal, name)]
    handlers = {number: signal.getsignal(number) for number in numbers}
    mine = {
        number: handler
        for number, handler in handlers.items()
        if handler is not None  # set by other means than Python's
        and (handler, number) != (signal.SIG_IGN, getattr(signal, "SIGHUP", None))
    }
    for number in mine:
        signal.signal(number, _note)
    return mine


def _unblock(handlers: dict[int, Any]) -> set[int]:
    """Let in those of these signals that are blocked, and return which they are."""
    if not handlers or not hasattr(signal, "pthread_sigmask"):
        return set()
    blocked = handlers.keys() & signal.pthread_sigmask(signal.SIG_BLOCK, ())
    signal.pthread_sigmask(signal.SIG_UNBLOCK, blocked)
    return set(blocked)


def _note(number: int, frame: FrameType | None) -> None:
    for stop in list(_asked):
        stop.note(number)
