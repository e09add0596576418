"""The terminal and whoever sits at it: standard streams, messages, exit codes, users' modules."""

from __future__ import annotations

import codecs
import functools
import io
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, redirect_stderr, redirect_stdout, suppress
from pathlib import Path
from typing import ParamSpec, TextIO, TypeVar

from snnrun.errors import SnnrunError
from snnrun.shell import command as command_line

USER_ERROR, INTERRUPTED, BROKEN_PIPE = 2, 130, 141  # exit codes
P = ParamSpec("P")
R = TypeVar("R")
SHOWN = "snnrun.shown"  # name of the error handler of encodings below


def show(error: SnnrunError, where: str = "") -> None:
    """Print the message of an error that its user can mend."""
    text = f"snnrun: error{f' in {where}' if where else ''}: {error}"
    with suppress(OSError):  # nobody is there to read it
        print(text, file=sys.stderr, flush=True)


def announce(command: str, words: Sequence[str | Path]) -> None:
    """Say what is about to be done, as the first thing: reading all that it needs takes a while."""
    print(command_line(command, *words), flush=True)


def wants_traceback() -> bool:
    """Return whether SNNRUN_TRACEBACK=1 asks for tracebacks of all errors."""
    return os.environ.get("SNNRUN_TRACEBACK") == "1"


def brief(function: Callable[P, R]) -> Callable[P, R]:
    """Let a function raise its SnnrunErrors without what led to them, unless SNNRUN_TRACEBACK=1.

    A script then shows the caller's line and the message; a notebook only the message
    (snnrun.errors.SnnrunError).
    """

    @functools.wraps(function)
    def called(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except SnnrunError as error:
            if wants_traceback():
                raise
            raise error.with_traceback(None) from None

    return called


def find_users_modules(folder: str) -> None:
    """Let modules in ``folder`` be found, as `python -m` does, but after all installed ones."""
    if folder not in sys.path and "" not in sys.path:
        sys.path.append(folder)


def make_usable() -> None:
    """Open closed streams on the null device, and let any text be written to any encoding.

    A closed descriptor would otherwise be given to the next file that is opened, and a compiler's
    words or a stray print would end up in it.
    """
    for descriptor, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(descriptor)
        except OSError:
            _open_nowhere(descriptor)
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115
    codecs.register_error(SHOWN, _shown)
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors=SHOWN)


class LateFile(io.TextIOBase):
    """A text file that is opened, at its end, when the first word comes."""

    encoding = "utf-8"

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: TextIO | None = None

    def write(self, text: str) -> int:
        """Write text at once."""
        if self._file is None:
            self._file = self._path.open("a", encoding="utf-8", errors="backslashreplace")
        written = self._file.write(text)
        self._file.flush()
        return written

    def close(self) -> None:
        """Close the file, if it was opened."""
        if self._file is not None:
            self._file.close()
        super().close()


@contextmanager
def output_to(path: Path) -> Iterator[None]:
    """Let what Python code prints go to the end of a file, not to the terminal."""
    with closing(LateFile(path)) as file, redirect_stdout(file), redirect_stderr(file):
        yield


def output_is_lost() -> bool:
    """Return whether standard output takes nothing more: its disk is full, its reader is gone."""
    try:
        sys.stdout.write("\n")  # without a buffer, what failed before is forgotten
        sys.stdout.flush()
    except OSError:
        return True
    return False


def give_up_output() -> None:
    """Send what is left of standard output nowhere, so that Python does not fail on it at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _open_nowhere(descriptor: int) -> None:
    opened = os.open(os.devnull, os.O_RDWR)
    if opened == descriptor:
        os.set_inheritable(descriptor, True)
        return
    os.dup2(opened, descriptor)
    os.close(opened)


def _shown(error: UnicodeError) -> tuple[bytes, int]:
    """Write what an encoding lacks as Python's escapes, and bytes of a path that are no text as is.

    Those are what ``surrogateescape`` made of them.
    """
    assert isinstance(error, UnicodeEncodeError)
    place = error.object[error.start : error.end]
    shown = b""
    for letter in place:
        byte = ord(letter) - 0xDC00
        is_byte = 0x80 <= byte <= 0xFF
        shown += bytes([byte]) if is_byte else letter.encode("ascii", "backslashreplace")
    return shown, error.end
