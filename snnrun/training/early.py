"""What ends a training before its last epoch, as if it had been the last: PATIENCE, a callback."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np

from snnrun.config import Config
from snnrun.errors import ConfigError
from snnrun.tasks import Task

Row = Mapping[str, float | int | None]
OnEpoch = Callable[[Row], bool | None]
"""Is given the figures of an epoch that has ended, and returns whether the training ends with it.

The figures are those of snnrun.record.columns.EPOCHS; what an epoch does not have is NaN or None.
"""

ASKED = "stopped early after epoch {epoch}, as on_epoch asked for it"


def out_of_patience(epochs: Mapping[str, np.ndarray], config: Config, task: Task) -> str:
    """Return why the training ends with the last of these epochs, or nothing if it goes on.

    It depends on the figures alone, so that a run which is resumed, with more patience too, goes on
    as if it had never been stopped.
    """
    name = config.PATIENCE_WHICH
    column = task.scores(epochs, name)
    if config.PATIENCE is None or column is None:
        return ""
    best = int(np.nanargmax(column))  # the first of equals: no better is no progress
    since = len(column) - 1 - best
    if since < config.PATIENCE:
        return ""
    last, first = int(epochs["epoch"][-1]), int(epochs["epoch"][best])
    counted = f"{since} epoch{'s' if since > 1 else ''}"
    return (
        f"stopped early after epoch {last}: no better {name} {task.word} for {counted} (the best "
        f"was {task.says(column[best])}, in epoch {first})"
    )


def to_go_on(epochs: Mapping[str, np.ndarray], config: Config, task: Task) -> list[str]:
    """Return the settings with which a training that ended early goes on, as NAME=VALUE."""
    waited = out_of_patience(epochs, config, task)
    return [f"PATIENCE={2 * (config.PATIENCE or 1)}"] if waited else []


def asks_to_stop(on_epoch: OnEpoch, row: Row) -> bool:
    """Call the user's function, and return whether it wants the training to end.

    Raises:
        ConfigError: It returned something else than True, False or None.
    """
    answer = on_epoch(MappingProxyType(dict(row)))
    if answer is None or isinstance(answer, bool | np.bool_):
        return bool(answer)
    raise ConfigError(
        f"on_epoch returned {answer!r}: must be True, to end the training, or False or None, to go "
        "on"
    )
