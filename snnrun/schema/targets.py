"""What losses of target spike trains (LOSS_TYPE=van_rossum) need of other keys."""

from __future__ import annotations

from collections.abc import Iterator

from snnrun.keys.check import Values, check
from snnrun.keys.kinds import shown
from snnrun.schema.advice import with_rule
from snnrun.schema.layers import DEFAULT_KEYS, layers_of
from snnrun.schema.model import TARGET_LOSSES

NO_CLASSES = ("COLLECT_CONFUSION", "REC_PREDICTIONS")


@check("rule.name", "LOSS_TYPE", "dataset.name")
def _differentiable(values: Values) -> Iterator[str]:
    name, learns = values["LOSS_TYPE"], values["rule.name"]
    if name in TARGET_LOSSES and learns not in ("surrogate", "superspike"):
        yield (
            f"LOSS_TYPE={name}: compares spike trains step by step, which rule={learns} cannot "
            "differentiate: it takes a loss's derivative by potentials or by the times of first "
            f"spikes; use {with_rule('surrogate', values)} (superspike has this error of itself, "
            "and takes no LOSS_TYPE)"
        )


@check("rule.name", "LOSS_TYPE", "N_BATCH", "TAU_RISE", "TAU_DECAY", *NO_CLASSES)
def _of_spike_trains(values: Values) -> Iterator[str]:
    name = values["LOSS_TYPE"]
    if name not in TARGET_LOSSES or values["rule.name"] != "surrogate":
        return
    if values["N_BATCH"] != 1:
        yield f"N_BATCH={values['N_BATCH']}: LOSS_TYPE={name} needs N_BATCH=1: there is one pattern"
    if values["TAU_RISE"] >= values["TAU_DECAY"]:
        yield (
            f"TAU_RISE={values['TAU_RISE']:g}: must be shorter than "
            f"TAU_DECAY={values['TAU_DECAY']:g} (ms)"
        )
    for key in NO_CLASSES:
        if values[key]:
            yield f"{key}={shown(values[key])}: LOSS_TYPE={name} predicts no class; leave it out"


@check("LOSS_TYPE", "network.layers", *DEFAULT_KEYS)
def _no_reward(values: Values) -> Iterator[str]:
    plastic = [p.name for x in layers_of(values) for p in x.projections if p.rule == "stdp"]
    if values["LOSS_TYPE"] in TARGET_LOSSES and plastic:
        yield (
            f"LOSS_TYPE={values['LOSS_TYPE']}: predicts no class that rule=stdp of "
            f"{', '.join(plastic)} could be rewarded for; give these projections another rule"
        )


CHECKS = (_differentiable, _of_spike_trains, _no_reward)
