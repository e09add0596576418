"""What must hold between several keys, and quantities that follow from them.

Each check names the keys it reads and yields one line per problem; it is skipped where one of its
keys is wrong by itself, so that one mistake is reported once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from snnrun.keys.kinds import MINI_BATCHES

Values = Mapping[str, Any]  # name -> checked value


@dataclass(frozen=True, kw_only=True)
class Check:
    """What must hold between several keys: ``find`` yields one line per problem."""

    keys: tuple[str, ...]
    find: Callable[[Values], Iterator[str]]

    def problems(self, values: Values) -> Iterator[str]:
        """Yield the problems of ``values``."""
        if all(key in values for key in self.keys):
            yield from self.find(values)


def check(*keys: str) -> Callable[[Callable[[Values], Iterator[str]]], Check]:
    """Return a decorator that makes of a function the check which reads ``keys``."""
    return lambda find: Check(keys=keys, find=find)


def steps_of(values: Values) -> int | None:
    """Return the number of steps of a trial, or None where TRIAL_MS is no whole number of them."""
    ratio = values["TRIAL_MS"] / values["DT_MS"]
    if not math.isfinite(ratio) or round(ratio) < 1:
        return None
    return round(ratio) if abs(ratio - round(ratio)) < 1e-6 else None


def count_of(values: Values, key: str) -> int | None:
    """Return a number of examples ("K mini-batches" is K * N_BATCH), None for all the rest."""
    value = values[key]
    match = MINI_BATCHES.fullmatch(value) if isinstance(value, str) else None
    return int(match.group(1)) * int(values["N_BATCH"]) if match else value
