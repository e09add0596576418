"""Every configuration key: type, unit, bounds, choices, meaning, and what uses it.

Those of models and learning rules are declared beside these; the defaults are in the files of
conf/. ``snnrun keys`` prints this, and ``snnrun.config.validate`` checks against it.
"""

from __future__ import annotations

from itertools import groupby

from snnrun.keys.files import DATASETS as DATASETS
from snnrun.keys.files import GENERAL
from snnrun.keys.key import Key as Key
from snnrun.models import losses, neurons, regularisers
from snnrun.optimisers import schedules
from snnrun.rules import RULES
from snnrun.schema import data, network, recording

BASE = "base"  # stands for the defaults of a data set that is not built in
# each a namespace of options
GROUP_NAMES = ("dataset", "network", "rule", "schedule", "backend", "record")
ALIASES = {"N_EPOCHS": "N_EPOCH"}  # other spellings, which are accepted

_PLACES = {name: place for place, name in enumerate(GENERAL)}  # base.yaml has the order
_MODULES = (data, network, neurons, regularisers, losses, recording)
KEYS: dict[str, Key] = {
    key.name: key
    for key in sorted(
        (key for module in _MODULES for key in module.KEYS), key=lambda key: _PLACES[key.name]
    )
}
OPTIONS = (
    *data.OPTIONS,
    *network.OPTIONS,
    *recording.OPTIONS,
    *data.PATTERN_OPTIONS,
    *schedules.KEYS,
    *(option for rule in RULES.values() for option in rule.options),
)
SCHEMA: dict[str, Key] = KEYS | {key.name: key for key in OPTIONS}
SECTIONS = [list(keys) for _, keys in groupby(SCHEMA.values(), key=lambda key: key.section)]
