"""Every configuration key: type, unit, bounds, choices, meaning, and what uses it.

Those of models and learning rules are declared beside these; the defaults are in the files of
conf/. ``snnrun keys`` prints this, and ``snnrun.config.validate`` checks against it.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import groupby
from typing import Any

from snnrun.keys.files import DATASETS as DATASETS
from snnrun.keys.files import GENERAL
from snnrun.keys.key import Condition
from snnrun.keys.key import Key as Key
from snnrun.models import losses, neurons, regularisers
from snnrun.optimisers import keys as of_optimisers
from snnrun.optimisers import schedules
from snnrun.rules import RULES
from snnrun.schema import data, network, recording

BASE = "base"  # stands for the defaults of a data set that is not built in
# each a namespace of options
GROUP_NAMES = ("dataset", "network", "rule", "optimiser", "schedule", "backend", "record")
ALIASES = {"N_EPOCHS": "N_EPOCH"}  # other spellings, which are accepted


def _options_of_rules() -> tuple[Key, ...]:
    """Return the options of all rules; one that several have has the choices of all."""
    found: dict[str, Key] = {}
    for rule in RULES.values():
        for key in rule.options:
            found[key.name] = _shared(found[key.name], key) if key.name in found else key
    return tuple(found.values())


def _shared(first: Key, other: Key) -> Key:
    """Return an option of several rules."""
    rule = other.section.rpartition(" ")[2]
    differs = other.meaning != first.meaning
    return replace(
        first,
        section=f"{first.section} and {rule}",
        meaning=f"{first.meaning} {rule}: {other.meaning}" if differs else first.meaning,
        choices=tuple(dict.fromkeys(first.choices + other.choices)),
        active_if=_either(first.active_if + other.active_if),
    )


def _either(conditions: tuple[Condition, ...]) -> tuple[Condition, ...]:
    """Return conditions of which one must hold, with one for all values of another key."""
    found: dict[tuple[str, Any], Condition] = {}
    for c in conditions:
        kind = (c.key, c.values if c.not_ else None)
        values = found[kind].values if kind in found else ()
        found[kind] = replace(c, values=tuple(dict.fromkeys(values + c.values)))
    return tuple(found.values())


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
    *data.MADE_OPTIONS,
    *data.PATTERN_OPTIONS,
    *of_optimisers.KEYS,
    *schedules.KEYS,
    *_options_of_rules(),
)
SCHEMA: dict[str, Key] = KEYS | {key.name: key for key in OPTIONS}
SECTIONS = [list(keys) for _, keys in groupby(SCHEMA.values(), key=lambda key: key.section)]
