"""What must hold between the keys of optimiser and schedule."""

from __future__ import annotations

from collections.abc import Iterator

from snnrun.errors import ConfigError, ModelError
from snnrun.keys.check import Checks, Values
from snnrun.optimisers import find_optimiser, find_schedule, optimiser_of

CHECKS = Checks()


@CHECKS.add
def _optimiser_works(values: Values) -> Iterator[str]:
    try:
        if set(values) >= find_optimiser(values["optimiser.name"]).keys:
            optimiser_of(values)
    except (ConfigError, ModelError) as error:
        yield str(error)


@CHECKS.add
def _one_kind_of_clipping(values: Values) -> Iterator[str]:
    norm, value = values["optimiser.clip_norm"], values["optimiser.clip_value"]
    if norm is not None and value is not None:
        yield (
            f"optimiser.clip_norm={norm:g}, optimiser.clip_value={value:g}: gradients are clipped "
            "by norm or by value; give one of them"
        )


@CHECKS.add
def _nesterov_has_momentum(values: Values) -> Iterator[str]:
    if (
        values["optimiser.name"] == "sgd"
        and values["optimiser.nesterov"]
        and values["optimiser.momentum"] == 0
    ):
        yield "optimiser.nesterov=true: has no effect with optimiser.momentum=0; leave it out"


@CHECKS.add
def _delays_have_a_rate(values: Values) -> Iterator[str]:
    if "delays" in values["optimiser.rates"]:
        yield "optimiser.rates.delays: the learning rate of delays is ETA_DELAY; use that"


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
