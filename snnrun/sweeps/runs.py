"""The list of runs: what there is, how many epochs each has done, how it ended, and accuracies."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TextIO

from snnrun.numbers import csv_text, table
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
}

_SCORES = ("train%", "valid%", "test%", "best%")
_HEADING = ("run", "name", "dataset", "epochs", "state", *_SCORES, "settings")
_LEFT = (0, 1, 2, 4, 9)  # columns of words


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
    usual = jobs[0].folder.relative_to(root).parts[0] in FOLDERS
    keys = [*differing(jobs), *(["TAGS"] if any("TAGS" in job.settings for job in jobs) else [])]
    cells = [_cells(job, root if usual else None, keys) for job in jobs]
    columns = len(_HEADING) if keys else len(_HEADING) - 1
    rows = [row[:columns] for row in (_HEADING, *cells)]
    shown = table(rows, _LEFT)
    if stream.isatty() and len(shown[0]) >= shutil.get_terminal_size().columns:
        below = table([("", *row[1:]) for row in rows], _LEFT)  # the folder has its own line
        shown = [f"{row[0]}\n{line}" for row, line in zip(rows, below, strict=True)]
    problems = ["", *(job.reason for job in jobs)]
    for text, problem in zip(shown, problems, strict=True):
        stream.write(f"{text}\n")
        if problem:
            stream.write(f"    {in_short(problem)}\n")


def as_csv(jobs: Sequence[Job]) -> str:
    """Return the list as CSV with all digits, with a column for each key that differs."""
    keys = differing(jobs)
    none = Job(folder=Path(), created=0.0, state="", number=0)
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
    return {"name": job.name, "dataset": job.dataset, **told}


def _as_row(job: Job, keys: Iterable[str]) -> dict[str, object]:
    told = _as_object(job)
    del told["overrides"]
    return {**told, **{key: value_of(job, key) for key in keys}}


def _cells(job: Job, root: Path | None, keys: Sequence[str]) -> tuple[str, ...]:
    shares = (job.train_score, job.validation_score, job.test_score, job.test_best_score)
    accuracies = ["-" if math.isnan(share) else f"{100 * share:.2f}" for share in shares]
    folder = job.folder.relative_to(root) if root else job.folder
    epochs = f"{job.epochs}/{job.n_epochs}" if job.n_epochs else ""
    values = ((key, value_of(job, key)) for key in keys)
    settings = " ".join(f"{key}={value}" for key, value in values if value)
    return (str(folder), job.name, job.dataset, epochs, job.state, *accuracies, settings)
