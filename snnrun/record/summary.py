"""A run in a few figures, read in about a millisecond: what lists of many runs are made of."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from snnrun.errors import SnnrunError
from snnrun.files import is_temporary
from snnrun.record.ending import read_end
from snnrun.record.evaluation import GROUP as TESTS
from snnrun.record.owner import read_owner
from snnrun.record.paths import RunPaths
from snnrun.record.provenance import CONFIG
from snnrun.record.runfile import open_run
from snnrun.tasks import CLASSIFICATION, TASKS, Task
from snnrun.tasks.task import SPLITS

_TOP = re.compile(r"^(NAME|CHECKPOINT_BEST): (.*)$", re.MULTILINE)
_DATASET = re.compile(r"^dataset:\n(?: .*\n)*?  name: (.*)$", re.MULTILINE)
_NONE = object()
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
        slurm_job: Of Slurm, that works on it, or was killed with it.
        seconds: That its epochs took, over all processes that worked on it.
        memory: The most bytes that a process that worked on it held.
        seconds_left: Until its last epoch, as far as one can tell; None of one that does not run.
        train_score: Of the last epoch; NaN where there is none, as all scores.
        validation_score: Of the last epoch.
        best_score: The highest score of an epoch, of the split that CHECKPOINT_BEST names.
        test_score: Of the last weights, by the run itself or else by the latest `snnrun test`.
        test_best_score: Of the weights of the best epoch.
        operations: Effective synaptic operations of an example, of the test, or else of the last
            epoch; NaN where they were not counted.
        energy: Of the same, in nJ.
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
    slurm_job: str = ""
    seconds: float = 0.0
    memory: float = math.nan
    seconds_left: float | None = None
    train_score: float = math.nan
    validation_score: float = math.nan
    best_score: float = math.nan
    test_score: float = math.nan
    test_best_score: float = math.nan
    operations: float = math.nan
    energy: float = math.nan

    @property
    def seconds_per_epoch(self) -> float:
        """The mean time of an epoch; NaN where none is done."""
        return self.seconds / self.epochs if self.epochs else math.nan


def run_folders(top: Path, deepest: float = math.inf) -> Iterator[Path]:
    """Yield the run folders in ``top``, itself and so many levels below it; none within another."""
    for folder, below, files in os.walk(top):
        below[:] = [name for name in below if not is_temporary(name)]
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
        slurm_job=owner.job if owner else "",
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
    task = TASKS.get(_attribute(file, "task", CLASSIFICATION.name), CLASSIFICATION)
    finished, n_epochs = bool(_attribute(file, "finished")), int(_attribute(file, "n_epochs"))
    end, owner = read_end(paths, finished), read_owner(paths)
    seconds, memory = (_column(file, "epochs", task, n) for n in ("seconds", "peak_memory"))
    watched = SPLITS.get(_entry(bytes(_data(file, CONFIG)[()]).decode(), "CHECKPOINT_BEST"), "")
    train, validation = (_column(file, "epochs", task, task.column(s)) for s in SPLITS.values())
    done = len(train)
    left = float(np.mean(seconds[-_RECENT:]) * (n_epochs - done)) if len(seconds) else None
    scores = {"train": train, "validation": validation}.get(watched, np.empty(0))
    best = int(np.nanargmax(scores)) if np.isfinite(scores).any() else None
    tested, tested_best = _tests(file, task, best is not None and best == len(scores) - 1)
    return Summary(
        folder=paths.root,
        created=datetime.fromisoformat(_attribute(file, "created")).timestamp(),
        state=end.state,
        reason=end.reason,
        name=_attribute(file, "name"),
        dataset=_attribute(file, "dataset"),
        epochs=done,
        n_epochs=n_epochs,
        host=owner.host if owner else _attribute(file, "hostname", ""),
        slurm_job=owner.job if owner else "",
        seconds=float(np.nansum(seconds)),
        memory=float(np.fmax.reduce(memory, initial=math.nan)),
        seconds_left=left if end.state == "running" else None,
        train_score=_last(train),
        validation_score=_last(validation),
        best_score=math.nan if best is None else float(scores[best]),
        test_score=tested,
        test_best_score=tested_best,
        **_costs(file, task),
    )


def _costs(file: h5py.File, task: Task) -> dict[str, float]:
    """Return the operations and the energy of an example, of the first split that has some."""
    for before in ("test/", "epochs/validation_", "epochs/train_"):
        group, _, start = before.partition("/")
        energy, macs, acs = (
            _last(_column(file, group, task, f"{start}{name}"))
            for name in ("energy", "effective_macs", "effective_acs")
        )
        if not math.isnan(energy):
            return {"operations": macs + acs, "energy": energy}
    return {}


def _tests(file: h5py.File, task: Task, last_is_best: bool) -> tuple[float, float]:
    """Return the score of the last weights on the test set, and that of the best ones.

    As snnrun.record.reader has them, who reads all of each test.
    """
    own, latest = _last(_column(file, "test", task, task.score)), math.nan
    best = own if last_is_best else math.nan
    if last_is_best and not math.isnan(own):
        return own, best
    group = f"{TESTS}/0"
    while (final := _attribute(file, "final", _NONE, of=group)) is not _NONE:
        latest = _last(_column(file, f"{group}/figures", task, task.score))
        if final and not last_is_best:
            kind = _attribute(file, "weights", of=group)
            best = latest if kind == "best" else math.nan
        group = f"{TESTS}/{int(group.partition('/')[2]) + 1}"
    return latest if math.isnan(own) else own, best


# HDF5 by h5py's inner interface: its outer one takes three times as long, for some hundred runs


def _attribute(file: h5py.File, name: str, other: Any = None, of: str = ".") -> Any:
    """Return a single number or text among the attributes, or ``other`` where there is none."""
    try:
        attribute = h5py.h5a.open(file.id, name.encode(), obj_name=of.encode())
    except KeyError:
        if other is None:
            raise
        return other
    values = np.empty(attribute.shape, attribute.dtype)
    attribute.read(values)
    value = values[()]
    return value.decode() if isinstance(value, bytes) else value


def _data(file: h5py.File, name: str) -> np.ndarray:
    """Return a data set; empty where there is none."""
    try:
        data = h5py.h5d.open(file.id, name.encode())
    except KeyError:
        return np.empty(0)
    values = np.empty(data.shape, data.dtype)
    data.read(h5py.h5s.ALL, h5py.h5s.ALL, values)
    return values


def _column(file: h5py.File, group: str, task: Task, name: str) -> np.ndarray:
    """Return a column by the name that it has today; empty where there is none."""
    for stored in (name, *(old for old, today in task.older_names.items() if today == name)):
        if (values := _data(file, f"{group}/{stored}")).size:
            return np.atleast_1d(values.astype(float))
    return np.empty(0)


def _last(scores: np.ndarray) -> float:
    return float(scores[-1]) if len(scores) else math.nan
