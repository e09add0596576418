"""When checkpoints are written, and in which order, so that a kill at any moment loses nothing.

The record is written before the checkpoint that follows it, so a record on disk is never behind its
checkpoint; what is ahead is dropped on resuming and computed again, to the same bits. The best
checkpoint is written before the last one, so resuming never needs a best that is not on disk.
Epochs of less than a second would spend their time on the disk; so writing takes at most a share of
the time.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from snnrun.backends.base import Backend
from snnrun.config import Config
from snnrun.record.paths import RunPaths
from snnrun.record.writer import RunRecord
from snnrun.training.checkpoint import load, save
from snnrun.training.state import State, to_checkpoint

SHARE = 0.05  # of the run's time that writing may take


class Keeper:
    """Writes the record and the checkpoints of a run.

    ``kept`` is told, each time that it has written, how many epochs of the run are on disk; where
    nothing is kept on disk, how many are done.
    """

    def __init__(
        self,
        config: Config,
        paths: RunPaths,
        backend: Backend,
        record: RunRecord,
        resumed: State | None = None,
        kept: Callable[[int], None] = lambda epochs: None,
    ) -> None:
        self._config = config
        self._paths = paths
        self._backend = backend
        self._record = record
        self._tell = kept
        self._best: dict[str, Any] | None = None  # not on disk yet; where nothing is kept, ever
        self._next = 0.0
        # where the last checkpoint goes on: epoch and mini-batch
        self._kept = (resumed.epoch, resumed.batch) if resumed else None
        paths.checkpoints.mkdir(parents=True, exist_ok=True)

    def epoch_ended(self, state: State, *, best: bool, last: bool) -> None:
        """Keep the state at the end of an epoch, now or, if epochs are short, some epochs later."""
        if best:
            self._best = to_checkpoint(state, self._backend)
        if not last and time.monotonic() < self._next:
            return
        started = time.monotonic()
        self._write(state, always=last and self._paths.last.exists())  # of a stop: never stale
        spent = time.monotonic() - started
        self._next = started + spent / SHARE

    def loaded(self, state: State) -> None:
        """Keep the weights that a run starts from: on resuming another run may be the newest."""
        self._write(state)

    def interrupted(self, state: State) -> None:
        """Keep the state in the middle of an epoch, whatever the settings say."""
        self._write(state, always=True)

    def best(self, epoch: int) -> dict[str, Any] | None:
        """Return the checkpoint of the best epoch, if that is ``epoch`` and it is still there."""
        best = self._best
        if best is None and self._config.WRITE_TO_DISK and self._paths.best.exists():
            best = load(self._paths.best)
        return best if best is not None and best["epoch"] == epoch + 1 else None

    def what_is_kept(self) -> str:
        """Return where to go back to, for an error message."""
        if not self._config.WRITE_TO_DISK:
            return "Nothing was kept, as WRITE_TO_DISK is false."
        if self._kept is None:
            return "No checkpoint was written before."
        epoch, batch = self._kept
        if batch:
            return f"The last checkpoint is of epoch {epoch}, before its trial {batch}."
        if epoch:
            return f"The last checkpoint is of the end of epoch {epoch - 1}."
        return "The last checkpoint holds the weights that the run started from."

    def _write(self, state: State, *, always: bool = False) -> None:
        if self._config.WRITE_TO_DISK:  # else the run itself writes what is read at the end
            self._to_disk(state, always)
        self._tell(state.epoch)

    def _to_disk(self, state: State, always: bool) -> None:
        self._record.write()
        if self._best is not None:
            save(self._paths.best, self._best)
            self._best = None
        if self._config.CHECKPOINT or always:
            save(self._paths.last, to_checkpoint(state, self._backend))
            self._kept = (state.epoch, state.batch)
            self._record.checkpointed(state.epoch)
