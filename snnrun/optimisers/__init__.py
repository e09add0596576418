"""How gradients become steps: optimisers, and learning-rate schedules."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from snnrun.keys.files import GENERAL
from snnrun.load import find
from snnrun.optimisers.built_in import ADAM, ADAMW, LION, PLAIN, RMSPROP, SGD
from snnrun.optimisers.optimiser import Optimiser, Update, option
from snnrun.optimisers.schedules import CONSTANT, COSINE, ONE_CYCLE, PLATEAU, Moment, Schedule

__all__ = [
    "GENERAL",
    "OPTIMISERS",
    "SCHEDULES",
    "Moment",
    "Optimiser",
    "Schedule",
    "Update",
    "find_optimiser",
    "find_schedule",
    "optimiser_of",
    "optimiser_of_pairs",
    "option",
]

OPTIMISERS = {one.name: one for one in (ADAM, ADAMW, SGD, RMSPROP, LION)}
OF_PAIRS = {"sgd": PLAIN, "adam": ADAM}  # rule.optimiser

SCHEDULES = {one.name: one for one in (CONSTANT, COSINE, ONE_CYCLE, PLATEAU)}


def find_schedule(name: str, where: str = "schedule.name") -> Schedule:
    """Return the built-in schedule ``name``, or the one of a dotted path that ``where`` holds."""
    return find(name, SCHEDULES, Schedule, where)


def find_optimiser(name: str, where: str = "optimiser.name") -> Optimiser:
    """Return the built-in optimiser ``name``, or the one of a dotted path that ``where`` holds."""
    return find(name, OPTIMISERS, Optimiser, where)


def optimiser_of(values: Mapping[str, Any]) -> Update:
    """Return the chosen optimiser with the values of keys."""
    return find_optimiser(values["optimiser.name"]).bind(values)


def optimiser_of_pairs(name: str, values: Mapping[str, Any]) -> Update:
    """Return that of projections with rule.optimiser=``name``, whose changes are not clipped."""
    apart = {key: value for key, value in values.items() if not key.startswith("optimiser.")}
    return OF_PAIRS[name].bind(apart)
