"""Resuming a run that has nothing left to do."""

from __future__ import annotations

from pathlib import Path

from snnrun.config import Config
from snnrun.record.paths import RunPaths
from snnrun.record.reader import load_run
from snnrun.shell import command


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
    if not run.finished or done != config.N_EPOCH:
        return ""
    return (
        f"{folder}: finished, all of its {done} epochs are done; nothing was changed. To train it "
        f"for longer:\n  {command('resume', folder, f'N_EPOCH={2 * done}')}"
    )
