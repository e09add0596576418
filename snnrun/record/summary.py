"""A run in a few figures, read in about a millisecond: what lists of many runs are made of."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import h5py
import numpy as np

from snnrun.errors import SnnrunError
from snnrun.record.ending import read_end
from snnrun.record.evaluation import best_of_final_tests, latest_figures
from snnrun.record.owner import read_owner
from snnrun.record.paths import RunPaths
from snnrun.record.provenance import CONFIG
from snnrun.record.runfile import open_run, task_of
from snnrun.tasks import Task
from snnrun.tasks.task import SPLITS

_TOP = re.compile(r"^(NAME|CHECKPOINT_BEST): (.*)$", re.MULTILINE)
_DATASET = re.compile(r"^dataset:\n(?: .*\n)*?  name: (.*)$", re.MULTILINE)
_RECENT = 5  # epochs by which the time of those to come is judged


@dataclass(frozen=True, kw_only=True)
class Summary:
    """What is known of a run by its folder. Scores are those of its task.

    Args:
        folder: The run folder.
        created: When it began, in seconds since 1970.
        state: One of snnrun.record.ending.STATES.
        reason: What ended the run, or why it cannot be read.
        epochs: How many are done and recorded, of ``n_epochs`` (0 where nothing is recorded).
        host: The machine that works on it, or did so last.
        seconds: That its epochs took, over all processes that worked on it.
        seconds_left: Until its last epoch, as far as one can tell; None of one that does not run.
        train_score: Of the last epoch; NaN where there is none, as all scores.
        validation_score: Of the last epoch.
        best_score: The highest score of an epoch, of the split that CHECKPOINT_BEST names.
        test_score: Of the last weights, by the run itself or else by the latest `snnrun test`.
        test_best_score: Of the weights of the best epoch.
    """

    folder: Path
    created: float
    state: str
    reason: str = ""
    name: str = ""
    dataset: str = ""
    epochs: int = 0
    n_epochs: int = 0
    host: str = ""
    seconds: float = 0.0
    seconds_left: float | None = None
    train_score: float = math.nan
    validation_score: float = math.nan
    best_score: float = math.nan
    test_score: float = math.nan
    test_best_score: float = math.nan


def run_folders(top: Path, deepest: float = math.inf) -> Iterator[Path]:
    """Yield the run folders in ``top``, itself and so many levels below it; none within another."""
    for folder, below, files in os.walk(top):
        paths = RunPaths(Path(folder))
        if not {paths.run.name, paths.pid.name, paths.end.name}.isdisjoint(files):
            below.clear()
            yield paths.root
        elif len(paths.root.parts) - len(top.parts) >= deepest:
            below.clear()


def read_summary(folder: Path) -> Summary:
    """Return what is known of a run; of one that cannot be read, why."""
    paths = RunPaths(folder)
    created = folder.stat().st_mtime
    try:
        if paths.run.exists():
            with open_run(paths) as file:
                return _from_record(paths, file)
    except (SnnrunError, OSError, ValueError, KeyError) as error:
        return Summary(folder=folder, created=created, state="unreadable", reason=str(error))
    end, owner = read_end(paths, finished=False), read_owner(paths)
    name, dataset = _composed(paths)
    return Summary(
        folder=folder,
        created=created,
        state=end.state,
        reason=end.reason,
        name=name,
        dataset=dataset,
        host=owner.host if owner else "",
    )


def _composed(paths: RunPaths) -> tuple[str, str]:
    """Return name and data set of a run that has recorded nothing, as Hydra composed them."""
    try:
        text = paths.config.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return "", ""
    dataset = _DATASET.search(text)
    return _entry(text, "NAME"), dataset[1].strip("'\"") if dataset else ""


def _entry(text: str, name: str) -> str:
    """Return an entry of a configuration in YAML that is one word, without reading all of it."""
    return dict(_TOP.findall(text)).get(name, "").strip("'\"")


def _from_record(paths: RunPaths, file: h5py.File) -> Summary:
    about, task, epochs = file.attrs, task_of(file), file["epochs"]
    end, owner = read_end(paths, bool(about["finished"])), read_owner(paths)
    done = len(epochs["epoch"]) if "epoch" in epochs else 0
    n_epochs, seconds = int(about["n_epochs"]), _column(epochs, task, "seconds")
    left = float(np.mean(seconds[-_RECENT:]) * (n_epochs - done)) if len(seconds) else None
    watched = SPLITS.get(_entry(file[CONFIG].asstr()[()], "CHECKPOINT_BEST"), "")
    scores = _column(epochs, task, task.column(watched))
    best = float(np.nanmax(scores)) if np.isfinite(scores).any() else math.nan
    tested, tested_best = _tests(file, task)
    if np.isfinite(scores).any() and int(np.nanargmax(scores)) == len(scores) - 1:
        tested_best = _figure(file["test"], task)
    return Summary(
        folder=paths.root,
        created=datetime.fromisoformat(str(about["created"])).timestamp(),
        state=end.state,
        reason=end.reason,
        name=str(about["name"]),
        dataset=str(about["dataset"]),
        epochs=done,
        n_epochs=n_epochs,
        host=owner.host if owner else str(about.get("hostname", "")),
        seconds=float(np.nansum(seconds)),
        seconds_left=left if end.state == "running" else None,
        train_score=_last(_column(epochs, task, task.column("train"))),
        validation_score=_last(_column(epochs, task, task.column("validation"))),
        best_score=best,
        test_score=tested,
        test_best_score=tested_best,
    )


def _tests(file: h5py.File, task: Task) -> tuple[float, float]:
    """Return the score of the last weights on the test set, and that of the best ones."""
    own, best = _figure(file["test"], task), best_of_final_tests(file)
    later = latest_figures(file)
    if math.isnan(own) and later is not None:
        own = _figure(later, task)
    return own, math.nan if best is None else _figure(best, task)


def _figure(group: h5py.Group, task: Task) -> float:
    values = _column(group, task, task.score)
    return float(values) if values.ndim == 0 else math.nan


def _column(group: h5py.Group, task: Task, name: str) -> np.ndarray:
    """Return a column by the name that it has today; empty where there is none."""
    for stored in (name, *(old for old, today in task.older_names.items() if today == name)):
        if stored in group:
            return np.asarray(group[stored][()], float)
    return np.empty(0)


def _last(scores: np.ndarray) -> float:
    return float(scores[-1]) if len(scores) else math.nan
