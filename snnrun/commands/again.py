"""The same command started again in the folder of a run, as launchers and people do.

Slurm and submitit start a preempted job anew with what it was started with, and a sweep with a
fixed hydra.sweep.dir can be run again. The run then goes on from its checkpoint; one that is
finished is left as it is. With another configuration nothing in the folder is touched.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from snnrun.commands.application import Job, save
from snnrun.commands.saved_run import changeable, load
from snnrun.config import Config, differences, validate
from snnrun.errors import RecordError
from snnrun.keys.kinds import shown
from snnrun.record.paths import FoldPaths, RunPaths
from snnrun.record.reader import load_run
from snnrun.record.saved import load_config
from snnrun.shell import command


def begin(job: Job) -> tuple[Config, bool]:
    """Return the configuration with which to go on in the job's folder, and whether to resume.

    The configuration of a new run is written to the folder. Of a run that is there it is the one
    with which `snnrun resume` would go on: with the seed that was drawn, and with what earlier
    resumes were given. The caller owns the folder.

    Raises:
        RecordError: The folder holds a run with another configuration.
    """
    config, folder = job.config, job.folder
    paths = RunPaths(folder)
    trained = paths.run.exists() or paths.last.exists() or FoldPaths(folder).begun
    if paths.overrides.exists():  # written last
        present = load(folder, [], "resume", keep=True)
        original = validate(load_config(paths.config))
        drawn = job.cfg.get("MODEL_SEED") is None
        different = _different(present, config, drawn)
        if not different or not _different(original, config, drawn):
            return present, True
        if trained:
            raise RecordError(_refusal(folder, different, config))
    elif trained:
        raise RecordError(
            f"{folder}: holds a run already, whose configuration is lost; choose another folder"
        )
    paths.resumed.unlink(missing_ok=True)  # of a run that never began
    save(job.cfg, folder, config.MODEL_SEED)
    return config, False


def _different(there: Config, now: Config, drawn: bool) -> dict[str, str]:
    """Return what differs; with ``drawn`` the seed now is one of a null, for which any will do."""
    found = differences(there.by_key(), now.by_key())
    if drawn:
        found.pop("MODEL_SEED", None)
    return found


def score(folder: Path, config: Config) -> float:
    """Return what ``snnrun.run.train`` returned at the end of a run: what a sweep optimises."""
    run = load_run(folder)
    watched = run.task.scores(run.epochs, config.CHECKPOINT_BEST)
    if watched is not None:
        return float(np.nanmax(watched))
    return float(run.epochs[run.task.column("train")][-1])


def _refusal(folder: Path, different: Mapping[str, str], config: Config) -> str:
    lines = [f"  {key}: {difference}" for key, difference in different.items()]
    if FoldPaths(folder).begun:
        go_on = command("crossval", folder)
    else:
        same = all(key in changeable("resume") for key in different)
        values = config.by_key() if same else {}
        words = [f"{key}={shown(values[key])}" for key in different if key in values]
        go_on = command("resume", folder, *words)
    return "\n".join(
        [
            f"{folder}: holds a run already, with another configuration:",
            *lines,
            f"Go on with it by `{go_on}`, or choose another folder",
        ]
    )
