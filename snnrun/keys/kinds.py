"""Kinds of values: how what YAML or the command line gave becomes a clean Python value.

A converter returns the value or raises ``ValueError``; ``text`` completes "must be ...".
Lists become tuples, so that a validated configuration cannot be changed by accident.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

DRAWS = {  # of numbers that are drawn: name -> how many numbers it has, and what they are
    "uniform": (2, "[least, most]"),
    "half_normal": (1, "standard deviation"),
    "normal": (2, "[mean, standard deviation]"),
}
LARGEST = 2**63 - 1
MINI_BATCHES = re.compile(r"\s*(\d+)\s+mini-batch(?:es)?\s*")


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A type of value: its converter, and its name as it completes "must be ...".

    A converter may raise Problems, with lines that begin with the place in the value.
    mapping  whether its values are mappings, or lists of them, to which entries of any name
             can be given
    """

    text: str
    convert: Callable[[Any], Any]
    mapping: bool = False


class Problems(ValueError):  # noqa: N818  several of them
    """What is wrong inside a value, one line per problem; each begins with the place in it."""

    def __init__(self, lines: Sequence[str]) -> None:
        super().__init__(*lines)
        self.lines = tuple(lines)


def _boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    raise ValueError(value)


def _number(value: Any) -> float:
    """Return a finite float; also from text, for YAML 1.1 reads 1e-3 as text."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError(value)
    number = float(value)  # ValueError for other text
    if not math.isfinite(number):
        raise ValueError(value)
    return number


def _whole(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        number = _number(value)
        if number != int(number):
            raise ValueError(value)
        value = int(number)
    if abs(value) > LARGEST:  # no file and no program of a run could hold it
        raise Problems([f"={value}: whole numbers may be as large as {LARGEST} (64 bits)"])
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError(value)
    return value


def _count(value: Any) -> int | str:
    """Return a number of examples, or ``"K mini-batches"`` in one spelling."""
    match = MINI_BATCHES.fullmatch(value) if isinstance(value, str) else None
    return f"{int(match.group(1))} mini-batches" if match else _whole(value)


def _start(value: Any) -> float | str:
    return value if value == "first" else _number(value)


def _items(value: Any) -> list[Any]:
    if not isinstance(value, list | tuple):
        raise ValueError(value)
    return list(value)


def _texts(value: Any) -> tuple[str, ...]:
    return tuple(_text(item) for item in _items(value))


def _names(value: Any) -> tuple[str, ...]:
    """Return each name of a list once; a text holds them with commas between."""
    items = value.split(",") if isinstance(value, str) else _items(value)
    return tuple(dict.fromkeys(_text(item).strip() for item in items))


def _all_or_names(value: Any) -> bool | tuple[str, ...]:
    """Return true or false of all, or the names of a list; an empty one is false."""
    try:
        return _boolean(value)
    except ValueError:
        return _texts(value) or False


def _wholes(value: Any) -> tuple[int, ...]:
    return tuple(_whole(item) for item in _items(value))


def _span(value: Any) -> tuple[float, float]:
    first, last = (_number(item) for item in _items(value))
    if not 0 <= first < last:
        raise ValueError(value)
    return first, last


def _text_pairs(value: Any) -> tuple[tuple[str, str], ...]:
    pairs = [_texts(item) for item in _items(value)]
    if any(len(pair) != 2 for pair in pairs):
        raise ValueError(value)
    return tuple((first, second) for first, second in pairs)


def _epoch_trials(value: Any) -> tuple[tuple[int, int], ...]:
    pairs = [_wholes(item) for item in _items(value)]
    if any(len(pair) != 2 or pair[1] < 0 for pair in pairs):
        raise ValueError(value)
    return tuple((epoch, trial) for epoch, trial in pairs)


def _mapping(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise ValueError(value)
    return {_text(key): item for key, item in value.items()}


def _numbers(value: Any) -> Mapping[str, Any]:
    """Return a mapping of names to a number, a tuple of numbers (one per neuron), or DRAWS."""
    return {name: _one_or_several(item) for name, item in _mapping(value).items()}


def _one_or_several(value: Any) -> Any:
    if isinstance(value, Mapping):
        return distribution(value)
    return tuple(map(_number, value)) if isinstance(value, list | tuple) else _number(value)


def distribution(value: Any, lowest: float = -math.inf) -> dict[str, float | tuple[float, ...]]:
    """Return a distribution with clean numbers, as in {"uniform": (5.0, 25.0)}.

    Raises:
        ValueError: It is none of DRAWS, or a bound of ``uniform`` is below ``lowest``.
    """
    if not isinstance(value, Mapping) or len(value) != 1:
        raise ValueError(value)
    ((name, given),) = value.items()
    numbers = tuple(map(_number, given if isinstance(given, list | tuple) else [given]))
    if name not in DRAWS or len(numbers) != DRAWS[name][0]:
        raise ValueError(value)
    if not (lowest <= numbers[0] <= numbers[1] if name == "uniform" else numbers[-1] >= 0):
        raise ValueError(value)
    return {name: numbers if len(numbers) > 1 else numbers[0]}


BOOL = Kind(text="true or false", convert=_boolean)
FLOAT = Kind(text="a number", convert=_number)
INT = Kind(text="a whole number", convert=_whole)
TEXT = Kind(text="a text", convert=_text)
COUNT = Kind(text='a number of examples (or "K mini-batches")', convert=_count)
START = Kind(text="a number, or first", convert=_start)
TEXTS = Kind(text="a list of texts", convert=_texts)
NAMES = Kind(text="a list of names, as in csv,tensorboard", convert=_names)
ALL_OR_NAMES = Kind(text="true, false or a list of names, as in [V]", convert=_all_or_names)
POPULATIONS = Kind(text="a list of populations, as in [hidden, output]", convert=_texts)
VARIABLES = Kind(
    text="a list of [population, variable] pairs, as in [[hidden, V]]", convert=_text_pairs
)
SYNAPSES = Kind(
    text="a list of [projection, variable] pairs, as in [[in_to_hid, g]]", convert=_text_pairs
)
EPOCH_TRIALS = Kind(
    text="a list of [epoch, trial] pairs of whole numbers, as in [[0, 0], [-1, 0]]",
    convert=_epoch_trials,
)
SPAN = Kind(text="two numbers from 0 on that rise, as in [100, 150]", convert=_span)
INTS = Kind(text="a list of whole numbers", convert=_wholes)
NUMBERS = Kind(
    text="a mapping of parameter names to numbers, lists of them, or "
    + " or ".join(f"{{{name}: {of}}}" for name, (_, of) in DRAWS.items()),
    convert=_numbers,
    mapping=True,
)


def plain(value: Any) -> Any:
    """Return ``value`` with tuples as lists and read-only mappings as dictionaries."""
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value


def shown(value: Any) -> str:
    """Return ``value`` as it is written in YAML and on the command line."""
    value = plain(value)
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return "[" + ", ".join(shown(item) for item in value) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {shown(item)}" for key, item in value.items()) + "}"
    return str(value)
