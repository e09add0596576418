"""A sweep as it stands: its jobs by what was asked, and the state of each by its run folder."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]

from snnrun.files import is_temporary, size_of
from snnrun.record.ending import STATES as ENDINGS
from snnrun.record.notes import Note, read_notes
from snnrun.record.paths import ASKED, MULTIRUN, RunPaths
from snnrun.record.summary import Summary, read_summary, run_folders
from snnrun.sweeps.asked import Asked, AskedJob, begun_by, overrides_of, read_asked

FOLDERS = ("outputs", "multirun")  # where Hydra puts runs, below the working folder
DEEPEST = 4  # outputs/multirun/<date>/<time>/<job>
WAITING = "waiting"
DONE, RUNNING = "finished", "running"
_FIRST = (DONE, RUNNING, WAITING, "stopped", "killed")
_MEANINGS = {WAITING: "it has not begun", **ENDINGS}
STATES: Mapping[str, str] = {s: _MEANINGS[s] for s in dict.fromkeys([*_FIRST, *_MEANINGS])}
FAILED = ("exploded", "failed", "refused", "unreadable")  # as they would again
OPEN = ("stopped", "killed", WAITING)  # what a sweep that goes on has still to do
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True, kw_only=True)
class Job(Summary):
    """A job of a sweep, and its run as snnrun.record.summary.Summary has it.

    Args:
        number: From 0.
        words: What it has besides the words of all jobs, as KEY=VALUE of Hydra.
        base: The words of all jobs of its request.
        common: Key -> value of what is composed of these alone, as far as that is known.
        state: One of STATES.
    """

    number: int
    words: tuple[str, ...] = ()
    base: tuple[str, ...] = ()
    common: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def overrides(self) -> dict[str, str]:
        """Key -> value as text, of what it has besides the words of all jobs."""
        return overrides_of(self.words)

    @cached_property
    def settings(self) -> dict[str, str]:
        """Key -> value as text, of all that was given."""
        return overrides_of((*self.base, *self.words))

    @cached_property
    def size(self) -> int:
        """The bytes of all files of the run."""
        return size_of(self.folder)

    @cached_property
    def notes(self) -> tuple[Note, ...]:
        """What people have noted about the run, oldest first."""
        return read_notes(RunPaths(self.folder))


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """A sweep. Made by ``read_sweep``; read again to see what has come since.

    Args:
        folder: In which its run folders are.
        asked: The requests, oldest first; empty of a folder whose runs were no sweep of ours.
        jobs: By number.
    """

    folder: Path
    asked: tuple[Asked, ...]
    jobs: tuple[Job, ...]

    @cached_property
    def counts(self) -> dict[str, int]:
        """State -> how many jobs, in the order of STATES, of those that there are."""
        found = Counter(job.state for job in self.jobs)
        return {state: found[state] for state in STATES if found[state]}

    def of_state(self, *states: str) -> tuple[Job, ...]:
        """Return the jobs that are in one of these states."""
        return tuple(job for job in self.jobs if job.state in states)


def read_sweep(folder: str | Path, known: Iterable[Job] = ()) -> Sweep:
    """Return how the sweep in a folder stands; also while it runs, and of any folder with runs.

    Args:
        folder: Of the sweep. One without a request of ours (of an older version, or several runs
            that were put there) has a job for each run, numbered in their order.
        known: Jobs of an earlier reading that have not changed since; they are not read again.

    Raises:
        RecordError: What was asked cannot be read.
    """
    top = Path(folder)
    asked = read_asked(top)
    jobs = [job for request in asked for job in request.jobs]
    if not jobs:
        return Sweep(folder=top, asked=tuple(asked), jobs=tuple(read_runs(top)))
    begun = begun_by(asked)
    places, read = _places(top, jobs, begun), {job.number: job for job in known}
    for job in jobs:
        if job.number not in read:
            request = begun[job.number]
            told = {"words": job.words, "base": request.base, "common": request.config}
            read[job.number] = _read(places[job.number], top, number=job.number, **told)
    ordered = tuple(read[number] for number in sorted(read))
    return Sweep(folder=top, asked=tuple(asked), jobs=ordered)


def read_runs(top: Path, deepest: float = math.inf) -> Iterator[Job]:
    """Yield a job for each run folder in ``top``, numbered in the order of their names."""
    for number, folder in enumerate(sorted(run_folders(top, deepest), key=_natural)):
        yield _with(read_summary(folder), number=number, words=words_of(folder))


def find_sweeps(top: Path) -> list[Path]:
    """Return the folders of multiruns in ``top`` (itself, or up to four levels below), by name."""
    places = {
        file.parent
        for depth in range(DEEPEST + 1)
        for name in (MULTIRUN, ASKED)
        for file in top.glob("/".join(["*"] * depth + [name]))
    }
    return sorted(place for place in places if not any(map(is_temporary, place.parts)))


def newest_sweep(top: Path = Path()) -> Path | None:
    """Return the folder of the sweep in FOLDERS of ``top`` that was started last, if any."""
    found = [folder for name in FOLDERS for folder in find_sweeps(top / name)]
    return max(found, key=_begun_at, default=None)


def words_of(folder: Path) -> tuple[str, ...]:
    """Return the overrides with which the run in a folder was composed; none where it says none."""
    try:
        text = RunPaths(folder).overrides.read_text(encoding="utf-8")
        return tuple(map(str, yaml.load(text, Loader=LOADER) or ()))
    except (OSError, ValueError, yaml.YAMLError):
        return ()


def _read(folder: Path | None, top: Path, **told: Any) -> Job:
    if folder is None or not _begun(folder):
        return Job(folder=folder or top, created=0.0, state=WAITING, **told)
    return _with(read_summary(folder), **told)


def _begun(folder: Path) -> bool:
    paths = RunPaths(folder)
    return any(path.exists() for path in (paths.run, paths.pid, paths.end))


def _with(summary: Summary, **told: Any) -> Job:
    return Job(**{known.name: getattr(summary, known.name) for known in fields(Summary)}, **told)


def _places(
    top: Path, jobs: Sequence[AskedJob], begun: Mapping[int, Asked]
) -> dict[int, Path | None]:
    """Return number -> run folder; None of a job whose folder is not known before it begins."""
    known: dict[int, Path | None] = {
        job.number: top / job.folder if job.folder else None for job in jobs
    }
    if None not in known.values():
        return known
    swept = {key for job in jobs for key in job.overrides}

    def told(words: Iterable[str]) -> frozenset[tuple[str, str]]:
        return frozenset((key, text) for key, text in overrides_of(words).items() if key in swept)

    found = {told(words_of(folder)): folder for folder in run_folders(top)}
    for job in jobs:
        if known[job.number] is None:
            known[job.number] = found.get(told((*begun[job.number].base, *job.words)))
    return known


def _begun_at(folder: Path) -> tuple[float, str]:
    file = folder / MULTIRUN
    return (file if file.exists() else folder).stat().st_mtime, str(folder)


def _natural(folder: Path) -> tuple[tuple[int, str], ...]:
    """Return a key by which 10 comes after 9."""
    return tuple((int(part) if part.isdecimal() else -1, part) for part in folder.parts)
