"""Removing runs and whole sweeps: all of one or nothing, and never what is not theirs.

A folder is first renamed to a hidden temporary name, so that no list has it from then on, and then
deleted. What is left of a removal that was interrupted the next one deletes.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from snnrun.errors import RecordError
from snnrun.files import is_temporary, size_of, sync_folder, temporary_beside
from snnrun.record.owner import at_rest, running
from snnrun.record.paths import FoldPaths, RunPaths, is_of_many
from snnrun.record.summary import run_folders

_OF_SWEEP = re.compile(r"\.sweep|multirun\.yaml|\.slurm|\.submitit|(sweep|search)(\..*)?")
_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_MOST_NAMED = 3


@dataclass(frozen=True)
class Removal:
    """What is to be removed: a run folder, or that of a sweep or a cross-validation with its runs.

    Args:
        folder: The folder itself, not a link to it.
        runs: The run folders in it; itself, if it is one.
    """

    folder: Path
    runs: tuple[Path, ...]

    @property
    def of_many(self) -> bool:
        """Whether it is a folder of several runs."""
        return self.runs != (self.folder,)

    @cached_property
    def size(self) -> int:
        """The bytes of all files."""
        return size_of(self.folder)

    @cached_property
    def worked_on(self) -> float:
        """When a run in it was last worked on, in seconds since 1970."""
        return max((_worked_on(RunPaths(run)) for run in self.runs), default=0.0)


def removal_of(folder: Path) -> Removal:
    """Return the removal of a folder.

    Raises:
        RecordError: It holds neither a run nor a sweep.
    """
    if not folder.is_dir():
        raise RecordError(f"{folder}: there is no such folder. `snnrun runs` lists the runs")
    if folder.is_symlink():
        folder = folder.resolve()
    if is_of_many(folder):
        return Removal(folder, tuple(sorted(run_folders(folder))))
    if _is_run(folder):
        return Removal(folder, (folder,))
    raise RecordError(
        f"{folder}: is neither the folder of a run nor that of a sweep; nothing was removed. "
        "`snnrun runs` lists the runs"
    )


def removals_of(runs: Sequence[Path]) -> list[Removal]:
    """Return the removals of some runs: of a sweep as a whole if they are all of it, and may go."""
    chosen, found = set(runs), dict[Path, Removal]()
    for run in runs:
        whole = next((place for place in list(run.parents)[:2] if is_of_many(place)), None)
        removal = removal_of(whole or run)
        if whole and (not chosen.issuperset(removal.runs) or why_not(removal)):
            removal = removal_of(run)
        found[removal.folder] = removal
    return list(found.values())


def why_not(removal: Removal) -> str:
    """Return why a folder is not to be removed, or ""."""
    folder = removal.folder
    at_work = [run for run in removal.runs if running(RunPaths(run))]
    if at_work:
        return f"{folder}: a process is at work on {_named(at_work)}. Stop it first (Ctrl-C)"
    strangers = [*_strangers(removal)]
    if strangers:
        return (
            f"{folder}: holds what is not of a run: {_named(strangers)}. Move it to another place, "
            "or delete the folder yourself"
        )
    if Path.cwd().is_relative_to(folder.absolute()):
        return f"{folder}: is the folder that you are in; go to another one with cd"
    return ""


def remove(removal: Removal) -> None:
    """Remove a folder, and that of its date if nothing else is in it.

    Raises:
        RecordError: A process has begun to work on a run, or the folder cannot be removed.
    """
    folder, aside = removal.folder, temporary_beside(removal.folder)
    try:
        for run in removal.runs if removal.of_many else ():
            with at_rest(RunPaths(run)):
                pass
        with at_rest(RunPaths(folder)):
            os.rename(folder, aside)
            sync_folder(folder.parent)
    except OSError as error:
        raise RecordError(
            f"{folder}: cannot be removed ({error.strerror or error}). Change the permissions of "
            f"{folder.parent}"
        ) from error
    shutil.rmtree(aside, ignore_errors=True)  # another removal may be at it too
    if aside.exists():
        raise RecordError(
            f"{folder}: is removed from all lists, but not all of it could be deleted. Change the "
            f"permissions of {aside}, and delete that"
        )
    if _DATE.fullmatch(folder.parent.name):
        with suppress(OSError):  # other runs of this day
            folder.parent.rmdir()


def finish_interrupted(folders: Iterable[Path]) -> None:
    """Delete what is left in some folders of removals that were interrupted."""
    for folder in {*folders}:
        for place in folder.iterdir() if folder.is_dir() else ():
            if is_temporary(place.name) and place.is_dir() and not place.is_symlink():
                shutil.rmtree(place, ignore_errors=True)


def _worked_on(paths: RunPaths) -> float:
    found = [0.0]
    for path in (paths.run, paths.last, paths.log, paths.end, paths.pid, paths.overrides):
        with suppress(OSError):
            found.append(path.stat().st_mtime)
    return max(found)


def _is_run(folder: Path) -> bool:
    paths = RunPaths(folder)
    return any(path.exists() for path in (paths.run, paths.pid, paths.end, paths.overrides))


def _strangers(removal: Removal) -> Iterator[Path]:
    """Yield what no run and no sweep has written."""
    for run in removal.runs:
        yield from RunPaths(run).strangers()
    if removal.of_many:
        yield from _beside(removal.folder, {*removal.runs})


def _beside(folder: Path, runs: set[Path]) -> Iterator[Path]:
    """Yield what lies in the folder of a sweep beside its runs and its own files."""
    own = {FoldPaths(folder).table} | ({*folder.iterdir()} - {*RunPaths(folder).strangers()})
    for path in sorted({*folder.iterdir()} - runs - own):
        if _OF_SWEEP.fullmatch(path.name):
            continue
        if not path.is_dir() or path.is_symlink():
            yield path
        elif not _is_run(path) or RunPaths(path).strangers():  # else a job that never began
            yield from _beside(path, runs)


def _named(places: Sequence[Path]) -> str:
    more = len(places) - _MOST_NAMED
    names = ", ".join(path.name for path in places[:_MOST_NAMED])
    return f"{names} and {more} more" if more > 0 else names
