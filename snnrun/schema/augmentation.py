"""The entries of AUGMENTATION: what each takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from snnrun.keys.kinds import FLOAT, Kind


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One augmentation: what its value must be, in words and as a test of the clean value."""

    allowed: str
    holds: Callable[[Any], bool]


def _numbers(value: Any, least: int) -> bool:
    return isinstance(value, tuple) and len(value) >= least and not any(map(_no_number, value))


def _no_number(value: Any) -> bool:
    return isinstance(value, bool) or not isinstance(value, int | float)


ENTRIES = {
    "random_shift": Entry(
        allowed="a number of channels above 1",
        holds=lambda value: not _no_number(value) and value > 1,
    ),
    "image_shift": Entry(
        allowed="a number of pixels above 1",
        holds=lambda value: not _no_number(value) and value > 1,
    ),
    "random_dilate": Entry(
        allowed="[least, most], two factors above 0 in this order",
        holds=lambda value: _numbers(value, 2) and len(value) == 2 and 0 < value[0] <= value[1],
    ),
    "ID_jitter": Entry(
        allowed="a standard deviation above 0, in channels",
        holds=lambda value: not _no_number(value) and value > 0,
    ),
    "blend": Entry(
        allowed="[p1, p2, ...], for each of two or more examples the share of events to keep, "
        "above 0 and up to 1",
        holds=lambda value: _numbers(value, 2) and all(0 < share <= 1 for share in value),
    ),
    "NORMALISE_SPIKE_NUMBER": Entry(
        allowed="true or false", holds=lambda value: isinstance(value, bool)
    ),
}


def _entries(value: Any) -> Mapping[str, Any]:
    """Return the entries in their order with numbers as numbers, without those that are off."""
    if not isinstance(value, Mapping):
        raise ValueError(value)
    clean = {str(name): _clean(item) for name, item in value.items()}
    return {name: item for name, item in clean.items() if item is not None and item is not False}


def _clean(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return tuple(_clean(item) for item in value)
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    if isinstance(value, bool) or value is None:
        return value
    try:
        return FLOAT.convert(value)
    except (ValueError, OverflowError):
        return value  # a check tells what is wrong with it


AUGMENTATIONS = Kind(
    text="a mapping of augmentations to their values, as in {random_shift: 40, blend: [0.5, 0.5]}",
    convert=_entries,
    mapping=True,
)
