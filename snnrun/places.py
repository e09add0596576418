"""Where things are kept for later runs, and what is done where nothing can be kept."""

from __future__ import annotations

import atexit
import os
import shutil
import sys
import tempfile
from pathlib import Path
from threading import Lock

_made: dict[str, Path] = {}  # folder that cannot be used -> the one that is used in its stead
_lock = Lock()


def home() -> Path | None:
    """Return the home folder; None where there is none: HOME is empty, the user unknown."""
    if not os.environ.get("HOME", "unset").strip():
        return None
    text = os.path.expanduser("~")
    return Path(text) if os.path.isabs(text) else None


def cache_root() -> Path:
    """Return the folder of what can be made again: $XDG_CACHE_HOME/snnrun, or ~/.cache/snnrun.

    Without a home it is a folder that does not exist and cannot be made; see `usable`.
    """
    base = os.environ.get("XDG_CACHE_HOME", "")
    if os.path.isabs(base):
        return Path(base) / "snnrun"
    return (home() or Path(os.devnull)) / ".cache" / "snnrun"


def usable(folder: Path, name: str) -> Path:
    """Return ``folder``, made if need be, or one that lasts as long as this process.

    Args:
        folder: A folder that nobody has asked for by name.
        name: The environment variable that would name another one, for what is said, once.
    """
    problem = why_not(folder)
    if not problem:
        return folder
    with _lock:
        if str(folder) not in _made:
            made = Path(tempfile.mkdtemp(prefix="snnrun-cache-"))
            atexit.register(shutil.rmtree, made, ignore_errors=True)
            _made[str(folder)] = made
            print(
                f"snnrun: {folder}: {problem}. What would be kept there is kept in {made} until "
                f"this process ends; {name}=FOLDER names a folder for good",
                file=sys.stderr,
                flush=True,
            )
        return _made[str(folder)]


def why_not(folder: Path, make: bool = True) -> str:
    """Return why nothing can be written to ``folder``; "" if it can.

    With ``make`` it is made if need be; without, it is enough that it could be made.
    """
    try:
        if make:
            folder.mkdir(parents=True, exist_ok=True)
        else:
            folder = next(path for path in (folder, *folder.absolute().parents) if path.exists())
        with tempfile.TemporaryFile(dir=folder):
            return ""
    except OSError as error:
        return error.strerror or str(error)
