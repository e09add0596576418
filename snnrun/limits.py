"""What the system does not give: threads, processes and memory, told in one message."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from snnrun.errors import ResourceError

NO_THREADS = (
    "the system gives no more threads or processes: a limit (ulimit -u, or that of a container or "
    "a job) is reached. End other programs, set backend.threads to fewer, or have the limit raised"
)


@contextmanager
def told() -> Iterator[None]:
    """Turn what Python raises where the system gives no more into ResourceError.

    Whatever the block calls may start a thread or a process, or ask for memory: libraries too.
    """
    try:
        yield
    except (RuntimeError, MemoryError, OSError) as error:
        said = _in_words(error)
        if said is None:
            raise
        raise ResourceError(said) from error


def _in_words(error: BaseException) -> str | None:
    if isinstance(error, MemoryError) or getattr(error, "errno", None) == errno.ENOMEM:
        what = f": {error}" if str(error) else ""
        return (
            f"not enough memory{what}. Use less data (N_TRAIN, N_VALIDATE, N_TEST), a smaller "
            "network or N_BATCH, fewer backend.threads, or a machine with more memory"
        )
    if isinstance(error, BlockingIOError) or "can't start new thread" in str(error):
        return NO_THREADS
    return None
