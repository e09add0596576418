"""What the configuration files say of the built-in data sets: conf/dataset/NAME.yaml.

A file holds the keys that its data set uses, with the values that they have there; a data set uses
those options of the group ``dataset`` that its file has.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]

from snnrun.keys.key import Condition, when


def conf_dir() -> Path:
    """Return the folder of the configuration files: the wheel's, or that of the repository."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "conf"
    return installed if (installed / "config.yaml").is_file() else package.parent / "conf"


def _values_of(file: Path) -> dict[str, Any]:
    """Return key -> value of a file, options and choices of groups as ``group.option``."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # seven times as fast
    found: dict[str, Any] = yaml.load(file.read_text(encoding="utf-8"), loader)
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
