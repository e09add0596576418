"""Processes of joblib end with the one that started them, even where that was killed.

By themselves they would go on, and then wait for jobs for ever. What is at work writes a checkpoint
first.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

LOOK_S = 1.0
_watching: list[threading.Thread] = []
_at_work = threading.Event()
_orphaned = threading.Event()


@contextmanager
def ending_with_parent() -> Iterator[bool]:
    """Do a job; the value says whether it may begin, as the parent is still there."""
    if not _watching:
        _watching.append(threading.Thread(target=_watch, args=(os.getppid(),), daemon=True))
        _watching[0].start()
    _at_work.set()
    try:
        yield not _orphaned.is_set()
    finally:
        _at_work.clear()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(LOOK_S)
    _orphaned.set()
    while _at_work.is_set():
        os.kill(os.getpid(), signal.SIGTERM)  # is let in by a job once it can stop
        time.sleep(LOOK_S)
    os._exit(1)
