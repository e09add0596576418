"""Tables that grow row by row in memory and are written as one HDF5 data set per column."""

from __future__ import annotations

from collections.abc import Mapping

import h5py
import numpy as np

from snnrun.record.columns import Column, describe

_FIRST_CAPACITY = 256


class Table:
    """Columns of equal length. Rows may bring new columns; what a row does not have is NaN.

    Args:
        columns: What is known of the columns. Those of integers must be in every row; a column that
            is not described holds float64.
    """

    def __init__(self, columns: Mapping[str, Column]) -> None:
        self._described = columns
        self._buffers: dict[
            str, np.ndarray
        ] = {}  # each [capacity], the first _length entries are used
        self._length = 0

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, name: str) -> np.ndarray:
        if self._length == 0:
            return np.empty(0, self._dtype(name))
        return self._buffers[name][: self._length]

    def arrays(self) -> dict[str, np.ndarray]:
        """Return every column by name, as views that later rows do not change."""
        return {name: self[name] for name in self._buffers}

    def append(self, row: Mapping[str, float | int | None]) -> None:
        """Add a row; None counts as missing."""
        self.extend({name: np.array([np.nan if v is None else v]) for name, v in row.items()})

    def extend(self, block: Mapping[str, np.ndarray]) -> None:
        """Add rows that are given as columns of equal length."""
        start, end = self._length, self._length + len(next(iter(block.values())))
        dtypes = {name: self._dtype(name) for name in {**self._buffers, **block}}
        self._check(block, dtypes, end - start)
        for name, dtype in dtypes.items():
            buffer = self._grown(name, dtype, end)
            buffer[start:end] = block.get(name, _missing(dtype))
            self._buffers[name] = buffer
        self._length = end

    def keep(self, rows: np.ndarray) -> None:
        """Keep only the rows where the boolean array [rows] is true.

        A column that has no number left goes too: the row that brought it will bring it again.
        """
        if rows.all():
            return
        self._length = int(np.count_nonzero(rows))
        kept = {name: buffer[: len(rows)][rows] for name, buffer in self._buffers.items()}
        self._buffers = {name: column for name, column in kept.items() if not _empty(column)}

    def write(self, group: h5py.Group) -> None:
        """Write every column into a group, with its unit and meaning as attributes."""
        for name in self._buffers:
            data = group.create_dataset(name, data=self[name])
            if column := describe(self._described, name):
                data.attrs["unit"] = column.unit
                data.attrs["meaning"] = column.meaning

    def fill(self, columns: Mapping[str, np.ndarray]) -> None:
        """Replace all rows by those of columns that ``read_columns`` has read."""
        self._buffers = dict(columns)
        self._length = len(next(iter(self._buffers.values()), ()))

    def _dtype(self, name: str) -> np.dtype:
        column = describe(self._described, name)
        return np.dtype(column.dtype if column else np.float64)

    def _check(
        self, block: Mapping[str, np.ndarray], dtypes: Mapping[str, np.dtype], added: int
    ) -> None:
        for name, dtype in dtypes.items():
            missing = name not in block and (name in self._buffers or self._length > 0)
            new = name not in self._buffers and self._length > 0
            if dtype.kind == "i" and (missing or new):
                raise ValueError(f"column {name!r} holds integers: it must be in every row")
            values = block.get(name)
            if values is not None and len(values) != added:
                raise ValueError(f"column {name!r} has {len(values)} entries, others have {added}")
            if values is not None and dtype.kind == "i" and not np.all(np.isfinite(values)):
                raise ValueError(f"column {name!r} holds integers, got {values}")

    def _grown(self, name: str, dtype: np.dtype, length: int) -> np.ndarray:
        """Return the buffer of a column with room for ``length`` entries."""
        old = self._buffers.get(name)
        if old is None:
            old = np.full(self._length, _missing(dtype), dtype)
        if len(old) >= length:
            return old
        buffer = np.empty(max(2 * len(old), length, _FIRST_CAPACITY), dtype)
        buffer[: self._length] = old[: self._length]
        return buffer


def read_columns(group: h5py.Group) -> dict[str, np.ndarray]:
    """Return every data set below a group by its path, as in ``hidden_spikes/hidden``."""
    columns: dict[str, np.ndarray] = {}

    def visit(name: str, item: h5py.Group | h5py.Dataset) -> None:
        if isinstance(item, h5py.Dataset):
            columns[name] = item[()]

    group.visititems(visit)
    return columns


def _missing(dtype: np.dtype) -> float:
    return np.nan if dtype.kind == "f" else 0


def _empty(column: np.ndarray) -> bool:
    return column.dtype.kind == "f" and bool(np.isnan(column).all())
