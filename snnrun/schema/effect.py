"""Who uses a key: keys that were given and would change nothing, and what they need."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from snnrun.errors import ConfigError, NoEffect
from snnrun.keys.check import NotChecked, count_of, steps_in_trial
from snnrun.keys.key import Condition, Key
from snnrun.keys.kinds import shown
from snnrun.optimisers import OPTIMISERS, find_optimiser
from snnrun.optimisers.keys import KEYS as OF_OPTIMISER
from snnrun.rules import RULES, find_rule
from snnrun.rules.base import Rule
from snnrun.rules.learning import SPIKE_TIMES
from snnrun.schema import BASE, DATASETS, SCHEMA
from snnrun.schema.checks import GENERATED
from snnrun.schema.choices import WEIGHTS, graph_of, layers_of, weight_keys
from snnrun.schema.fields import INPUT, OUTPUT
from snnrun.schema.layers import has_own
from snnrun.schema.rules import plastic_hidden, reads_of, rules_of, rules_of_projections, with_rule

COUNTS = ("N_TRAIN", "N_VALIDATE", "N_TEST")
Values = Mapping[str, Any]
OF_HIDDEN = {  # key -> field of network.layers or network.populations that goes before it
    "NUM_HIDDEN": "size",
    "HIDDEN_NEURON_TYPE": "neuron",
    "RECURRENT": "recurrent",
    "TRAIN_TAU": "train_tau",
}

IN_LISTS = {  # of a network that is a graph
    "N_HID_LAYER": "network.populations lists the populations",
    "RECURRENT": "network.projections lists all connections",
}
OF_WEIGHTS = {
    f"{part}_{field.upper()}"
    for part in ("INPUT_HIDDEN", "HIDDEN_HIDDEN", "HIDDEN_HIDDENFWD", "HIDDEN_OUTPUT")
    for field in WEIGHTS
}
OF_LEARNED = dict.fromkeys(("ETA_DELAY", "ETA_DELAY_DECAY"), "delays that learn")
OF_DELAYS = OF_LEARNED | dict.fromkeys(
    ("DELAY_WIDTH", "DELAY_WIDTH_DECAY", "DELAY_OUTPUT_EPOCH_TRIAL"), "delays"
)

OF_OPTIMISERS = {key.name for key in OF_OPTIMISER}.union(*(o.keys for o in OPTIMISERS.values()))

# keys that choose or change examples with classes
OF_CLASSES = (
    "AUGMENTATION",
    "RESCALE_T",
    "RESCALE_X",
    "N_INPUT_DELAY",
    "REDUCED_CLASSES",
    "BALANCE_TRAIN_CLASSES",
    "BALANCE_EVAL_CLASSES",
    "EVALUATION",
    "SHUFFLE",
    "dataset.merge",
)
ONE_PATTERN = ("pattern", "pattern_generation")  # one example that is shown again and again
OF_FILES = ("dataset.target_offset", "dataset.bin_ms", "dataset.jitter", "dataset.invert")


def without_effect(values: Values, dataset: str, own: Mapping[str, Key]) -> Iterator[NoEffect]:
    """Yield a line for each key that differs from its default and would change nothing.

    A data set of a user's own may be composed on the file of any built-in one, as in
    dataset.name=mylab.data.bars, and then has that one's defaults. ``own`` are keys of a user's
    rule.
    """
    composed = (dataset, *DATASETS) if dataset == BASE else (dataset,)
    users = Users(values)
    for name, value in values.items():
        key = own.get(name) or SCHEMA[name]
        usual = key.default_of(dataset)
        usuals = (_settled(name, key.default_of(each), values) for each in composed)
        if _settled(name, value, values) in list(usuals):
            continue
        if (unused := users.none_of(key)) is not None:
            yield no_effect(name, value, usual, *unused)


def no_effect(name: str, value: Any, usual: Any, why: str, instead: str = "") -> NoEffect:
    """Return the line that refuses a key, where ``why`` goes on after "has no effect"."""
    return NoEffect(
        name,
        f"{name}={shown(value)}: has no effect{why}; {f'use {instead}, ' if instead else ''}leave "
        f"it out, or use {name}={shown(usual)} where a preset or an earlier run sets it",
    )


def used_keys(values: Values) -> list[str]:
    """Return the keys that have an effect in a checked configuration, name -> value."""
    users = Users(values)
    return [
        name
        for name, key in SCHEMA.items()
        if users.none_of(key) is None and name not in users.rule.fixed
    ]


class Users:
    """What may use the keys of a configuration: its rules, its layers, other keys' values."""

    def __init__(self, values: Values) -> None:
        self.values = values
        self.rule: Rule = find_rule(values.get("rule.name", next(iter(RULES))))
        trained = rules_of_projections(values)
        rules = [r for name, r in rules_of(values).items() if not r.plastic or name in trained]
        self._options = {key.name for rule in rules for key in rule.options}
        self._file = values.get("network.file") is not None
        self._graph = self._file or bool(values.get("network.populations"))
        listed = values.get("network.layers", ())
        if self._graph:
            parts, projections = self._parts()
            ends = [(p["to"], p) for p in projections]
            first = {to: p for to, p in reversed(ends) if p["from"] != to}
            listed = [{**part, "forward": first.get(part["name"], {})} for part in parts]
        self._hidden = [part for part in listed if part.get("name") not in (INPUT, OUTPUT)]

    def _parts(self) -> tuple[Sequence[Values], Sequence[Values]]:
        """Return the fields of the populations and projections of a graph."""
        if not self._file:
            values = self.values
            return values["network.populations"], values.get("network.projections", ())
        try:
            graph = graph_of(self.values)
        except NotChecked:  # the file cannot be read
            return (), ()
        return [p.fields for p in graph.populations], [p.fields for p in graph.projections]

    def none_of(self, key: Key) -> tuple[str, str] | None:
        """Return why nothing uses a key and what to use instead ("": nothing), None if one does."""
        name = key.name
        if name in self.rule.unused:
            return f" with {self._chosen()}", self.rule.unused[name]
        if name in OF_OPTIMISERS and (other := self._other_optimiser(name)):
            return other, ""
        conditions = key.active_if
        if self._met(conditions, key):
            owners = [r for r in RULES.values() if name in {k.name for k in r.options}]
            if not owners or name in self._options:
                return self._left_out(name)
            conditions = tuple(c for owner in owners for c in owner.chosen_by)
            if self._met(conditions, key):
                return f", as no projection learns by {owners[0].name}", ""
        possible = [c for c in conditions if not self._barred_by(c)]
        if not possible:
            return f" with {self._barred_by(conditions[0])}", ""
        why = " unless " + " or ".join(map(str, possible))
        if len(possible) == 1 and not possible[0].not_:
            why += f", and it is {shown(self.values[possible[0].key])}"
        return why, self._choice(possible[0], key)

    def _chosen(self) -> str:
        return f"rule={self.values['rule.name']}"

    def _left_out(self, name: str) -> tuple[str, str] | None:
        """Say what leaves a key aside whose conditions are met: a pattern, the layers."""
        dataset, field = self.values.get("dataset.name"), OF_HIDDEN.get(name)
        why = _unused_by_pattern(name, self.values)
        if name in ("dataset.path", "dataset.fetch") and dataset in GENERATED:
            why = f", since {dataset} is generated"
        if field and self._hidden and all(has_own(given, field) for given in self._hidden):
            part = "population of network.populations" if self._graph else "layer of network.layers"
            part = "population of network.file" if self._file else part
            why = f", as each hidden {part} has its own {field}"
        if self._graph and name in IN_LISTS:
            why = (
                ", as network.file describes the network"
                if self._file
                else f", as {IN_LISTS[name]}"
            )
        if name in OF_WEIGHTS and self._hidden and not self._followed(name):
            why = ", as no projection draws its weights by it"
        if name in OF_DELAYS and not self._delayed(name):
            why = f", as no projection has {OF_DELAYS[name]}"
        if name == "REG_TYPE" and (plastic := plastic_hidden(self.values)):
            why = (
                ", as it adds to gradients and nothing in the hidden layers learns from gradients "
                f"with rule {plastic}"
            )
        return (why, "") if why else None

    def _followed(self, name: str) -> bool:
        """Return whether a projection's weights follow the key ``name``, or it cannot be known."""
        try:
            return name in weight_keys(self.values)
        except NotChecked:
            return True

    def _delayed(self, name: str) -> bool:
        """Return whether there are delays that the key ``name`` acts on, or it cannot be known."""
        try:
            projections = [p for layer in layers_of(self.values) for p in layer.projections]
        except NotChecked:
            return True
        delays = [p.delay for p in projections if p.delay is not None]
        return any(delay.trained for delay in delays) if name in OF_LEARNED else bool(delays)

    def _other_optimiser(self, name: str) -> str:
        """Return why an optimiser of the user's own does not use a key; "" if it does, or none."""
        chosen = self.values.get("optimiser.name", "")
        if "." not in chosen:
            return ""
        try:
            return "" if name in find_optimiser(chosen).keys else f" with optimiser {chosen}"
        except ConfigError:  # it is not there, which is said elsewhere
            return ""

    def _met(self, conditions: Sequence[Condition], key: Key) -> bool:
        """Return whether one of the conditions holds, or cannot be judged; or there is none."""
        return not conditions or any(
            (c.key == "rule.name" and key.name in self._options)
            or c.key not in self.values
            or c.holds(self.values)
            for c in conditions
        )

    def _choice(self, condition: Condition, key: Key) -> str:
        """Return the choice of a group that meets a condition, as in "rule=surrogate"."""
        group, _, of_group = condition.key.partition(".")
        chosen = of_group == "name" and not condition.not_
        several = len(condition.values) > 1 or key.name in OF_FILES
        if not chosen or (group == "dataset" and several):
            return ""  # of which data set, or of which files, the message cannot know
        value = condition.values[0]
        return with_rule(value, self.values) if group == "rule" else f"{group}={shown(value)}"

    def _barred_by(self, condition: Condition) -> str:
        """Return the choice that bars a condition, as in "rule=superspike", or ""."""
        key, rule = condition.key, self.rule
        listed = key in ("network.layers", "network.populations", "network.file")
        alone = listed and rule.no_hidden is not None
        if key in rule.unused or key in rule.fixed or alone:
            return self._chosen()
        if (name := self.values.get("dataset.name")) in ONE_PATTERN and key in OF_CLASSES:
            return f"dataset={name}"
        if key != "LOSS_TYPE" or condition.not_:
            return ""
        times = {reads_of(loss) for loss in condition.values} == {SPIKE_TIMES}
        return self._chosen() if times and SPIKE_TIMES not in rule.gradient.engine.reads else ""


def _settled(name: str, value: Any, values: Values) -> Any:
    """Return what ``value`` stands for, as the configuration of an earlier run has it."""
    if name in COUNTS and "N_BATCH" in values:
        return count_of({**values, name: value}, name)
    if name == "SPK_REC_STEPS" and value is None and {"TRIAL_MS", "DT_MS"} <= values.keys():
        return steps_in_trial(values)
    return value


def _unused_by_pattern(name: str, values: Values) -> str:
    """Return why a key means nothing with the chosen pattern, as after "has no effect"; or ""."""
    dataset = values.get("dataset.name")
    if dataset in ONE_PATTERN and name in OF_CLASSES:
        return " on one frozen pattern"
    if dataset != "pattern":
        return ""
    target = str(values.get("dataset.target") or "").lower()
    needs = dict.fromkeys(OF_FILES, "" if target and target[-4:] != ".ras" else "a picture")
    needs["dataset.target_offset"] = "" if target.endswith(".ras") else "a .ras file"
    needs["dataset.target_spikes"] = "null" if target else ""
    if name == "dataset.rate":
        return " unless dataset.input is null" if values.get("dataset.input") else ""
    return f" unless dataset.target is {needs[name]}" if needs.get(name) else ""
