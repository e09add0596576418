"""The sweeper of multiruns without a search; Hydra takes sweepers from this package alone.

Hydra imports it at every start, so it imports nothing of ours before there are jobs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hydra.core.plugins import Plugins
from hydra.plugins.sweeper import Sweeper


class Grid(Sweeper):
    """Runs every combination of the values that were given; conf/hydra/sweeper/grid.yaml.

    Args:
        max_batch_size: So many jobs are launched together; None: all.
        params: Key -> values, in a file, besides what the command line has.
    """

    def __init__(
        self, max_batch_size: int | None = None, params: Mapping[str, Any] | None = None
    ) -> None:
        self._size = max_batch_size
        self._params = params or {}
        self._given: dict[str, Any] = {}

    def setup(self, *, hydra_context: Any, task_function: Any, config: Any) -> None:
        """Note the configuration, and make the launcher."""
        launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )
        self._given = {"launcher": launcher, "config": config, "size": self._size}

    def sweep(self, arguments: list[str]) -> Any:
        """Launch the jobs that the words of a command line ask for."""
        from snnrun.commands.grid import launch

        return launch([*(f"{k}={v}" for k, v in self._params.items()), *arguments], **self._given)
