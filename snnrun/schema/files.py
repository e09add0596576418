"""What the configuration files say of the built-in data sets: conf/dataset/NAME.yaml.

A file holds the keys that its data set uses, with the values that they have there; a data set uses
those options of the group ``dataset`` that its file has.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from snnrun.keys.files import conf_dir, values_of
from snnrun.keys.key import Condition, when


def _values_of(file: Path) -> dict[str, Any]:
    """Return key -> value of a file, options and choices of groups as ``group.option``."""
    found = values_of(file)
    for choice in found.pop("defaults", ()):
        for group, name in choice.items():  # "override /rule": "superspike"
            found[f"{group.rpartition('/')[2]}.name"] = name
    return found | {f"dataset.{name}": value for name, value in found.pop("dataset").items()}


FILES = {file.stem: _values_of(file) for file in sorted((conf_dir() / "dataset").glob("*.yaml"))}
DATASETS = tuple(FILES)


def having(key: str) -> tuple[str, ...]:
    """Return the data sets whose files have ``key``."""
    return tuple(name for name, values in FILES.items() if key in values)


def defaults_of(key: str) -> dict[str, Any]:
    """Return data set -> value of ``key`` in its file, of those that have it."""
    return {name: FILES[name][key] for name in having(key)}


def with_option(name: str) -> tuple[Condition, ...]:
    """Return the condition that the data set uses the option ``dataset.name``."""
    return (when("dataset.name", *having(f"dataset.{name}")),)
