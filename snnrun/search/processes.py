"""Several processes that search together: each is the same command, started in the same folder."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from snnrun.errors import ResourceError, told
from snnrun.files import make_folders
from snnrun.search.optuna import optuna
from snnrun.search.study import WORKERS, Book
from snnrun.stop import stop_requests

CHILD = "SNNRUN_SEARCH_PROCESS"  # is set for processes that another one has started
LOOK_S = 0.3
LAST_LINES = 15


def is_one_of_several() -> bool:
    """Return whether this process was started by ``search``."""
    return CHILD in os.environ


def stop_with_parent() -> None:
    """Stop this process when the one that started it is gone, which ends its input."""

    def wait() -> None:
        with suppress(OSError):
            os.read(0, 1)  # nothing is ever written to it
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait, daemon=True).start()


def search(book: Book, count: int, ended: Callable[[Any, int], None]) -> None:
    """Let processes work on the trials until none is left.

    Args:
        book: The trials.
        count: How many processes.
        ended: Is told the study and the number of each trial that has ended.

    Raises:
        SystemExit: A stop was asked for; the trials at work have written their checkpoints.
        ResourceError: A process ended with an error.
    """
    seen = set(_ended(book))
    with stop_requests() as stop, ExitStack() as stack, told():
        logs = [book.folder / WORKERS / f"process{place}.log" for place in range(count)]
        make_folders(book.folder / WORKERS)
        children = [stack.enter_context(_started(log)) for log in logs]
        asked = False
        while alive := [child for child in children if child.poll() is None]:
            if stop and not asked:
                asked = True
                for child in alive:
                    _ask(child)
            with suppress(subprocess.TimeoutExpired):
                alive[0].wait(LOOK_S)
            _tell(book, seen, ended)
        _tell(book, seen, ended)
        if stop:
            raise SystemExit(stop.exit_code)
    for child, log in zip(children, logs, strict=True):
        if child.returncode != 0:
            _tell_failure(child.returncode, log, book.is_done())


def _tell_failure(code: int, log: Path, done: bool) -> None:
    """Say that a process failed; it is an error where the others have not done its work."""
    ended = f"a process of the search ended with code {code}"
    if done:
        print(
            f"snnrun: {ended}; the others took over its trial. Its output: {log}", file=sys.stderr
        )
        return
    last = "\n".join(log.read_text(errors="replace").splitlines()[-LAST_LINES:])
    raise ResourceError(f"{ended}. The last lines of {log}:\n{last}")


@contextmanager
def _started(log: Path) -> Iterator[subprocess.Popen]:
    """Start the command of this process once more; it ends with the block at the latest."""
    with log.open("ab") as output:
        child = subprocess.Popen(
            [sys.executable, "-m", "snnrun", "train", *sys.argv[1:]],
            env=os.environ | {CHILD: "1"},
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        yield child
    finally:
        assert child.stdin is not None
        child.stdin.close()
        child.wait()


def _ask(child: subprocess.Popen) -> None:
    with suppress(OSError):
        child.send_signal(signal.SIGTERM)


def _ended(book: Book) -> list[int]:
    states = optuna().trial.TrialState
    over = (states.COMPLETE, states.PRUNED, states.FAIL)
    return [trial.number for trial in book.study.get_trials(deepcopy=False, states=over)]


def _tell(book: Book, seen: set[int], ended: Callable[[Any, int], None]) -> None:
    for number in _ended(book):
        if number not in seen:
            seen.add(number)
            ended(book.study, number)
