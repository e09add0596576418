"""What was asked of a sweep: the command, and the jobs that follow from it.

Each request is a file of its own in ``.sweep/``, whole when it appears and never changed. So
several processes, also of several machines that share a disk, may write at the same time; those
whose jobs get the next free numbers do it within ``adding_jobs``.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from snnrun.errors import RecordError
from snnrun.files import atomic_file, one_at_a_time, write_error
from snnrun.record.paths import ASKED
from snnrun.version import __version__

FORMAT = 1


@dataclass(frozen=True, kw_only=True)
class AskedJob:
    """One job of a sweep.

    Args:
        number: From 0, of the whole sweep.
        words: What it has besides the words of all jobs, as KEY=VALUE of Hydra.
        folder: Of its run, below that of the sweep; "" where only its configuration tells.
    """

    number: int
    words: tuple[str, ...]
    folder: str = ""

    @property
    def overrides(self) -> dict[str, str]:
        """Key -> value, as text."""
        return overrides_of(self.words)


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One request: a command that began a sweep or added to it, or jobs that a search has chosen.

    Args:
        command: The subcommand, as in train.
        words: What it was given, as typed, without the program and the command; empty where a
            search chose the jobs, and for jobs that were added to an earlier request.
        base: The overrides that all its jobs have, as Hydra reads them.
        config: Key -> value of what is composed of ``base`` alone; empty where that is not known.
        jobs: Those that are known; a search writes requests of its own as it chooses them.
        cwd: The folder in which it was given.
        when: ISO 8601.
        snnrun: The version.
    """

    command: str = "train"
    words: tuple[str, ...] = ()
    base: tuple[str, ...] = ()
    config: Mapping[str, Any] = field(default_factory=dict)
    jobs: tuple[AskedJob, ...] = ()
    cwd: str = ""
    when: str = ""
    snnrun: str = __version__


def overrides_of(words: Iterable[str]) -> dict[str, str]:
    """Return key -> value of overrides; a key that is taken out (``~key``) has an empty one."""
    return {key_of(word): word.partition("=")[2] for word in words}


def key_of(word: str) -> str:
    """Return the key of an override, without the + or ~ that stand before it."""
    return word.lstrip("+~").partition("=")[0]


def write_asked(folder: Path, asked: Asked) -> Path:
    """Write a request to the folder of a sweep, which is made if need be; return its file.

    Raises:
        RecordError: The folder cannot be written.
    """
    place = _folder_of(folder)
    now = datetime.now(timezone.utc)
    values = asdict(asked) | {"format": FORMAT, "when": asked.when or _iso(now)}
    values["cwd"] = asked.cwd or _working_folder()
    path = place / f"{now:%Y%m%dT%H%M%S.%f}-{secrets.token_hex(4)}.json"
    with atomic_file(path) as file:
        file.write(json.dumps(values, indent=1).encode("utf-8", "backslashreplace"))
    return path


@contextmanager
def adding_jobs(folder: Path) -> Iterator[None]:
    """Let one process at a time read which jobs a sweep has, and write further ones.

    Raises:
        RecordError: The folder cannot be written.
    """
    with one_at_a_time(_folder_of(folder) / "lock"):
        yield


def add_jobs(folder: Path, jobs: Sequence[AskedJob]) -> None:
    """Add jobs to a sweep that is there, as a search does that chooses them one after the other."""
    write_asked(folder, Asked(jobs=tuple(jobs)))


def read_asked(folder: Path) -> list[Asked]:
    """Return the requests of a sweep, oldest first; none where the folder holds no sweep.

    Raises:
        RecordError: A file is damaged, or was written by a newer version.
    """
    found = []
    for path in sorted((folder / ASKED).glob("*.json")):
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
            if values.pop("format") > FORMAT:
                raise RecordError(f"{path}: written by a newer snnrun; upgrade this one")
            values["jobs"] = tuple(_job(job) for job in values["jobs"])
            lists = {name: tuple(values[name]) for name in ("words", "base")}
            found.append(Asked(**{**values, **lists}))
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise RecordError(
                f"{path}: damaged, or not written by snnrun ({error}). The runs of the sweep are "
                "not touched by this; without the file their jobs are known by their folders"
            ) from error
    return found


def asked_jobs(folder: Path) -> Iterator[AskedJob]:
    """Yield the jobs of all requests of a sweep."""
    for asked in read_asked(folder):
        yield from asked.jobs


def begun_by(requests: Iterable[Asked]) -> dict[int, Asked]:
    """Return number of a job -> the request whose ``base`` it has; ``add_jobs`` brings none."""
    found: dict[int, Asked] = {}
    latest = Asked()
    for request in requests:
        latest = request if request.base else latest
        found |= dict.fromkeys((job.number for job in request.jobs), latest)
    return found


def is_sweep(folder: Path) -> bool:
    """Return whether a folder is that of a sweep."""
    return (folder / ASKED).is_dir()


def _folder_of(sweep: Path) -> Path:
    """Return the folder of the requests, made if need be."""
    place = sweep / ASKED
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise write_error(place, error) from error
    return place


def _job(values: dict) -> AskedJob:
    return AskedJob(**{**values, "words": tuple(values["words"])})


def _iso(when: datetime) -> str:
    return when.astimezone().isoformat(timespec="seconds")


def _working_folder() -> str:
    try:
        return os.getcwd()
    except OSError:  # deleted under our feet
        return ""
