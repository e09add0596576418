"""The table ``warnings`` of ``run.h5``: what a run noticed, a row for each epoch with it."""

from __future__ import annotations

from collections.abc import Sequence

import h5py
import numpy as np

from snnrun.notice import Notice
from snnrun.record.columns import WARNINGS
from snnrun.record.provenance import printable

BEFORE = -1  # the epoch of what was seen before the first one


class Notices:
    """What a run has noticed so far, in the order in which it did."""

    def __init__(self) -> None:
        self._rows: list[Notice] = []

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, notice: Notice) -> int:
        """Add a row, and return for how many epochs in a row this kind has been there, 1 at first.

        Before the first epoch the same is entered once: a process that resumes sees it again.
        """
        if notice.epoch is None:
            if notice not in self._rows:
                self._rows.append(notice)
            return 1
        self._rows.append(notice)
        epochs = {row.epoch for row in self._rows if row.kind == notice.kind}
        first = notice.epoch
        while first - 1 in epochs:
            first -= 1
        return notice.epoch - first + 1

    def truncate(self, epoch: int) -> None:
        """Forget what was noticed in ``epoch`` and later."""
        self._rows = [row for row in self._rows if row.epoch is None or row.epoch < epoch]

    def epochs_of_kinds(self) -> dict[tuple[str, str], list[int | None]]:
        """Return kind -> the epochs in which it was noticed."""
        found: dict[tuple[str, str], list[int | None]] = {}
        for row in self._rows:
            found.setdefault(row.kind, []).append(row.epoch)
        return found

    def write(self, group: h5py.Group) -> None:
        """Write every column into a group, with its unit and meaning as attributes."""
        rows = self._rows
        columns = {
            "epoch": [BEFORE if row.epoch is None else row.epoch for row in rows],
            "what": [printable(row.what) for row in rows],
            "where": [printable(row.where) for row in rows],
            "share": [np.nan if row.share is None else row.share for row in rows],
            "message": [printable(row.message) for row in rows],
        }
        for name, values in columns.items():
            column = WARNINGS[name]
            dtype = h5py.string_dtype() if column.dtype is str else np.dtype(column.dtype)
            data = group.create_dataset(name, data=np.array(values, dtype))
            data.attrs["unit"], data.attrs["meaning"] = column.unit, column.meaning

    def read(self, file: h5py.File) -> None:
        """Replace all rows by those of a run file; files of older versions have none."""
        columns = read_warnings(file)
        self._rows = [
            Notice(
                what=what,
                where=where,
                message=message,
                epoch=None if epoch == BEFORE else int(epoch),
                share=None if np.isnan(share) else float(share),
            )
            for epoch, what, where, share, message in zip(*columns.values(), strict=True)
        ]


def read_warnings(file: h5py.File) -> dict[str, np.ndarray]:
    """Return the columns of WARNINGS, of equal length; those of text hold str objects."""
    group = file.get("warnings", {})
    return {
        name: _column(group[name], column.dtype) if name in group else _column((), column.dtype)
        for name, column in WARNINGS.items()
    }


def _column(data: h5py.Dataset | Sequence[None], dtype: type) -> np.ndarray:
    if dtype is str:
        return np.array(data.asstr()[()] if isinstance(data, h5py.Dataset) else [], object)
    return np.array(data, dtype)
