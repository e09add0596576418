"""The sweeper of ``sweep=optuna``; Hydra takes sweepers from this package alone.

Hydra imports it at every start, so it imports nothing of ours before there is a search.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hydra.plugins.sweeper import Sweeper


class OptunaSweeper(Sweeper):
    """Runs the trials of a search; conf/sweep/optuna.yaml chooses it.

    Args:
        max_batch_size: None, as a search has no batches; another is refused.
        params: Key -> what is searched, in a file, besides what the command line has.
    """

    def __init__(
        self, max_batch_size: int | None = None, params: Mapping[str, Any] | None = None
    ) -> None:
        self._params = params or {}
        self._given: dict[str, Any] = {}

    def setup(self, *, hydra_context: Any, task_function: Any, config: Any) -> None:
        """Note what Hydra gives."""
        self._given = {"context": hydra_context, "task": task_function, "config": config}

    def sweep(self, arguments: list[str]) -> Any:
        """Search what the words of a command line ask for."""
        from snnrun.commands.searching import search

        params: Sequence[str] = [f"{key}={value}" for key, value in self._params.items()]
        return search([*params, *arguments], **self._given)
