"""What a run has to do with earlier ones: weights to start from, and the data of the run itself."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from snnrun.backends.base import Backend
from snnrun.config import Config
from snnrun.datasets.fingerprint import Fingerprint, differences
from snnrun.errors import CheckpointError, DataError, RecordError
from snnrun.notice import Notice
from snnrun.record.paths import RunPaths
from snnrun.record.provenance import DATA
from snnrun.record.reader import load_run
from snnrun.record.runfile import open_run, sessions
from snnrun.shell import command
from snnrun.training.checkpoint import load
from snnrun.training.state import load_tensors


def load_earlier_run(config: Config, paths: RunPaths, backend: Backend) -> Path:
    """Give the backend the weights of the newest earlier run of this NAME; return the checkpoint.

    Raises:
        CheckpointError: There is no such run with that checkpoint, or it is of another network.
    """
    key = "LOAD_BEST" if config.LOAD_BEST else "LOAD_LAST"
    top = Path(os.path.expanduser(config.OUT_DIR)) / "outputs"
    found: list[tuple[float, Path]] = []
    for file in top.glob("**/run.h5"):
        other = RunPaths(file.parent)
        checkpoint = other.best if config.LOAD_BEST else other.last
        if file.parent.resolve() == paths.root.resolve() or not checkpoint.exists():
            continue
        try:
            name = load_run(file.parent).provenance["name"]
        except RecordError:
            continue
        if name == config.NAME:
            found.append((checkpoint.stat().st_mtime, checkpoint))
    if not found:
        raise CheckpointError(
            f"{key}=true: no earlier run with NAME={config.NAME} and such a checkpoint below "
            f"{top}. `snnrun runs` lists the runs; to go on with a run, use `snnrun resume RUN`"
        )
    checkpoint = max(found)[1]
    load_tensors(load(checkpoint), backend, states=False, where=str(checkpoint))
    return checkpoint


def require_same_data(config: Any, paths: RunPaths, now: Fingerprint) -> tuple[Notice, ...]:
    """Raise DataError where the data of the run in ``paths`` were others than those ``now``.

    With dataset.changed=accept that is a notice instead. Runs that noted no fingerprint, as those
    of earlier versions, are not compared.
    """
    if not paths.run.exists():
        return ()
    with open_run(paths) as file:
        noted = [str(session[DATA]) for session in sessions(file) if DATA in session]
    other = differences(noted[-1], now) if noted else ""
    if not other:
        return ()
    if config.dataset.changed == "accept":
        text = f"the run goes on with other data than before: {other}"
        return (Notice(what="other data", message=text),)
    go_on = command("resume", paths.root, "dataset.changed=accept")
    raise DataError(
        f"dataset {config.dataset.name}: the data are not those that the run in {paths.root} has "
        f"trained on: {other}. Give it the data back (dataset.path=FOLDER), start another run, or "
        f"go on with these:\n  {go_on}"
    )
