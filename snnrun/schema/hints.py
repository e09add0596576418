"""The line that refuses a key that does not exist, with what to give instead."""

from __future__ import annotations

from difflib import get_close_matches

from snnrun.errors import closest, did_you_mean
from snnrun.keys.synonyms import Meaning, of_values, of_words, plain_word
from snnrun.schema import ALIASES, GROUP_NAMES, KEYS, SCHEMA, Key
from snnrun.shell import command

NEAR, SHORTEST = 0.85, 5  # how alike a misspelt synonym must be, and how long

# The reference is genn_eventprop, whose tables of keys the configuration follows. docs/reference.md
# has these texts in its tables, and a test keeps the two equal.
REFERENCE = "the reference (genn_eventprop, whose keys snnrun follows)"

# Name there -> our key, and what else there is to say.
RENAMED = {
    "N_EPOCHS": ("N_EPOCH", ", as the reference's code has it; both are accepted"),
    "PDROP": (
        "PDROP_INPUT",
        "; the code stops without it, and neither table nor code has a default",
    ),
    "HIDDEN_NOISE_AMP": ("HIDDEN_NOISE", ""),  # a parameter of its model
}

NOT_NEEDED = {
    "DATA_SEED": "read in a comment only",
    "CHECKPOINT_NAME": "`NAME` is that of the earlier run",
    "DATA_SET": "`dataset=shd` or `dataset=ssc`",
    "DATASET": "`dataset=shd` or `dataset=ssc`; what its text calls `DATA_SET`",
    "DATA_BUFFER_NAME": "converted data are in the cache that `snnrun data info` shows",
    "TEST_ST_INTEGRITY": "data are checked whenever they are read",
    "PROFILE": "`TIMING` records times of GeNN's kernels, on a GPU of the passes",
    "TAU_MEM_OUTPUT": "`network.output_parameters` sets what differs in the output",
    "DOWNLOAD_SHD": "`dataset.fetch`",
    "NU_LOWER": "set by scripts, read by nothing",
    "SUPER_BATCH": "set by scripts, read by nothing",
}

# Our key of the same name -> what it does otherwise.
OTHERWISE = {
    "NAME": "its table says `test`, which would be taken for the test of a run",
    "BUILD": "false takes only a program of the same code, never one of another network",
    "MODEL_SEED": "drawn time constants follow it too, and the seed that null stands for is "
    "recorded",
    "N_MAX_SPIKE": "buffers of `native` hold every possible spike; `genn` stops, or counts what "
    "had no gradient, where the reference loses it silently",
    "N_TRAIN": "examples for `yinyang` too, where the reference takes them per class (3 x as many)",
    "V_RESET": "gradients hold for values other than 0",
    "HIDDEN_NEURON_TYPE": "the gradient of `ALIF` is exact. Also `LIF_subtract`, and your own",
    "OUTPUT_NEURON_TYPE": "with `first_spike` losses `LI` stands for `LIF`",
    "PDROP_HIDDEN": "the gradient counts in that a spike held back comes later",
    "REG_TYPE": "`Thomas1` runs; with `none` every neuron type and `TRAIN_TAU` work",
    "REWIRE_SILENT": "deeper layers get weights with their own statistics, not those of the input "
    "layer",
    "REWIRE_LIFT": "raises the weights of silent neurons only; there, of all",
    "TRAIN_TAU": "exact gradients; there, of a time that is a step off",
    "TRAIN_TAU_OUTPUT": "for every loss; there for `sum_weigh_exp` alone, and saved from the "
    "hidden layer",
    "ETA_DECAY": "acts after the first epoch, not before it",
    "TAU_OUTPUT_EPOCH_TRIAL": "those of the output are the output's own",
    "LOAD_LAST": "time constants of the output too",
    "LOAD_BEST": "as `LOAD_LAST`",
    "LOSS_TYPE": "`first_spike`, `max` and `avg_xentropy` for any number of classes, each with the "
    "gradient of the loss as written. Also `first_spike_wp`, `relative_mse`, and your own",
    "AUGMENTATION": "random numbers come from the seeds; `snnrun keys AUGMENTATION`",
    "LR_EASE_IN_FACTOR": "grows with training batches only, not with evaluation",
    "BALANCE_EVAL_CLASSES": "the last batch has the size of the balanced set",
    "CHECKPOINT": "holds the state of Adam too, and a stopped run goes on to the same bits",
}


def unknown_key(name: str, value: str | None = None) -> str:
    """Return the line that refuses a key: what it is called here, or the nearest one there is.

    Args:
        name: The key as it was given.
        value: Its value as it was written, which the hint takes over where it is allowed.
    """
    start = f"{name}: there is no such key"
    theirs = name.upper()
    if theirs in RENAMED and theirs not in ALIASES:
        ours = RENAMED[theirs][0]
        given = _given(f"{ours}={{}}", value) if value else ""
        instead = f": {given}" if given else ""
        return f"{start}; {REFERENCE} has it, and here it is called {ours}{instead}"
    if theirs in NOT_NEEDED:
        told = f"{REFERENCE} has it, and here it is not needed: {NOT_NEEDED[theirs]}"
        return f"{start}; {told}"
    hint = meant(name, value)
    if hint:
        return f"{start}; {hint}"
    group = name.partition(".")[0]
    if group in GROUP_NAMES and group != name:
        return _unknown_option(name, group)
    hint = _told(meaning_of(name, misspelt=True), value) if name.upper() not in KEYS else ""
    if hint:
        return f"{start}; {hint}"
    hint = did_you_mean(name.upper(), KEYS)
    return f"{start}.{hint} `snnrun keys` lists them all"


def meant(name: str, value: str | None = None) -> str:
    """Return what is meant by another word for a key, as "ETA is the learning rate: ETA=0.01"."""
    if name.upper() in KEYS:
        return ""
    return _told(meaning_of(name), value)


def _told(meaning: Meaning | None, value: str | None) -> str:
    if meaning is None:
        return ""
    if value is None:
        return f"{meaning.says}; see `{command('keys', meaning.keys[0])}`"
    setting = meaning.settings.get(plain_word(value), "")
    if not setting and meaning.setting:
        setting = _given(meaning.setting, value)
        if not setting:
            name = meaning.setting.partition("=")[0]
            return f"{meaning.says}; {name} must be {_key(name).allowed()}"
    return f"{meaning.says}: {setting}" if setting else meaning.says


def meaning_of(name: str, misspelt: bool = False) -> Meaning | None:
    """Return what a word means, or its last part as in train.lr; ``misspelt``: or nearly so."""
    words, last = of_words(), plain_word(name.rpartition(".")[2])
    found = words.get(plain_word(name)) or words.get(last)
    if found is None and misspelt and len(last) >= SHORTEST:
        near = get_close_matches(last, words, n=1, cutoff=NEAR)
        found = words[near[0]] if near else None
    return found


def owner_of(key: Key) -> str:
    """Return whose option a key is, as in "rule=stdp"; "" for one of every choice of its group."""
    group = key.name.partition(".")[0]
    for condition in key.active_if:
        if condition.key == f"{group}.name" and not condition.not_:
            return " or ".join(f"{group}={value}" for value in condition.values)
        if condition.key.startswith(f"{group}."):
            return owner_of(SCHEMA[condition.key])
    return ""


def _given(setting: str, value: str) -> str:
    """Return how a value is given; "" where it is not allowed."""
    key = _key(setting.partition("=")[0])
    if plain_word(value) in of_values(key.name):
        return of_values(key.name)[plain_word(value)][1]
    several = [value] if value[:1] in ("[", "{", "'", '"') else value.split(",")  # of a sweep
    if all(key.convert(_read(one))[1] == "" for one in several):
        return setting.format(value)
    return ""


def _key(name: str) -> Key:
    """Return a key of the schema, that of a group's choice by the name of the group."""
    return SCHEMA.get(name) or SCHEMA[f"{name}.name"]


def _read(value: str) -> object:
    """Return a value of a command line as Hydra would read it, but for numbers left as text."""
    if value[:1] not in ("[", "{", "'", '"'):
        return value
    from yaml import YAMLError, safe_load  # type: ignore[import-untyped]

    try:
        return safe_load(value)
    except YAMLError:
        return value


def _unknown_option(name: str, group: str) -> str:
    """Return the line that refuses an option, with the nearest of its group and whose it is."""
    start = f"{group}."
    options = [key.removeprefix(start) for key in SCHEMA if key.startswith(start)]
    near = closest(name.removeprefix(start), options)
    hint = f" Did you mean '{start}{near}'?" if near else ""
    owner = owner_of(SCHEMA[start + near]) if near else ""
    hint += f" It is an option of {owner}." if owner else ""
    keys = command("keys", group)
    return f"{name}: there is no such key.{hint} `{keys}` lists the options of {group}"
