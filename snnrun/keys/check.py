"""What must hold between several keys, and quantities that follow from them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any

from snnrun.keys.kinds import MINI_BATCHES

Values = Mapping[str, Any]  # name -> checked value
Check = Callable[[Values], Iterator[str]]  # yields one line per problem


class NotChecked(KeyError):  # noqa: N818  no mistake of its own
    """A check asks for a key that is wrong by itself."""


class Checked(dict[str, Any]):
    """The values of the keys that are right by themselves."""

    def __missing__(self, name: str) -> Any:
        raise NotChecked(name)


class Checks(list[Check]):
    """The checks of a module."""

    def add(self, check: Check) -> Check:
        """Make a function one of them; it is a decorator."""
        self.append(check)
        return check


def problems(checks: Iterable[Check], values: Checked) -> Iterator[str]:
    """Yield what checks find, but for those that ask for a wrong key: that is told already."""
    for check in checks:
        with suppress(NotChecked):
            yield from list(check(values))


def steps_in_trial(values: Values) -> int | None:
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
