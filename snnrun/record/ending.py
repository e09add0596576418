"""How a run ended: a small file in its folder, which is there even where nothing else was written.

A run that has finished says so in ``run.h5``. Of one that was killed nothing says anything.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass

from snnrun.errors import NumericalError, RecordError, SnnrunError
from snnrun.files import atomic_file
from snnrun.record.owner import running
from snnrun.record.paths import RunPaths
from snnrun.stop import Pruned

PRUNED = "pruned"
STATES = {
    "running": "a process works on it now",
    "finished": "all its epochs are done, or it stopped early",
    "stopped": "Ctrl-C, a signal or TIME_LIMIT ended it; snnrun resume goes on with it",
    PRUNED: "a search gave it up, as others did better; snnrun resume trains it to its end",
    "exploded": "its numbers were no longer finite",
    "failed": "an error ended it while it trained",
    "refused": "an error ended it before it trained: a setting, the data, the build",
    "killed": "it ended and nothing says why: killed, or the machine went down",
    "unreadable": "its run.h5 cannot be read",
}


@dataclass(frozen=True)
class End:
    """How a run ended: one of STATES, and the message of the error if it was one."""

    state: str
    reason: str = ""


class Ending:
    """Where a process is with its run: whether what ends it now ends the training."""

    def __init__(self, paths: RunPaths) -> None:
        self._paths = paths
        self.trains = False

    def training(self) -> None:
        """Say that the training begins: how the run ended before no longer counts."""
        self.trains = True
        with suppress(OSError):
            self._paths.end.unlink()


@contextmanager
def noting_end(paths: RunPaths) -> Iterator[Ending]:
    """Note what ends the block, if it is an error or a stop.

    What keeps a run from being resumed leaves it as it ended before.
    """
    ending, begun_before = Ending(paths), paths.run.exists()
    try:
        yield ending
    except BaseException as error:
        if isinstance(error, SnnrunError):
            error.in_training = ending.trains
        if ending.trains or not begun_before:
            write_end(paths, _end_by(error, ending.trains))
        raise


def write_end(paths: RunPaths, end: End) -> None:
    """Write how a run ended; a disk that takes nothing more must not hide why."""
    with suppress(OSError, RecordError), atomic_file(paths.end) as file:
        file.write(json.dumps(asdict(end), indent=1).encode("utf-8", "backslashreplace"))


def read_end(paths: RunPaths, finished: bool) -> End:
    """Return how a run ended; ``finished`` is what ``run.h5`` says, false where there is none."""
    if running(paths):
        return End("running")
    if finished:
        return End("finished")
    try:
        return End(**json.loads(paths.end.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return End("killed")


def _end_by(error: BaseException, trains: bool) -> End:
    if isinstance(error, SnnrunError):
        state = "exploded" if isinstance(error, NumericalError) else "failed"
        return End(state if trains else "refused", str(error))
    if isinstance(error, Exception):
        return End("failed", f"{type(error).__name__}: {error}")
    if isinstance(error, Pruned):
        return End(PRUNED, str(error))
    return End("stopped", "" if trains else "before it trained")
