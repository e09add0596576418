"""The list of runs: what there is, how far each came, and how good it is."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TextIO

from snnrun.errors import SnnrunError
from snnrun.record.owner import running
from snnrun.record.paths import RunPaths
from snnrun.record.reader import Run, load_run

FOLDERS = ("outputs", "multirun")  # where Hydra puts runs, below the working folder

_HEADING: tuple[str, ...] = (
    "run",
    "name",
    "dataset",
    "epochs",
    "state",
    "train%",
    "valid%",
    "test%",
)
_RIGHT_ALIGNED = (3, 5, 6, 7)


@dataclass(frozen=True, kw_only=True)
class RunLine:
    """One line of the list; ``problem`` says why nothing is known of a run that cannot be read."""

    folder: Path
    created: float  # seconds since 1970, to sort by
    state: str  # running, finished, interrupted or unreadable
    name: str = ""
    dataset: str = ""
    epochs: str = ""
    train: float = math.nan  # accuracies of the last epoch, as shares of 1
    validation: float = math.nan
    test: float = math.nan
    problem: str = ""


def find_runs(root: Path) -> list[RunLine]:
    """Return the runs in ``root``/outputs and ``root``/multirun, the newest first."""
    folders = [folder for name in FOLDERS for folder in _run_folders(root / name)]
    lines = [_line(RunPaths(folder)) for folder in folders]
    return sorted(lines, key=lambda line: (-line.created, str(line.folder)))


def list_runs(root: Path, stream: TextIO) -> None:
    """Write the table of runs, with paths relative to ``root``, as the other commands take them."""
    lines = find_runs(root)
    if not lines:
        places = " or ".join(str(root / name) for name in FOLDERS)
        stream.write(f"No runs in {places}. Start one: snnrun train dataset=yinyang\n")
        return
    cells = [_cells(line, root) for line in lines]
    rows = [_HEADING, *cells]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADING))]
    stream.write(_aligned(_HEADING, widths))
    for line, row in zip(lines, cells, strict=True):
        stream.write(_aligned(row, widths))
        if line.problem:
            stream.write(f"    {line.problem}\n")


def _run_folders(top: Path) -> Iterator[Path]:
    for folder, below, files in os.walk(top):
        paths = RunPaths(Path(folder))
        if paths.run.name in files or paths.pid.name in files:
            below.clear()
            yield paths.root


def _line(paths: RunPaths) -> RunLine:
    started = paths.root.stat().st_mtime
    try:
        if paths.run.exists():
            return _from_record(load_run(paths.root))
    except (SnnrunError, OSError, ValueError, KeyError) as error:
        return RunLine(folder=paths.root, created=started, state="unreadable", problem=str(error))
    state = "running" if running(paths) else "interrupted"
    return RunLine(folder=paths.root, created=started, state=state)


def _from_record(run: Run) -> RunLine:
    about = run.provenance
    ended = "finished" if run.finished else "interrupted"
    return RunLine(
        folder=run.paths.root,
        created=datetime.fromisoformat(str(about["created"])).timestamp(),
        state="running" if run.running else ended,
        name=str(about["name"]),
        dataset=str(about["dataset"]),
        epochs=f"{len(run.epochs.get('epoch', ()))}/{about['n_epochs']}",
        train=_last(run, "train_accuracy"),
        validation=_last(run, "validation_accuracy"),
        test=run.test.get("accuracy", math.nan),
    )


def _last(run: Run, column: str) -> float:
    values = run.epochs.get(column)
    return math.nan if values is None or not len(values) else float(values[-1])


def _cells(line: RunLine, root: Path) -> tuple[str, ...]:
    shares = (line.train, line.validation, line.test)
    accuracies = ["-" if math.isnan(share) else f"{100 * share:.2f}" for share in shares]
    folder = str(line.folder.relative_to(root))
    return (folder, line.name, line.dataset, line.epochs, line.state, *accuracies)


def _aligned(row: Sequence[str], widths: Sequence[int]) -> str:
    cells = [
        f"{cell:>{width}}" if column in _RIGHT_ALIGNED else f"{cell:<{width}}"
        for column, (cell, width) in enumerate(zip(row, widths, strict=True))
    ]
    return " ".join(cells).rstrip() + "\n"
