"""Keys and their values as Python has them, and as the command line spells them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from hydra.core.override_parser.types import Quote, QuotedString


def native(value: Any) -> Any:
    """Return ``value`` with what NumPy and pathlib have for numbers, lists and texts as those."""
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Mapping):
        return {name: native(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [native(item) for item in value]
    return value


def as_overrides(keys: Mapping[str, Any]) -> list[str]:
    """Return keys and values as words KEY=VALUE that Hydra reads back as the same values.

    Options may be given in a mapping of their group: {"backend": {"threads": 1}}.
    """
    words = []
    for name, value in keys.items():
        value = native(value)
        if isinstance(value, Mapping) and str(name).islower():
            words += as_overrides({f"{name}.{option}": item for option, item in value.items()})
        else:
            words.append(f"{name}={_spelled(value)}")
    return words


def _spelled(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return QuotedString(text=value, quote=Quote.single).with_quotes()
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{key}:{_spelled(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_spelled, value)) + "]"
    return repr(value)
