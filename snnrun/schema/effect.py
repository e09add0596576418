"""Keys that were given and would change nothing: what they need, and whether that can be had."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from snnrun.errors import NoEffect
from snnrun.keys.check import check, count_of, steps_of
from snnrun.keys.key import Condition, Key
from snnrun.keys.kinds import shown
from snnrun.schema import BASE, DATASETS, SCHEMA, pattern, superspike
from snnrun.schema.advice import with_rule
from snnrun.schema.layers import OUTPUT
from snnrun.schema.model import SPIKE_TIME_LOSSES

COUNTS = ("N_TRAIN", "N_VALIDATE", "N_TEST")
Values = Mapping[str, Any]
OF_LAYERS = {  # of hidden layers: key -> field of network.layers that goes before it
    "NUM_HIDDEN": "size",
    "HIDDEN_NEURON_TYPE": "neuron",
    "RECURRENT": "recurrent",
    "TRAIN_TAU": "train_tau",
}


def without_effect(values: Values, dataset: str) -> Iterator[NoEffect]:
    """Yield a line for each key that differs from its default and would change nothing.

    A data set of a user's own may be composed on the file of any built-in one, as in
    dataset.name=mylab.data.bars, and then has that one's defaults.
    """
    composed = (dataset, *DATASETS) if dataset == BASE else (dataset,)
    for name, value in values.items():
        key = SCHEMA[name]
        usual = key.default_of(dataset)
        usuals = (_settled(name, key.default_of(each), values) for each in composed)
        if _settled(name, value, values) in list(usuals):
            continue
        if key.active_if and not _active(key, values):
            yield NoEffect(
                name,
                f"{name}={shown(value)}: has no effect {_needs(key, values)}; "
                f"{_instead(key, values)}leave it out, or use {name}={shown(usual)} where a preset "
                "or an earlier run sets it",
            )


def used_keys(values: Values) -> list[str]:
    """Return the keys that have an effect in a checked configuration, name -> value."""
    learns_alone = values["rule.name"] == "superspike"
    return [
        name
        for name, key in SCHEMA.items()
        if (not key.active_if or _active(key, values))
        and not (learns_alone and name in (*superspike.UNUSED, *superspike.FIXED))
    ]


def _needs(key: Key, values: Values) -> str:
    """Return on what the key depends, as it goes on after "has no effect "."""
    possible = _possible(key, values)
    if not possible:
        return f"with {_barred_by(key.active_if[0], values)}"
    text = "unless " + " or ".join(map(str, possible))
    if len(possible) == 1 and not possible[0].not_:
        text += f", and it is {shown(values[possible[0].key])}"
    return text


def _instead(key: Key, values: Values) -> str:
    """Return what to do other than to leave the key out, if there is anything."""
    possible = _possible(key, values)
    if possible:
        group, _, of_group = possible[0].key.partition(".")
        chosen = of_group == "name" and not possible[0].not_
        if not chosen or (group == "dataset" and key.name in pattern.OF_FILES):
            return ""  # of which files to give the message cannot know
        value = possible[0].values[0]
        choice = with_rule(value, values) if group == "rule" else f"{group}={shown(value)}"
        return f"use {choice}, " if choice else ""
    own = superspike.INSTEAD.get(key.name) if values.get("rule.name") == "superspike" else None
    return f"use {own}, " if own else ""


def _possible(key: Key, values: Values) -> list[Condition]:
    return [c for c in key.active_if if not _barred_by(c, values)]


def _barred_by(condition: Condition, values: Values) -> str:
    """Return the choice with which the condition cannot be met, as in "rule=superspike", or ""."""
    key, learns = condition.key, values.get("rule.name")
    own = (*superspike.UNUSED, *superspike.FIXED, "network.layers")
    if learns == "superspike" and key in own:
        return "rule=superspike"
    if values.get("dataset.name") == "pattern" and key in pattern.FIXED:
        return "dataset=pattern"
    if learns != "surrogate" or key != "LOSS_TYPE" or condition.not_:
        return ""
    return "rule=surrogate" if set(condition.values) <= set(SPIKE_TIME_LOSSES) else ""


def _settled(name: str, value: Any, values: Values) -> Any:
    """Return what ``value`` stands for, as the configuration of an earlier run has it."""
    if name in COUNTS and "N_BATCH" in values:
        return count_of({**values, name: value}, name)
    if name == "SPK_REC_STEPS" and value is None and {"TRIAL_MS", "DT_MS"} <= values.keys():
        return steps_of(values)
    return value


def _active(key: Key, values: Values) -> bool:
    return any(c.key not in values or c.holds(values) for c in key.active_if)


@check("dataset.name", "network.layers", *OF_LAYERS)
def _left_to_no_layer(values: Values) -> Iterator[str]:
    """Refuse keys of hidden layers that each of ``network.layers`` overrides."""
    hidden = [fields for fields in values["network.layers"] if fields.get("name") != OUTPUT]
    for name, field in OF_LAYERS.items():
        usual = SCHEMA[name].default_of(values["dataset.name"])
        if hidden and values[name] != usual and all(field in fields for fields in hidden):
            yield NoEffect(
                name,
                f"{name}={shown(values[name])}: has no effect, as each hidden layer of "
                f"network.layers has its own {field}; leave it out, or use {name}={shown(usual)} "
                "where a preset or an earlier run sets it",
            )


@check("rule.name", "dataset.name", *superspike.UNUSED)
def _unused_by_superspike(values: Values) -> Iterator[str]:
    if values["rule.name"] != "superspike":
        return
    for name in superspike.UNUSED:
        usual = SCHEMA[name].default_of(values["dataset.name"])
        instead = f"use {superspike.INSTEAD[name]}, " if name in superspike.INSTEAD else ""
        if values[name] != usual:
            yield NoEffect(
                name,
                f"{name}={shown(values[name])}: has no effect with rule=superspike; "
                f"{instead}leave it out, or use {name}={shown(usual)} where a preset or an earlier "
                "run sets it",
            )


CHECKS = (_left_to_no_layer, _unused_by_superspike)
