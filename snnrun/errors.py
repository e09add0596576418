"""Errors that are the user's to mend: shown as one message, never as a traceback."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from difflib import get_close_matches

NO_THREADS = (
    "the system gives no more threads or processes: a limit (ulimit -u, or that of a container or "
    "a job) is reached. End other programs, set backend.threads to fewer, or have the limit raised"
)


class SnnrunError(Exception):
    """Something the user can put right: what was got, what is allowed, what to do."""

    in_training = False  # whether it ended a training that had begun or gone on

    def _render_traceback_(self) -> list[str]:
        """Return what a notebook shows instead of a traceback (IPython asks for this name)."""
        if os.environ.get("SNNRUN_TRACEBACK") == "1":
            raise NotImplementedError  # then IPython shows it in full
        return [f"snnrun: error: {self}"]


class ConfigError(SnnrunError):
    """A configuration key, value, type or combination that cannot be used.

    ``problems`` are the lines of the message one by one, where there are several or one is a
    NoEffect.
    """

    def __init__(self, message: str, problems: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.problems = tuple(problems)


class NoEffect(str):
    """A problem in words: the value of ``key`` would change nothing."""

    key: str

    def __new__(cls, key: str, text: str) -> NoEffect:
        """Return the words, with the key that they are about."""
        line = super().__new__(cls, text)
        line.key = key
        return line

    def __getnewargs__(self) -> tuple[str, str]:  # type: ignore[override]
        """Return what a copy in another process is made of."""
        return self.key, str(self)


class ModelError(SnnrunError):
    """A model declaration that is not well-formed, with the place in the equations."""


class DataError(SnnrunError):
    """A data set that is missing, incomplete, damaged or of the wrong layout."""


class BuildError(SnnrunError):
    """Generated code that could not be compiled; carries the command and the end of its log."""


class NumericalError(SnnrunError):
    """Values that are not finite, or that grew beyond use, during training."""


class CapacityError(SnnrunError):
    """A buffer of a backend that is too small for what happened."""


class ResourceError(SnnrunError):
    """Memory, threads or processes that the system does not give."""


class RecordError(SnnrunError):
    """A file of a run folder that cannot be written or read, or lacks what was asked for."""


class CheckpointError(SnnrunError):
    """A checkpoint that is missing, damaged, or belongs to another network."""


def either(choices: Sequence[str]) -> str:
    """Return "a, b or c"."""
    return " or ".join([", ".join(choices[:-1]), choices[-1]] if choices[1:] else choices)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return ``" Did you mean 'x'?"`` for the nearest known word, or an empty string."""
    near = closest(word, known)
    return f" Did you mean {near!r}?" if near else ""


def closest(word: str, known: Iterable[str]) -> str:
    """Return the known word that is nearest to ``word`` in whatever case, or "" where none is."""
    as_written = {one.lower(): one for one in known}
    near = get_close_matches(word.lower(), as_written, n=1, cutoff=0.6)
    return as_written[near[0]] if near else ""


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
