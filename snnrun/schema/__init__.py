"""Every configuration key: type, unit, bounds, choices, defaults, meaning, and what works so far.

This is the one place that knows them. ``conf/`` holds the same defaults for people to read and
compose (a test keeps the two equal), ``snnrun keys`` prints this, and ``snnrun.config.validate``
checks against it.
"""

from __future__ import annotations

from snnrun.errors import closest, did_you_mean
from snnrun.schema import pattern, superspike
from snnrun.schema.experiment import EXPERIMENT, GENERAL, STRUCTURE
from snnrun.schema.key import Key
from snnrun.schema.learning import LEARNING
from snnrun.schema.model import LOSS, NEURONS, REGULARISATION, WEIGHTS
from snnrun.schema.recording import GROUPS, RECORDING
from snnrun.schema.stdp import OPTIONS as STDP

DATASETS = ("yinyang", "mnist", "shd", "ssc", "smnist", "dvs", "pattern")
BASE = "base"  # stands for the defaults of a data set that is not built in
GROUP_NAMES = ("dataset", "network", "rule", "backend", "record")  # each a namespace of options
ALIASES = {"N_EPOCHS": "N_EPOCH"}

# What the reference's code calls things that we call otherwise.
ELSEWHERE = {
    "DATA_SET": "the data set is chosen with dataset=NAME",
    "DATASET": "the data set is chosen with dataset=NAME",
    "PDROP": "it is called PDROP_INPUT",
    "HIDDEN_NOISE_AMP": "it is called HIDDEN_NOISE",
}

SECTIONS: tuple[tuple[Key, ...], ...] = (
    GENERAL,
    EXPERIMENT,
    STRUCTURE,
    NEURONS,
    WEIGHTS,
    REGULARISATION,
    LOSS,
    LEARNING,
    RECORDING,
    GROUPS,
    STDP,
    pattern.OPTIONS,
    superspike.OPTIONS,
)
SCHEMA: dict[str, Key] = {key.name: key for keys in SECTIONS for key in keys}
KEYS: dict[str, Key] = {name: key for name, key in SCHEMA.items() if "." not in name}

__all__ = [
    "ALIASES",
    "BASE",
    "DATASETS",
    "ELSEWHERE",
    "GROUP_NAMES",
    "KEYS",
    "SCHEMA",
    "SECTIONS",
    "Key",
    "owner_of",
    "unknown_key",
]


def unknown_key(name: str) -> str:
    """Return the line that refuses a key that does not exist, with the nearest one that does."""
    if name.upper() in ELSEWHERE:
        return f"{name}: there is no such key; {ELSEWHERE[name.upper()]}"
    group = name.partition(".")[0]
    if group in GROUP_NAMES and group != name:
        return _unknown_option(name, group)
    hint = did_you_mean(name.upper(), KEYS)
    return f"{name}: there is no such key.{hint} `snnrun keys` lists them all"


def _unknown_option(name: str, group: str) -> str:
    """Return the line that refuses an option, with the nearest of its group and whose it is."""
    start = f"{group}."
    options = [key.removeprefix(start) for key in SCHEMA if key.startswith(start)]
    near = closest(name.removeprefix(start), options)
    hint = f" Did you mean '{start}{near}'?" if near else ""
    owner = owner_of(SCHEMA[start + near]) if near else ""
    hint += f" It is an option of {owner}." if owner else ""
    return f"{name}: there is no such key.{hint} `snnrun keys {group}` lists the options of {group}"


def owner_of(key: Key) -> str:
    """Return whose option a key is, as in "rule=stdp"; "" for one of every choice of its group."""
    group = key.name.partition(".")[0]
    for condition in key.active_if:
        if condition.key == f"{group}.name" and not condition.not_:
            return " or ".join(f"{group}={value}" for value in condition.values)
        if condition.key.startswith(f"{group}."):
            return owner_of(SCHEMA[condition.key])
    return ""
