"""Requests to stop: Ctrl-C, SIGTERM (schedulers, kill) and SIGUSR1 (a warning before the end)."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Stop:
    """Remembers that the run was asked to stop; the loop looks at it between batches."""

    def __init__(self) -> None:
        self.signal: int | None = None

    def __bool__(self) -> bool:
        return self.signal is not None

    @property
    def name(self) -> str:
        """What asked, in words."""
        return "Ctrl-C" if self.signal == signal.SIGINT else signal.Signals(self.signal or 15).name

    @property
    def exit_code(self) -> int:
        """The shell's convention: 128 + the signal's number."""
        return 128 + int(self.signal or 0)


@contextmanager
def stop_requests() -> Iterator[Stop]:
    """Turn signals into a request for the length of the block; a second Ctrl-C stops at once."""
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop  # only the main thread may set handlers; a launcher's worker gets no signals
        return

    def note(number: int, frame: FrameType | None) -> None:
        if stop.signal == signal.SIGINT == number:
            raise KeyboardInterrupt
        stop.signal = number

    wanted = [signal.SIGINT, signal.SIGTERM]
    if hasattr(signal, "SIGUSR1"):
        wanted.append(signal.SIGUSR1)
    before = {number: signal.signal(number, note) for number in wanted}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
