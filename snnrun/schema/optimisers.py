"""What must hold between the keys of optimiser and schedule."""

from __future__ import annotations

from collections.abc import Iterator

from snnrun.errors import ConfigError
from snnrun.keys.check import Checks, Values
from snnrun.optimisers import find_schedule

CHECKS = Checks()


@CHECKS.add
def _schedule_exists(values: Values) -> Iterator[str]:
    try:
        find_schedule(values["schedule.name"])
    except ConfigError as error:
        yield str(error)


@CHECKS.add
def _warm_up_ends(values: Values) -> Iterator[str]:
    warmup, epochs = values["schedule.warmup"], values["schedule.epochs"] or values["N_EPOCH"]
    if values["schedule.name"] == "cosine" and 0 < epochs <= warmup:
        yield (
            f"schedule.warmup={warmup:g}: must be less than the {epochs} epochs of the training, "
            "in the rest of which the rate falls along the cosine"
        )
