"""The launcher of ``hydra/launcher=slurm``; Hydra takes launchers from this package alone.

Hydra imports it at every start, so it imports nothing of ours before there is something to launch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hydra.plugins.launcher import Launcher


class SlurmLauncher(Launcher):
    """Runs the jobs of a multirun as jobs of Slurm.

    Args:
        settings: As conf/hydra/launcher/slurm.yaml has them.
    """

    def __init__(self, **settings: Any) -> None:
        self._settings = settings
        self._given: tuple[Any, Any] = (None, None)

    def setup(self, *, hydra_context: Any, task_function: Any, config: Any) -> None:
        """Note what Hydra gives; the jobs compose their configurations where they run."""
        self._given = config, task_function

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Any:
        """Submit the jobs, and wait for them unless they are to be left."""
        from snnrun.commands.slurm import launch

        return launch(job_overrides, initial_job_idx, *self._given, self._settings)
