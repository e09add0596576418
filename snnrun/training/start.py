"""Starting from the weights of an earlier run (LOAD_LAST, LOAD_BEST)."""

from __future__ import annotations

import os
from pathlib import Path

from snnrun.backends.base import Backend
from snnrun.config import Config
from snnrun.errors import CheckpointError
from snnrun.record.atomic import RecordError
from snnrun.record.paths import RunPaths
from snnrun.record.reader import load_run
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
    load_tensors(load(checkpoint), backend, moments=False, where=str(checkpoint))
    return checkpoint
