"""How gradients become steps: learning-rate schedules."""

from __future__ import annotations

from snnrun.load import find
from snnrun.optimisers.schedules import CONSTANT, COSINE, ONE_CYCLE, PLATEAU, Moment, Schedule

__all__ = ["SCHEDULES", "Moment", "Schedule", "find_schedule"]

SCHEDULES = {one.name: one for one in (CONSTANT, COSINE, ONE_CYCLE, PLATEAU)}


def find_schedule(name: str, where: str = "schedule.name") -> Schedule:
    """Return the built-in schedule ``name``, or the one of a dotted path that ``where`` holds."""
    return find(name, SCHEDULES, Schedule, where)
