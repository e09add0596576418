"""The line that refuses a key that does not exist, with what to give instead."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path

from snnrun.errors import closest, did_you_mean
from snnrun.keys.files import read_yaml
from snnrun.keys.synonyms import Meaning, of_values, of_words, plain_word
from snnrun.schema import ALIASES, GROUP_NAMES, KEYS, SCHEMA, Key
from snnrun.shell import command

NEAR, SHORTEST = 0.85, 5  # how alike a misspelt synonym must be, and how long

REFERENCE = "the reference (genn_eventprop, whose keys snnrun follows)"
_OF_REFERENCE = read_yaml(Path(__file__).with_name("reference.yaml"))
RENAMED: dict[str, list[str]] = _OF_REFERENCE["renamed"]
NOT_NEEDED: dict[str, str] = _OF_REFERENCE["not_needed"]
OTHERWISE: dict[str, str] = _OF_REFERENCE["otherwise"]


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
