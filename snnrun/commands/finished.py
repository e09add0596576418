"""Resuming a run that has nothing left to do."""

from __future__ import annotations

from pathlib import Path

from snnrun.config import Config
from snnrun.record.paths import RunPaths
from snnrun.record.reader import load_run
from snnrun.shell import command
from snnrun.training.early import out_of_patience, to_go_on


def nothing_left(config: Config, folder: Path) -> str:
    """Return that the run has finished and how to go on, or "" if epochs or its test are left.

    Args:
        config: The configuration that the run would go on with.
        folder: The run folder.
    """
    if not RunPaths(folder).run.exists():
        return ""
    run = load_run(folder)
    done = len(run.epochs.get("epoch", ()))
    ended, more = f"all of its {done} epochs are done", [f"N_EPOCH={2 * done}"]
    if done < config.N_EPOCH:  # by a setting, unless somebody wanted it to end where it did
        about = run.epochs, config, run.task
        ended, more = out_of_patience(*about), to_go_on(*about)
    if not run.finished or done > config.N_EPOCH or not ended:
        return ""
    return (
        f"{folder}: finished, {ended}; nothing was changed. To train it for longer:\n"
        f"  {command('resume', folder, *more)}"
    )
