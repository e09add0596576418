"""Which run a command line means: the folder that it names, or the newest run."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from snnrun.errors import CheckpointError, ConfigError
from snnrun.record.paths import FoldPaths, RunPaths
from snnrun.schema import ALIASES, SCHEMA
from snnrun.shell import command

RUN_FOLDERS = ("*", "*/*", "*/*/*", "multirun/*/*/*")  # below outputs, also by names of one's own
NEEDED: dict[str, Callable[[RunPaths], Path]] = {  # what a run that was refused does not have
    "test": lambda paths: paths.last,
    "plot": lambda paths: paths.run,
}
NO_RUNS = ("compile", "crossval", "gradcheck")  # what other commands write there


def find_run(arguments: Sequence[str], name: str) -> tuple[Path, list[str]]:
    """Return the run folder that the first argument names, or the newest one, and the overrides.

    Args:
        arguments: ``[RUN] [KEY=VALUE ...]``.
        name: The command that takes them.

    Raises:
        CheckpointError: The folder is no run folder, or there is none.
        ConfigError: A folder stands where KEY=VALUE belongs.
    """
    rest = list(arguments)
    folder = None
    if rest and names_folder(rest[0]):
        word = rest.pop(0)
        folder = run_folder(word, name)
        if _is_setting(word):
            print(f"{word}: taken as the run folder; {_other_reading(word, name)}", file=sys.stderr)
    for word in rest:
        if names_folder(word):
            more = command(name, Path(word), *(w for w in rest if w != word))
            raise ConfigError(
                f"{word}: one run only, and its folder comes first"
                + ("" if folder else f", as in {more}")
            )
    return folder or _newest_run(name), rest


def names_folder(word: str) -> bool:
    """Return whether an argument is a folder rather than KEY=VALUE: by what there is.

    No key has a slash in it, so such a word is a folder whether it exists or not.
    """
    key, equals, _ = word.partition("=")
    return not equals or "/" in key or _is_folder(path_of(word))


def path_of(word: str) -> Path:
    """Return the path that an argument means, with the home folder for ``~``."""
    return Path(os.path.expanduser(word))


def run_folder(word: str, name: str = "resume") -> Path:
    """Return the run folder that an argument of the command ``name`` names.

    Raises:
        CheckpointError: It is no run folder.
    """
    folder = path_of(word)
    paths = RunPaths(folder)
    try:
        there = paths.config.is_file()
    except PermissionError as error:
        raise CheckpointError(
            f"{folder}: may not be looked into (Permission denied). Change its permissions"
        ) from error
    if not there:
        what = "is no run folder" if folder.exists() else "does not exist"
        other = f"; {_other_reading(word, name)}" if _is_setting(word) else ""
        raise CheckpointError(f"{folder}: {what}{other}. `snnrun runs` lists the runs")
    if FoldPaths(folder).begun:
        raise CheckpointError(
            f"{folder}: a cross-validation, which `{command('crossval', folder)}` goes on with; "
            "its folders speaker... are runs"
        )
    if not paths.overrides.is_file():  # which is written last
        raise CheckpointError(
            f"{folder}: the run ended before its configuration was written whole, so there is "
            "nothing to go on with; start it again"
        )
    return folder


def _newest_run(name: str) -> Path:
    top = Path("outputs")
    folders = {folder for pattern in RUN_FOLDERS for folder in top.glob(pattern)}
    made = {
        f: RunPaths(f).config.stat().st_mtime_ns
        for f in folders
        if f.relative_to(top).parts[0] not in NO_RUNS and _is_run(f) and not _is_fold(f)
    }
    if not made:
        raise CheckpointError(
            "there is no run in ./outputs; name its folder, or start one with `snnrun train`"
        )
    able = [f for f in made if name not in NEEDED or NEEDED[name](RunPaths(f)).exists()]
    return max(able or made, key=lambda f: (made[f], str(f)))


def _is_run(folder: Path) -> bool:
    with suppress(OSError):  # a folder that may not be looked into
        return RunPaths(folder).overrides.exists() and not FoldPaths(folder).begun
    return False


def _is_fold(folder: Path) -> bool:
    return FoldPaths(folder.parent).begun


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # a name that is too long for one, a folder that may not be looked into
        return False


def _is_setting(word: str) -> bool:
    """Return whether a word could be KEY=VALUE of a key that there is."""
    key, equals, _ = word.partition("=")
    return bool(equals) and (key in SCHEMA or key in ALIASES)


def _other_reading(word: str, name: str) -> str:
    """Return how to mean the key where a folder has the name KEY=VALUE."""
    key = word.partition("=")[0]
    return f"to set {key}, give the folder of the run first: {command(name, 'RUN', word)}"
