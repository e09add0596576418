"""What people call things that have another name here, as words.yaml has it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from snnrun.keys.files import read_yaml

NUMBERS = range(1, 16)  # that # stands for


@dataclass(frozen=True, kw_only=True)
class Meaning:
    """What a word stands for.

    Args:
        words: The words, with commas between them.
        keys: The keys to look at, the most apt first.
        says: The hint, a clause without a full stop.
        setting: What to give instead, with ``{}`` for the value that was given; "" where the value
            does not carry over.
        settings: Value that was given -> what to give instead.
    """

    words: str
    keys: tuple[str, ...]
    says: str
    setting: str
    settings: Mapping[str, str]


@cache
def _file() -> Mapping[str, Any]:
    return read_yaml(Path(__file__).with_name("words.yaml"))


def _meaning(entry: Mapping[str, Any]) -> Meaning:
    name = entry["keys"][0].removesuffix(".name")
    says, setting = entry.get("says", ""), entry.get("setting", "")
    if "is" in entry:
        says, setting = f"{name} is {entry['is']}", f"{name}={{}}"
    settings = {
        value.replace("#", str(number)): instead.replace("#", str(number))
        for value, instead in entry.get("settings", {}).items()
        for number in NUMBERS
    }
    return Meaning(
        words=entry["words"], keys=(*entry["keys"],), says=says, setting=setting, settings=settings
    )


@cache
def meanings() -> tuple[Meaning, ...]:
    """Return what words for keys stand for."""
    return tuple(map(_meaning, _file()["keys"]))


def plain_word(text: str) -> str:
    """Return a word without what does not count: case, blanks, punctuation (but + of C++)."""
    return re.sub(r"[^a-z0-9+:]", "", text.lower())


@cache
def of_words() -> Mapping[str, Meaning]:
    """Return each word, as ``plain_word`` makes it -> its meaning."""
    return {
        plain_word(word): meaning for meaning in meanings() for word in meaning.words.split(",")
    }


@cache
def of_values(key: str) -> Mapping[str, tuple[str, str]]:
    """Return word for a value of ``key`` -> (what to say, what to give instead)."""
    return {
        plain_word(word): (entry.get("says", ""), entry["use"])
        for entry in _file()["values"].get(key, ())
        for word in entry["words"].split(",")
    }


def value_hint(key: str, value: object) -> str:
    """Return ``" Did you mean X?"`` for another word for a value of ``key``, or an empty string."""
    found = of_values(key).get(plain_word(str(value)))
    if found is None:
        return ""
    says, setting = found
    return f" Did you mean {setting}?" + (f" {says[0].upper()}{says[1:]}" if says else "")
