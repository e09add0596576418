"""`snnrun remove`: delete runs and sweeps."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from snnrun.commands.arguments import choice_among, path_of, taken, taken_all
from snnrun.errors import ConfigError

if TYPE_CHECKING:
    from snnrun.sweeps.removal import Removal

HELP = """\
usage: snnrun remove RUN|SWEEP ... [--yes]
       snnrun remove [FOLDER] [--older AGE] [--filter KEY=VALUE ...] [--yes]

Deletes the folders of runs, or of sweeps with all their jobs, after it has shown which ones and how
large they are, and asked. A run on which a process is at work is refused, and so is a folder that
holds anything that is not of a run. A job that is removed from a sweep is one that it has still to
do.

  --older         only runs that nothing has worked on for so long: 12h, 30d, 8w
  --filter        only runs with this value of a key, as of `snnrun runs`; FOLDER as there
  --yes           does not ask

examples:
  snnrun remove outputs/2026-11-21/18-03-12-123456
  snnrun remove --older 30d --filter state=failed
  snnrun remove /scratch/experiments --filter 'TAGS=try*' --yes
"""
UNITS = {"h": 3600.0, "d": 86400.0, "w": 604800.0}
YES = "--yes"


def run(arguments: Sequence[str]) -> int:
    older, words = taken(arguments, "--older", "an age, as in --older 30d")
    filters, words = taken_all(words, "--filter", "KEY=VALUE, as in --filter state=failed")
    yes, words = choice_among(words, [YES], ["--older", "--filter"])
    seconds = _seconds(older) if older else 0.0
    from snnrun.sweeps.removal import finish_interrupted, remove

    chosen = _searched(words, filters, seconds) if older or filters else _named(words)
    finish_interrupted(one.folder.parent for one in chosen)
    if not chosen:
        print("no run fits; nothing was removed")
        return 0
    total = _show(chosen)
    if not yes and not _agreed(chosen, total):
        print("nothing was removed")
        return 0
    for one in chosen:
        remove(one)
    print(f"removed: {_counted(chosen)}, {total}")
    return 0


def _seconds(age: str) -> float:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([hdw])", age)
    if not match:
        raise ConfigError(
            f"--older {age}: must be a number with h, d or w for hours, days or weeks, as in 30d"
        )
    return float(match[1]) * UNITS[match[2]]


def _named(words: Sequence[str]) -> list[Removal]:
    """Return the removals of folders that were named, all of which must be possible.

    Raises:
        RecordError: One of them is not; nothing is removed then.
    """
    from snnrun.errors import RecordError
    from snnrun.sweeps.removal import removal_of, why_not

    if not words:
        raise ConfigError(
            "snnrun remove needs the folders of runs or sweeps, or --older or --filter to choose "
            "them by"
        )
    found = {one.folder.absolute(): one for one in map(removal_of, map(path_of, words))}
    inner = [f for f in found if not any(other in f.parents for other in found)]
    chosen = [found[folder] for folder in inner]
    for one in chosen:
        if problem := why_not(one):
            raise RecordError(f"{problem}; nothing was removed")
    return chosen


def _searched(words: Sequence[str], filters: Sequence[str], seconds: float) -> list[Removal]:
    """Return the removals of runs that fit; those that are not possible are named and left out."""
    if len(words) > 1:
        raise ConfigError(
            f"with --older or --filter, snnrun remove takes one folder, got: {' '.join(words)}"
        )
    root = path_of(words[0] if words else ".")
    if not root.is_dir():
        raise ConfigError(f"{root}: there is no such folder")
    from snnrun.sweeps.removal import removals_of, why_not
    from snnrun.sweeps.runs import find_runs
    from snnrun.sweeps.settings import kept

    jobs = kept(find_runs(root), filters)
    before = time.time() - seconds
    fitting = [job.folder for job in jobs if _older(job.folder, before)]
    possible = []
    for one in removals_of(fitting):
        if problem := why_not(one):
            print(f"left alone: {problem}", file=sys.stderr)
        else:
            possible.append(one)
    return possible


def _older(folder: Path, before: float) -> bool:
    from snnrun.sweeps.removal import Removal

    return Removal(folder, (folder,)).worked_on < before


def _show(chosen: Sequence[Removal]) -> str:
    """List what is to be removed, and return its whole size in words."""
    from snnrun.numbers import size_in_words, table

    rows = [
        (str(one.folder), f"{len(one.runs)} runs" if one.of_many else "", size_in_words(one.size))
        for one in chosen
    ]
    print("\n".join(table(rows, left=[0], gap="  ")))
    return size_in_words(sum(one.size for one in chosen))


def _counted(chosen: Sequence[Removal]) -> str:
    count = sum(len(one.runs) for one in chosen)
    return f"{count} run{'' if count == 1 else 's'}"


def _agreed(chosen: Sequence[Removal], total: str) -> bool:
    if not sys.stdin.isatty():
        raise ConfigError(
            f"nobody can be asked here; nothing was removed. {YES} removes without asking"
        )
    print(f"Delete {_counted(chosen)}, {total}, for good? [y/N] ", end="", flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")
