"""A run folder that is gone afterwards, for runs with WRITE_TO_DISK=false."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from snnrun.files import write_error
from snnrun.record.paths import RunPaths


@contextmanager
def scratch() -> Iterator[RunPaths]:
    """Give a new folder among the system's temporary files; it is removed when the block ends.

    Raises:
        RecordError: There can be no such folder.
    """
    try:
        folder = tempfile.TemporaryDirectory(prefix="snnrun-", ignore_cleanup_errors=True)
    except OSError as error:
        raise write_error(Path(tempfile.gettempdir()) / "snnrun", error) from error
    with folder as name:
        yield RunPaths(Path(name))
