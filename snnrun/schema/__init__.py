"""Every configuration key: type, unit, bounds, choices, meaning, and what uses it.

The defaults are in the files of conf/. ``snnrun keys`` prints this, and ``snnrun.config.validate``
checks against it.
"""

from __future__ import annotations

from snnrun.keys.files import DATASETS
from snnrun.keys.key import Key
from snnrun.rules import RULES
from snnrun.schema import pattern
from snnrun.schema.experiment import EXPERIMENT, GENERAL, STRUCTURE
from snnrun.schema.learning import LEARNING
from snnrun.schema.model import LOSS, NEURONS, REGULARISATION, WEIGHTS
from snnrun.schema.recording import GROUPS, RECORDING

BASE = "base"  # stands for the defaults of a data set that is not built in
GROUP_NAMES = ("dataset", "network", "rule", "backend", "record")  # each a namespace of options
ALIASES = {"N_EPOCHS": "N_EPOCH"}  # other spellings, which are accepted

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
    pattern.OPTIONS,
    *(rule.options for rule in RULES.values() if rule.options),
)
SCHEMA: dict[str, Key] = {key.name: key for keys in SECTIONS for key in keys}
KEYS: dict[str, Key] = {name: key for name, key in SCHEMA.items() if "." not in name}

__all__ = [
    "ALIASES",
    "BASE",
    "DATASETS",
    "GROUP_NAMES",
    "KEYS",
    "SCHEMA",
    "SECTIONS",
    "Key",
]
