"""``logger=csv``: the figures of all epochs as ``metrics.csv`` in the run folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from snnrun.files import atomic_file
from snnrun.loggers.base import LoggedRun, Logger, Row
from snnrun.numbers import csv_text
from snnrun.record.paths import RunPaths


class Csv(Logger):
    """Writes the whole table each time, from what the run has recorded.

    So there is never half a line, and after any kill and resume each epoch stands there once. The
    test has columns of its own, in the row of the last epoch.
    """

    def begin(self, run: LoggedRun) -> int:
        self._file = RunPaths(run.folder).metrics
        self._rows: list[dict[str, float | int | None]] = []
        return 0

    def log(self, rows: Sequence[Row]) -> None:
        self._rows += map(dict, rows)
        self._write()

    def finish(self, test: Mapping[str, float], pictures: Sequence[Path]) -> None:
        if self._rows and test:
            self._rows[-1] |= test
            self._write()

    def remember(self) -> None:
        return None

    def _write(self) -> None:
        columns = dict.fromkeys(name for row in self._rows for name in row)
        rows = [{name: row.get(name) for name in columns} for row in self._rows]
        with atomic_file(self._file) as file:
            file.write(csv_text(rows).encode())
