"""Shell completion: commands, groups and their choices, keys and their choices, options.

Hydra's own completion composes the configuration for each Tab. This one reads the schema and lists
the configuration files, which takes no import of Hydra; words about Hydra itself are left to it.
"""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Collection, Sequence

from snnrun.commands.arguments import WITH_VALUE, WITHOUT_VALUE, split
from snnrun.commands.choices import groups
from snnrun.commands.export import SUFFIXES as FORMATS
from snnrun.commands.names import COMMANDS, PLOT_OPTIONS, SWEEP_ACTIONS
from snnrun.config import conf_dir
from snnrun.errors import ConfigError
from snnrun.keys.kinds import BOOL, shown
from snnrun.schema import SCHEMA

TAKES_CONFIG = ("train", "crossval", "gradcheck", "compile", "data")
OF_FOLDERS = {  # with their options
    "plot": PLOT_OPTIONS,
    "report": ("--output", "--open"),
    "watch": ("--port", "--host"),
    "runs": ("--filter", "--sort", "--csv", "--json"),
    "note": (),
    "remove": ("--older", "--filter", "--yes"),
    "pack": ("--output",),
    "export": ("--to", "--output", "--stepping"),
}
DATA_ACTIONS = ("info", "verify", "fetch")


def suggestions(line: str) -> list[str]:
    """Return the words that may stand where the cursor is, at the end of ``line``."""
    words = line.split()[1:]  # without the program's name
    word = "" if not words or line.endswith(" ") else words.pop()
    if not words:
        return _starting(word, COMMANDS)
    command, *before = words
    if command == "data" and not before:
        return _starting(word, DATA_ACTIONS)
    if command == "keys":
        return _starting(word, SCHEMA)
    if command == "sweep":
        return _of_a_sweep(word, before)
    if command in ("resume", "test"):
        changeable = [name for name, key in SCHEMA.items() if command in key.changeable]
        return _key_words(word, changeable) if before else []  # first a folder: the shell knows
    if command in OF_FOLDERS:  # which the shell knows
        return _of_options(word, before, OF_FOLDERS[command])
    if command not in TAKES_CONFIG:
        return []
    if word.startswith("-"):
        return _starting(word, [*WITH_VALUE, *WITHOUT_VALUE, "--info"])
    if word.lstrip("+~").startswith("hydra"):
        return _hydras(line)
    return _config_words(word, before)


def _of_a_sweep(word: str, before: Sequence[str]) -> list[str]:
    """Complete an action, its options, and the keys that it takes; folders the shell knows."""
    if not before:
        return _starting(word, SWEEP_ACTIONS)
    action = before[0]
    if action == "add" and not word.startswith("-"):
        return _key_words(word, SCHEMA)
    return _of_options(word, before, SWEEP_ACTIONS.get(action, ()))


def _of_options(word: str, before: Sequence[str], options: Collection[str]) -> list[str]:
    """Complete an option, or the keys that the one before the word takes."""
    if word.startswith("-"):
        return _starting(word, options)
    if before and before[-1] in ("--by", "--sort"):
        return _starting(word, SCHEMA)
    if before and before[-1] == "--to":
        return _starting(word, FORMATS)
    if before and before[-1] == "--filter":
        return _key_words(word, SCHEMA)
    return []


def _config_words(word: str, before: Sequence[str]) -> list[str]:
    """Complete an override: a group, its choices, a key, its choices."""
    prefix, rest = word[: len(word) - len(word.lstrip("+~"))], word.lstrip("+~")
    try:
        folders = split(before).conf_folders()
    except ConfigError:
        folders = [conf_dir()]
    known = groups(folders)
    name, equals, _ = rest.partition("=")
    if equals and name in known:
        found = _starting(rest, [f"{name}={choice}" for choice in known[name]])
    elif equals:
        found = _key_words(rest, [name])
    else:
        found = _starting(rest, [f"{group}=" for group in known]) + _key_words(rest, SCHEMA)
    return [prefix + suggestion for suggestion in found]


def _key_words(word: str, names: Collection[str]) -> list[str]:
    """Complete ``KEY=`` among ``names``, and the value of a key with choices or a default."""
    name, equals, _ = word.partition("=")
    if not equals:
        return _starting(word, [f"{known}=" for known in names])
    if name not in SCHEMA or name not in names:
        return []
    key = SCHEMA[name]
    values = list(key.choices) or (["true", "false"] if key.kind is BOOL else [shown(key.default)])
    return _starting(word, [f"{name}={value}" for value in values if " " not in value])


def _starting(word: str, words: Collection[str]) -> list[str]:
    return [candidate for candidate in words if candidate.startswith(word)]


def _hydras(line: str) -> list[str]:
    """Return Hydra's suggestions for a line without its subcommand."""
    from snnrun.commands import train

    program, _, *rest = line.split()
    os.environ["COMP_LINE"] = " ".join([program, *rest])
    text = io.StringIO()
    with contextlib.redirect_stdout(text):
        train.run(["--shell-completion", "query=bash"])
    return text.getvalue().split()
