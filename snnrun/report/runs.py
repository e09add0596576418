"""The list of runs: what there is, how many epochs each has done, how it ended, and accuracies."""

from __future__ import annotations

import math
import os
import shutil
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TextIO

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError  # type: ignore[import-untyped]

from snnrun.errors import SnnrunError
from snnrun.numbers import table
from snnrun.record.ending import read_end
from snnrun.record.paths import RunPaths
from snnrun.record.reader import Run, load_run

FOLDERS = ("outputs", "multirun")  # where Hydra puts runs, below the working folder
DEEPEST = 4  # outputs/multirun/<date>/<time>/<job>

_SCORES = ("train%", "valid%", "test%", "best%")
_HEADING = ("run", "name", "dataset", "epochs", "state", *_SCORES)
_LONGEST_PROBLEM = 240
_LEFT = (0, 1, 2, 4)  # columns of words


@dataclass(frozen=True, kw_only=True)
class RunLine:
    """One line of the list; ``problem`` says what ended the run, or why it cannot be read."""

    folder: Path
    created: float  # seconds since 1970, to sort by
    state: str  # one of snnrun.record.ending.STATES
    name: str = ""
    dataset: str = ""
    epochs: int = 0  # that are recorded
    n_epochs: int = 0  # that it is to train, 0 where nothing is recorded
    train_score: float = math.nan  # of the last epoch; 1 is perfect
    validation_score: float = math.nan
    test_score: float = math.nan
    test_best_score: float = math.nan  # with the best weights, chosen by CHECKPOINT_BEST
    problem: str = ""


def find_runs(root: Path) -> list[RunLine]:
    """Return the runs in ``root``/outputs and ``root``/multirun, the newest first.

    Where those have none, ``root`` may itself be such a folder, or that of a sweep.
    """
    folders = [folder for name in FOLDERS for folder in _run_folders(root / name)]
    if not folders and root != Path():
        folders = list(_run_folders(root, DEEPEST))
    lines = [_line(RunPaths(folder)) for folder in folders]
    # folders are named by the time, to a fraction of a second
    return sorted(lines, key=lambda line: (line.created, str(line.folder)), reverse=True)


def list_runs(root: Path, stream: TextIO) -> None:
    """Write the table of runs, with paths as the other commands take them.

    Those of ``root``/outputs are relative to ``root``, where such commands would be given.
    """
    lines = find_runs(root)
    if not lines:
        places = " or ".join(str(root / name) for name in FOLDERS)
        stream.write(f"No runs in {places}. Start one: snnrun train dataset=yinyang\n")
        return
    usual = lines[0].folder.relative_to(root).parts[0] in FOLDERS
    cells = [_cells(line, root if usual else None) for line in lines]
    rows = [_HEADING, *cells]
    shown = table(rows, _LEFT)
    if stream.isatty() and len(shown[0]) >= shutil.get_terminal_size().columns:
        below = table([("", *row[1:]) for row in rows], _LEFT)  # the folder has its own line
        shown = [f"{row[0]}\n{line}" for row, line in zip(rows, below, strict=True)]
    problems = ["", *(line.problem for line in lines)]
    for text, problem in zip(shown, problems, strict=True):
        stream.write(f"{text}\n")
        if problem:
            stream.write(f"    {_in_short(problem)}\n")


def _in_short(problem: str) -> str:
    """Return a message as one line, if need be cut: all of it is in run.log."""
    return textwrap.shorten(problem, _LONGEST_PROBLEM, placeholder=" ...")


def _run_folders(top: Path, deepest: float = math.inf) -> Iterator[Path]:
    for folder, below, files in os.walk(top):
        paths = RunPaths(Path(folder))
        if not {paths.run.name, paths.pid.name, paths.end.name}.isdisjoint(files):
            below.clear()
            yield paths.root
        elif len(paths.root.parts) - len(top.parts) >= deepest:
            below.clear()


def _line(paths: RunPaths) -> RunLine:
    started = paths.root.stat().st_mtime
    try:
        if paths.run.exists():
            return _from_record(load_run(paths.root))
    except (SnnrunError, OSError, ValueError, KeyError) as error:
        return RunLine(folder=paths.root, created=started, state="unreadable", problem=str(error))
    end = read_end(paths, finished=False)
    name, dataset = _composed(paths)
    return RunLine(
        folder=paths.root,
        created=started,
        state=end.state,
        problem=end.reason,
        name=name,
        dataset=dataset,
    )


def _composed(paths: RunPaths) -> tuple[str, str]:
    """Return name and data set of a run that has recorded nothing, as Hydra composed them."""
    try:
        config = OmegaConf.load(paths.config)
        return str(config.NAME), str(config.dataset.name)
    except (OSError, AttributeError, OmegaConfBaseException, YAMLError):
        return "", ""


def _from_record(run: Run) -> RunLine:
    about = run.provenance
    return RunLine(
        folder=run.paths.root,
        created=datetime.fromisoformat(str(about["created"])).timestamp(),
        state=run.state,
        problem=run.reason,
        name=str(about["name"]),
        dataset=str(about["dataset"]),
        epochs=len(run.epochs.get("epoch", ())),
        n_epochs=int(about["n_epochs"]),
        train_score=run.score.get("train", math.nan),
        validation_score=run.score.get("validation", math.nan),
        test_score=_tested(run),
        test_best_score=run.test_best.get(run.task.score, math.nan),
    )


def _tested(run: Run) -> float:
    """Return the score of the run's own test, or else that of the latest `snnrun test`."""
    later = [test.figures for test in run.tests[-1:]]
    return (run.test or (later[0] if later else {})).get(run.task.score, math.nan)


def _cells(line: RunLine, root: Path | None) -> tuple[str, ...]:
    shares = (line.train_score, line.validation_score, line.test_score, line.test_best_score)
    accuracies = ["-" if math.isnan(share) else f"{100 * share:.2f}" for share in shares]
    folder = line.folder.relative_to(root) if root else line.folder
    epochs = f"{line.epochs}/{line.n_epochs}" if line.n_epochs else ""
    return (str(folder), line.name, line.dataset, epochs, line.state, *accuracies)
