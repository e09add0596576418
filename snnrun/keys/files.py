"""What the configuration files that come with the project say: the defaults of all keys.

conf/base.yaml has the general values, and the files of a group its options. conf/dataset/NAME.yaml
holds the keys that the data set NAME uses, with the values that they have there; it uses those
options of the group ``dataset`` that its file has.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # in C: seven times as fast
Values = dict[str, Any]
SORTED = ("optimiser", "schedule", "backend")  # groups whose choices have options of their own


@cache
def conf_dir() -> Path:
    """Return the folder of the configuration files: the wheel's, or that of the repository."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "conf"
    return installed if (installed / "config.yaml").is_file() else package.parent / "conf"


def options_of(group: str, choice: str) -> Values:
    """Return ``group.option`` -> value of conf/GROUP/CHOICE.yaml; {} where it is not there."""
    file = conf_dir() / group / f"{choice}.yaml"
    found = read_yaml(file) if file.is_file() else {}
    return {f"{group}.{name}": value for name, value in found.get(group, found).items()}


def read_yaml(file: Path) -> Values:
    """Return the content of a YAML file, a mapping."""
    found: Values = yaml.load(file.read_text(encoding="utf-8"), _LOADER)
    return found


def _of_dataset(file: Path) -> Values:
    """Return key -> value of a data set's file, options and choices of groups by full names."""
    found = read_yaml(file)
    for choice in found.pop("defaults", ()):
        for group, name in choice.items():  # "override /rule": "superspike"
            found[f"{group.rpartition('/')[2]}.name"] = name
    return found | {f"dataset.{name}": value for name, value in found.pop("dataset").items()}


def _general() -> Values:
    """Return key -> value where a data set has no other."""
    found = read_yaml(conf_dir() / "base.yaml")
    found |= {f"dataset.{name}": value for name, value in found.pop("dataset").items()}
    chosen = read_yaml(conf_dir() / "config.yaml")["defaults"]  # "base", and choices of groups
    groups = {
        group: name for entry in chosen if isinstance(entry, dict) for group, name in entry.items()
    }
    for group in ("network", "record"):
        found |= options_of(group, groups[group])
    for group in SORTED:
        for file in sorted((conf_dir() / group).glob("*.yaml")):
            found |= options_of(group, file.stem)
    return found | {f"{group}.name": groups[group] for group in ("rule", "dataset", *SORTED)}


GENERAL = _general()
OF_DATASETS = {
    file.stem: _of_dataset(file) for file in sorted((conf_dir() / "dataset").glob("*.yaml"))
}
DATASETS = tuple(OF_DATASETS)


def having(key: str) -> tuple[str, ...]:
    """Return the data sets whose files have ``key``."""
    return tuple(name for name, values in OF_DATASETS.items() if key in values)


def defaults_of(key: str) -> Values:
    """Return data set -> value of ``key`` in its file, of those that have it."""
    return {name: OF_DATASETS[name][key] for name in having(key)}
