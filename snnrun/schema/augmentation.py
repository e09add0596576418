"""The entries of AUGMENTATION: what each takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from snnrun.keys.kinds import FLOAT, Kind


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _are_numbers(value: Any) -> bool:
    return isinstance(value, tuple) and len(value) >= 2 and all(map(_is_number, value))


# Name -> what its value must be, in words and as a test of the clean value.
ENTRIES: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "random_shift": ("a number of channels above 1", lambda v: _is_number(v) and v > 1),
    "image_shift": ("a number of pixels above 1", lambda v: _is_number(v) and v > 1),
    "random_dilate": (
        "[least, most], two factors above 0 in this order",
        lambda v: _are_numbers(v) and len(v) == 2 and 0 < v[0] <= v[1],
    ),
    "ID_jitter": ("a standard deviation above 0, in channels", lambda v: _is_number(v) and v > 0),
    "blend": (
        "[p1, p2, ...], for each of two or more examples the share of events to keep, above 0 and "
        "up to 1",
        lambda v: _are_numbers(v) and all(0 < share <= 1 for share in v),
    ),
    "NORMALISE_SPIKE_NUMBER": ("true or false", lambda v: isinstance(v, bool)),
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
