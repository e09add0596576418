"""Texts and paths of a command line, taken as they were typed.

Hydra reads a value by a grammar: ``~``, brackets, ``#`` and most letters beyond ASCII are errors in
it, 1E234 is a number, and a comma separates the values of a sweep. What a key that is a text or a
path was given is therefore put in quotes before Hydra sees it, where Hydra would read it otherwise.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import QuotedString
from hydra.errors import HydraException

from snnrun.keys.key import NULLS
from snnrun.keys.kinds import NAMES, TEXT
from snnrun.schema import ALIASES, SCHEMA
from snnrun.shell import hydra_quoted

HYDRAS = (  # settings of Hydra's that are texts
    "hydra.run.dir",
    "hydra.sweep.dir",
    "hydra.sweep.subdir",
    "hydra.job.name",
    "hydra.output_subdir",
    "hydra.job_logging.handlers.file.filename",
)
NULLABLE = ("hydra.output_subdir",)
NO_CHOICES: Mapping[str, Collection[str]] = MappingProxyType({})
LISTS = tuple(name for name, key in SCHEMA.items() if key.kind is NAMES)  # commas, no brackets
PATHS = ("OUT_DIR", "hydra.run.dir", "hydra.sweep.dir")  # which Hydra makes, and expands no ~ in
QUOTES = ("'", '"')
_SWEEP = re.compile(r"(choice|range|interval|glob|shuffle|sort|tag)\(.*\)", re.DOTALL)
_WORD = re.compile(r"(?P<add>\+{0,2})(?P<name>[A-Za-z_][\w.]*)=(?P<value>.*)", re.DOTALL)


def as_typed(
    word: str, sweeps: bool = False, choices: Mapping[str, Collection[str]] = NO_CHOICES
) -> str:
    """Return an override such that Hydra reads the value of a text or path as it was typed.

    A list of names needs no brackets. Left as they are: values in quotes, which Hydra takes off,
    null where the key may be null, and interpolations ``${...}``. Words of other keys that are no
    texts are left to Hydra altogether.

    Args:
        word: KEY=VALUE, as typed.
        sweeps: Commas separate values, as with --multirun.
        choices: Group -> the names of its choices, which are file names.
    """
    match = _WORD.fullmatch(word)
    if match is None or not match["value"]:
        return word
    name, value = match["name"], match["value"]
    if name in LISTS and not _SWEEP.fullmatch(value) and not value.startswith(("[", "$")):
        return word if value in NULLS else f"{match['add']}{name}=[{value}]"
    own = choices.get(name, ())
    if not own and not _may_be_text(name):
        return word
    sweeps = sweeps and not name.startswith("hydra.")
    if sweeps and _SWEEP.fullmatch(value):
        return word
    values = map(_without_space, split_commas(value)) if sweeps else [value]
    read = [each if own and each not in own else _element(name, each, bool(own)) for each in values]
    return f"{match['add']}{name}={','.join(read)}"


def _without_space(text: str) -> str:
    """Return one of several values; before quotes there may be space."""
    stripped = text.lstrip()
    return stripped if stripped.startswith(QUOTES) else text


def _may_be_text(name: str) -> bool:
    """Return whether a text may be meant by the value of a key."""
    key = SCHEMA.get(ALIASES.get(name, name))
    return name in HYDRAS or (key.kind is TEXT if key else name.startswith("dataset."))


def _is_text(name: str) -> bool:
    """Return whether the value of a key is a text whatever it looks like: a path or a name."""
    key = SCHEMA.get(ALIASES.get(name, name))
    return name in HYDRAS or (key is not None and key.kind is TEXT and not key.choices)


def _element(name: str, text: str, is_choice: bool) -> str:
    """Return one value, in quotes where Hydra would take it for something else."""
    if name in PATHS and text.startswith("~"):
        text = os.path.expanduser(text)
    value = _reading(text)
    if value == text or (isinstance(value, QuotedString) and text.startswith(QUOTES)):
        return text
    if isinstance(value, HydraException) or is_choice:
        return hydra_quoted(text)
    if not _is_text(name) or (value is None and _may_be_null(name)):
        return text  # of a data set of the user's own, which may be a number
    return hydra_quoted(text)


def _may_be_null(name: str) -> bool:
    key = SCHEMA.get(ALIASES.get(name, name))
    return key.nullable if key else name in NULLABLE


def _reading(text: str) -> Any:
    """Return what Hydra makes of a value; a HydraException where it makes nothing of it."""
    try:
        return OverridesParser.create().parse_overrides([f"key={text}"])[0]._value
    except HydraException as error:
        return error


def split_commas(text: str) -> list[str]:
    """Split at the commas that are neither within quotes nor within ``${...}``.

    A quote is one only where a value begins, so that an apostrophe in a name is none.
    """
    parts, quote, depth = [""], "", 0
    for place, letter in enumerate(text):
        if letter == "," and not quote and not depth:
            parts.append("")
            continue
        if quote:
            before = text[:place]
            if letter == quote and (place - len(before.rstrip("\\"))) % 2 == 0:  # not escaped
                quote = ""
        elif letter in "\"'" and not parts[-1].strip():
            quote = letter
        elif text.startswith("${", place):
            depth += 1
        elif letter == "}" and depth:
            depth -= 1
        parts[-1] += letter
    return parts
