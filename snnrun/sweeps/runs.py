"""The list of runs: what there is, how many epochs each has done, how it ended, and accuracies."""

from __future__ import annotations

import json
import math
import os
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TextIO

from snnrun.numbers import csv_text, size_in_words, table
from snnrun.sweeps.settings import differing, known_key, nan_last, number_of, value_of
from snnrun.sweeps.sweep import DEEPEST, FOLDERS, Job, read_runs
from snnrun.sweeps.table import in_short, job_as_object

SORTABLE = {  # what --sort takes besides keys; of those with a minus the highest comes first
    "created": "-created",
    "epochs": "-epochs",
    "train": "-train_score",
    "validation": "-validation_score",
    "test": "-test_score",
    "best": "-test_best_score",
    "seconds": "seconds",
    "size": "-size",
    "memory": "-memory",
    "operations": "operations",
    "energy": "energy",
}

Row = tuple[str, ...]

_SCORES = ("train%", "valid%", "test%", "best%")
_HEADING = ("run", "name", "dataset", "epochs", "state", *_SCORES, "size", "settings")
_SIZE, _SETTINGS = len(_HEADING) - 2, len(_HEADING) - 1
_LEFT = (0, 1, 2, 4, _SETTINGS)  # columns of words


def find_runs(root: Path) -> list[Job]:
    """Return the runs in ``root``/outputs and ``root``/multirun, the newest first.

    Where those have none, ``root`` may itself be such a folder, or that of a sweep.
    """
    jobs = [job for name in FOLDERS for job in read_runs(root / name)]
    if not jobs and root != Path():
        jobs = list(read_runs(root, DEEPEST))
    # folders are named by the time, to a fraction of a second
    return sorted(jobs, key=lambda job: (job.created, str(job.folder)), reverse=True)


def in_order(jobs: Sequence[Job], by: str) -> list[Job]:
    """Return runs ordered by one of SORTABLE or by a key; with -NAME the other way round.

    Raises:
        ConfigError: There is no such figure or key.
    """
    name, back = by.removeprefix("-"), by.startswith("-")
    if name in SORTABLE:
        column, falls = SORTABLE[name].lstrip("-"), SORTABLE[name].startswith("-") != back
        sign = -1 if falls else 1
        return sorted(jobs, key=lambda job: nan_last(sign * getattr(job, column)))
    key = known_key(name, jobs, SORTABLE)
    return sorted(jobs, key=lambda job: number_of(value_of(job, key)), reverse=back)


def show_runs(jobs: Sequence[Job], root: Path, stream: TextIO) -> None:
    """Write the table of runs, with paths as the other commands take them.

    Those of ``root``/outputs are relative to ``root``, where such commands would be given.
    """
    usual = jobs[0].folder.relative_to(root).parts[:1] in [(name,) for name in FOLDERS]
    keys = [*differing(jobs), *(["TAGS"] if any("TAGS" in job.settings for job in jobs) else [])]
    cells = [_cells(job, root if usual else None, keys) for job in jobs]
    columns = len(_HEADING) if keys else _SETTINGS
    rows = [row[:columns] for row in (_HEADING, *cells)]
    for text, job in zip(_fitted(rows, stream), (None, *jobs), strict=True):
        stream.write(f"{text}\n")
        if job is not None and job.reason:
            stream.write(f"    {in_short(job.reason)}\n")
        for note in job.notes if job is not None else ():
            stream.write(f"    note {in_short(str(note))}\n")


def _fitted(rows: Sequence[Row], stream: TextIO) -> list[str]:
    """Return a line for each row: on a narrow terminal without sizes, or else two lines."""
    lines = table(rows, _LEFT)
    width = shutil.get_terminal_size().columns if stream.isatty() else math.inf
    if len(lines[0]) < width:
        return lines
    rows = [(*row[:_SIZE], *row[_SIZE + 1 :]) for row in rows]
    left = {*_LEFT, _SIZE}
    lines = table(rows, left)
    if len(lines[0]) < width:
        return lines
    below = table([("", *row[1:]) for row in rows], left)  # the folder has its own line
    return [f"{row[0]}\n{line}" for row, line in zip(rows, below, strict=True)]


def as_csv(jobs: Sequence[Job]) -> str:
    """Return the list as CSV with all digits, with a column for each key that differs."""
    keys = differing(jobs)
    none = Job(folder=Path(os.devnull), created=0.0, state="", number=0)
    return csv_text([_as_row(job, keys) for job in jobs], _as_row(none, ()))


def as_json(jobs: Sequence[Job]) -> str:
    """Return the list as JSON with all digits; ``overrides`` has all that was given to a run."""
    return json.dumps([_as_object(job) for job in jobs], indent=1) + "\n"


def no_runs(root: Path) -> str:
    """Return that there are none, where they would be, and how to start one."""
    places = " or ".join(str(root / name) for name in FOLDERS)
    return f"No runs in {places}. Start one: snnrun train dataset=yinyang"


def _as_object(job: Job) -> dict[str, object]:
    told = {key: value for key, value in job_as_object(job).items() if key != "number"}
    kept = {"size": job.size, "notes": [asdict(note) for note in job.notes]}
    return {"name": job.name, "dataset": job.dataset, **told, **kept}


def _as_row(job: Job, keys: Iterable[str]) -> dict[str, object]:
    told = _as_object(job)
    del told["overrides"]
    told["notes"] = "; ".join(f"{note.when} {note.text}" for note in job.notes)
    return {**told, **{key: value_of(job, key) for key in keys}}


def _cells(job: Job, root: Path | None, keys: Sequence[str]) -> tuple[str, ...]:
    shares = (job.train_score, job.validation_score, job.test_score, job.test_best_score)
    accuracies = ["-" if math.isnan(share) else f"{100 * share:.2f}" for share in shares]
    folder = job.folder.relative_to(root) if root else job.folder
    epochs = f"{job.epochs}/{job.n_epochs}" if job.n_epochs else ""
    values = ((key, value_of(job, key)) for key in keys)
    settings = " ".join(f"{key}={value}" for key, value in values if value)
    size = size_in_words(job.size)
    return (str(folder), job.name, job.dataset, epochs, job.state, *accuracies, size, settings)
