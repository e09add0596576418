"""Every configuration key: type, unit, bounds, choices, defaults, meaning, and what works so far.

This is the one place that knows them. ``conf/`` holds the same defaults for people to read and
compose (a test keeps the two equal), ``snnrun keys`` prints this, and ``snnrun.config.validate``
checks against it.
"""

from __future__ import annotations

from snnrun.errors import did_you_mean
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
    "unknown_key",
]


def unknown_key(name: str) -> str:
    """Return the line that refuses a key that does not exist, with the nearest one that does."""
    if name.upper() in ELSEWHERE:
        return f"{name}: there is no such key; {ELSEWHERE[name.upper()]}"
    known = KEYS if name.isupper() or "." not in name else SCHEMA
    hint = did_you_mean(name.upper() if known is KEYS else name, known)
    return f"{name}: there is no such key.{hint} `snnrun keys` lists them all"
