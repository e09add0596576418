"""Compilers as processes, which end with the one that started them."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from snnrun.stop import requests_wait


def start(command: Sequence[str], folder: Path) -> subprocess.Popen[str]:
    """Start a compiler in ``folder``; what it says can be read from ``stdout``.

    It has a session of its own: Ctrl-C comes to us alone, and its own processes end with it.
    """
    process = None
    try:
        with requests_wait():  # or one that is half started would be nobody's
            process = subprocess.Popen(
                command,
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                start_new_session=True,
            )
    except BaseException:
        if process is not None:
            end(process)
        raise
    return process


def run(command: Sequence[str], folder: Path) -> tuple[int, str]:
    """Run a compiler to its end, and return its exit code and what it said."""
    with start(command, folder) as process:
        try:
            said, _ = process.communicate()
        except BaseException:
            end(process)
            raise
    return process.returncode, said


def end(process: subprocess.Popen[str]) -> None:
    """End a compiler and all that it has started; it removes its temporary files if it can."""
    for number in ("SIGTERM", "SIGKILL"):
        if hasattr(os, "killpg"):
            with suppress(OSError):
                os.killpg(process.pid, getattr(signal, number))
        else:
            process.kill()
        with suppress(subprocess.TimeoutExpired):
            process.wait(5)
            return
