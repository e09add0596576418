"""The delay of a projection as it is asked for: a number, or a mapping with its kind and start."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from snnrun.errors import did_you_mean
from snnrun.keys.kinds import BOOL, DRAWS, FLOAT, distribution, shown

DELAY_KINDS = ("axonal", "dendritic", "synaptic")
DELAY_FIELDS = ("kind", "start", "max", "train")
STARTS = (
    "a number >= 0 (ms), {uniform: [least, most]}, {half_normal: standard deviation}, "
    "{normal: [mean, standard deviation]}, a list of numbers, or a file whose name ends in .npy"
)


@dataclass(frozen=True, kw_only=True)
class DelayChoice:
    """Delays as they are asked for.

    Args:
        kind: Which synapses share one.
        start: A number (ms), a mapping of one of DRAWS to its numbers, numbers, or a file's name.
        most: The largest they may be (ms); None: the largest that there is at the start.
        trained: Whether they learn.
    """

    kind: str
    start: Any
    most: float | None
    trained: bool

    @property
    def longest(self) -> float | None:
        """The longest delay there can be (ms), where that is known before they are made."""
        return self.most if self.most is not None else _longest(self.start)


def delay_choice(clean: Any) -> DelayChoice | None:
    """Return the choice that a clean value of the field ``delay`` is."""
    if clean is None:
        return None
    fields = clean if isinstance(clean, Mapping) else {"start": clean}
    return DelayChoice(
        kind=fields.get("kind", DELAY_KINDS[0]),
        start=fields.get("start", 0.0),
        most=fields.get("max"),
        trained=fields.get("train", False),
    )


def read_delay(path: str, value: Any, wrong: list[str]) -> Any:
    """Read the field ``delay``: return a number (ms), or a mapping of DELAY_FIELDS."""
    if not isinstance(value, Mapping):
        number = _number(value)
        if number is None or number < 0:
            wrong.append(
                f"{path}={shown(value)}: must be a number >= 0 (ms), or a mapping of "
                f"{', '.join(DELAY_FIELDS)} to values"
            )
        return number
    clean: dict[str, Any] = {}
    before = len(wrong)
    for name, given in value.items():
        if name not in DELAY_FIELDS:
            hint = did_you_mean(str(name), DELAY_FIELDS)
            known = ", ".join(DELAY_FIELDS)
            wrong.append(f"{path}.{name}: there is no such field.{hint} There are: {known}")
        elif given is not None:
            clean[name] = _READERS[name](f"{path}.{name}", given, wrong)
    if len(wrong) == before:
        wrong += _disagreeing(path, clean)
    return clean


def _disagreeing(path: str, clean: Mapping[str, Any]) -> list[str]:
    wrong = []
    most, longest = clean.get("max"), _longest(clean.get("start"))
    if clean.get("train") and "max" not in clean:
        wrong.append(
            f"{path}.train=true: delays that learn need the longest that they may become, in ms; "
            "add max, as in {max: 50, train: true}"
        )
    if clean.get("train") and most == 0:
        wrong.append(
            f"{path}.max=0: delays that learn would have nowhere to go; use a larger max (ms), or "
            "leave the delay out"
        )
    if not clean.get("train") and "start" not in clean:
        wrong.append(
            f"{path}: delays that do not learn need their values, as in {{start: 5}}; or give max "
            "and train: true"
        )
    if most is not None and longest is not None and longest > most:
        wrong.append(
            f"{path}.start={shown(clean['start'])}: goes up to {longest:g} ms, above "
            f"max={most:g} ms; use a shorter start or a longer max"
        )
    return wrong


def _kind(path: str, value: Any, wrong: list[str]) -> Any:
    if value in DELAY_KINDS:
        return value
    hint = did_you_mean(str(value), DELAY_KINDS)
    wrong.append(f"{path}={shown(value)}: must be one of {', '.join(DELAY_KINDS)}.{hint}")
    return None


def _most(path: str, value: Any, wrong: list[str]) -> Any:
    number = _number(value)
    if number is None or number < 0:
        wrong.append(f"{path}={shown(value)}: must be a number >= 0 (ms)")
        return None
    return number


def _train(path: str, value: Any, wrong: list[str]) -> Any:
    try:
        return BOOL.convert(value)
    except ValueError:
        wrong.append(f"{path}={shown(value)}: must be {BOOL.text}")
        return None


def _start(path: str, value: Any, wrong: list[str]) -> Any:
    number = _number(value)
    clean = number if number is not None else _draw(value) or _file(value) or _array(value)
    if clean is None or (number is not None and number < 0):
        name = next(iter(value), "") if isinstance(value, Mapping) else ""
        hint = "" if name in DRAWS else did_you_mean(str(name), DRAWS)
        wrong.append(f"{path}={shown(value)}: must be {STARTS}.{hint}")
        return None
    return clean


_READERS = {"kind": _kind, "start": _start, "max": _most, "train": _train}


def _draw(value: Any) -> dict[str, Any] | None:
    """Return a distribution with clean numbers, None where it is none."""
    try:
        return distribution(value, lowest=0.0)
    except ValueError:
        return None


def _file(value: Any) -> str | None:
    return value if isinstance(value, str) and value.endswith(".npy") else None


def _array(value: Any) -> tuple[Any, ...] | None:
    """Return numbers from 0, or as many of them in each row, as tuples; None where they are not."""
    if not isinstance(value, list | tuple) or not value:
        return None
    if all(isinstance(row, list | tuple) for row in value):
        rows = [_array(row) for row in value]
        flat = all(row is not None and not isinstance(row[0], tuple) for row in rows)
        return tuple(rows) if flat and len({len(row) for row in rows if row}) == 1 else None
    numbers = [_number(n) for n in value]
    return tuple(numbers) if all(n is not None and n >= 0 for n in numbers) else None


def _longest(start: Any) -> float | None:
    """Return the longest delay of a start, None where it is drawn without a limit, or of a file."""
    if isinstance(start, Mapping):
        return max(start["uniform"]) if "uniform" in start else None
    if isinstance(start, tuple):
        return max(max(row) if isinstance(row, tuple) else row for row in start)
    return start if isinstance(start, float) else None


def _number(value: Any) -> float | None:
    try:
        return float(FLOAT.convert(value))
    except (ValueError, OverflowError):
        return None
