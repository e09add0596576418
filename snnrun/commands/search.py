"""Finding keys by what they are called, here or elsewhere, by unit, and by what they mean."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from snnrun.errors import ConfigError
from snnrun.keys.synonyms import of_words, plain_word
from snnrun.schema import ALIASES, SCHEMA, Key
from snnrun.schema.hints import meaning_of, unknown_key
from snnrun.schema.reference import NOT_NEEDED, RENAMED

MOST = 12  # keys that a search by meaning finds at most
NAME, CHOICE, MEANING = 4.0, 2.0, 1.0  # what a match is worth
UNITS = {key.unit.lower() for key in SCHEMA.values()} - {""}
SMALL_WORDS = ("a", "an", "and", "at", "by", "for", "in", "is", "of", "on", "per", "the", "to")


@dataclass(frozen=True, kw_only=True)
class Found:
    """Keys that were found; ``ranked``: by a search, the best first, and not by their names."""

    keys: list[Key]
    ranked: bool
    says: str = ""  # what the words mean, where that is known


def find(words: Sequence[str]) -> Found:
    """Return the keys that words name; else those that the words, taken together, stand for.

    Raises:
        ConfigError: There is none.
    """
    phrase = " ".join(words)
    named = [_named(word) for word in words]
    theirs = {*NOT_NEEDED, *RENAMED} - {*ALIASES}
    if phrase.upper() in theirs:  # what became of it is said
        raise ConfigError(unknown_key(phrase))
    spelt = [key for key in SCHEMA.values() if plain_word(key.name) == plain_word(phrase)]
    if spelt:  # as in "time limit"
        return Found(keys=spelt, ranked=False)
    as_written = all(_is_full_name(word) or _is_pattern(word) for word in words)
    known = plain_word(phrase) in of_words() or phrase.lower() in UNITS
    if all(named) and (as_written or not known):
        by_name = {key.name: key for keys in named for key in keys}
        return Found(keys=list(by_name.values()), ranked=False)
    ranked = search(phrase)
    if not ranked:
        raise ConfigError(unknown_key(phrase))
    meaning = meaning_of(phrase, misspelt=True)
    return Found(keys=ranked, ranked=True, says=meaning.says if meaning else "")


def search(phrase: str) -> list[Key]:
    """Return the keys that a phrase stands for, the most apt first; [] where there is none."""
    if phrase.lower() in UNITS:
        in_unit = [key for key in SCHEMA.values() if key.unit.lower() == phrase.lower()]
        parts = [key for key in SCHEMA.values() if phrase.upper() in re.split("[_.]", key.name)]
        return list({key.name: key for key in (*in_unit, *parts)}.values())
    scores = {name: _score(key, phrase) for name, key in SCHEMA.items()}
    best = sorted((name for name in scores if scores[name]), key=lambda name: -scores[name])
    meaning = meaning_of(phrase, misspelt=True)
    if meaning is not None:  # what is meant needs nothing that is only mentioned
        named = [name for name in best if scores[name] >= NAME]
        best = list(dict.fromkeys([*meaning.keys, *named]))
    elif best and scores[best[0]] < NAME:
        best = best[:MOST]
    return [SCHEMA[name] for name in best]


def _named(word: str) -> list[Key]:
    """Return the keys whose names match: one by its full name, else all that contain it."""
    wanted = word.upper()
    full = {name.upper(): key for name, key in SCHEMA.items()}
    exact = full.get(ALIASES.get(wanted, wanted))
    if exact is not None:
        return [exact]
    glob = wanted if _is_pattern(word) else f"*{wanted}*"
    return [key for name, key in full.items() if fnmatchcase(name, glob)]


def _is_full_name(word: str) -> bool:
    return word.upper() in {name.upper() for name in (*SCHEMA, *ALIASES)}


def _is_pattern(word: str) -> bool:
    return any(sign in word for sign in "*?[")


def _score(key: Key, phrase: str) -> float:
    """Return how well a key answers to a phrase: by its name, a choice, or its meaning."""
    score = NAME * (plain_word(phrase) in plain_word(key.name))
    score += CHOICE * (phrase.lower() in (choice.lower() for choice in key.choices))
    text = f"{key.name.replace('_', ' ').replace('.', ' ')} {key.meaning}".lower()
    stems = [w.removesuffix("s") for w in phrase.lower().split() if w not in SMALL_WORDS]
    # a word may go on, as "weight" in "weights", but must begin where a word begins
    if stems and all(re.search(rf"\b{re.escape(stem)}", text) for stem in stems):
        score += MEANING
    return score
