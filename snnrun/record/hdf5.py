"""HDF5 files that appear whole or not at all."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py

from snnrun.files import atomic_file


@contextmanager
def atomic_hdf5(path: str | Path) -> Iterator[h5py.File]:
    """Give an empty HDF5 file to fill; it becomes ``path`` when the block ends without an error.

    It is made in memory: HDF5 cannot close a file whose last writes fail, as on a full disk, and
    may then take the process down with it.
    """
    image = io.BytesIO()
    with h5py.File(image, "w") as file:
        yield file
    with atomic_file(path) as raw:
        raw.write(image.getbuffer())
