"""`snnrun keys`: what every key of the configuration means, found by name, meaning or unit."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from snnrun.connectivity import CONNECTIVITIES, read_kind
from snnrun.errors import ConfigError
from snnrun.keys.kinds import shown
from snnrun.keys.synonyms import of_words, plain_word
from snnrun.schema import ALIASES, BASE, DATASETS, GROUP_NAMES, SCHEMA, SECTIONS, Key
from snnrun.schema.hints import NOT_NEEDED, OTHERWISE, REFERENCE, RENAMED, meaning_of, unknown_key
from snnrun.search.settings import GROUP
from snnrun.search.settings import KEYS as SEARCH
from snnrun.shell import text_width, wrapped

MOST = 12  # keys that a search by meaning finds at most
NAME, CHOICE, MEANING = 4.0, 2.0, 1.0  # what a match is worth
UNITS = {key.unit.lower() for key in SCHEMA.values()} - {""}
SMALL_WORDS = ("a", "an", "and", "at", "by", "for", "in", "is", "of", "on", "per", "the", "to")
FEW = 4  # keys that a search shows in full; of the others, a line each
MANY = 10  # of more than these, all have a line
HELP = """\
usage: snnrun keys [WORDS ...]

Prints meaning, unit, allowed values and defaults of the keys that WORDS name: a full name, a part
of one, or a pattern with * and ?. Other words are looked for in what the keys mean: what something
is called elsewhere ("learning rate", batch_size, gpu), or a unit (ms). Without words: all keys.

examples:
  snnrun keys ETA
  snnrun keys learning rate
  snnrun keys batch_size
  snnrun keys ms
  snnrun keys TAU
  snnrun keys 'REC_*'
  snnrun keys backend
  snnrun keys sweep
  snnrun keys connectivity
"""


def run(arguments: Sequence[str]) -> int:
    if not arguments:
        _print_sections(list(SCHEMA.values()))
        return 0
    if of_search := _of_a_search(arguments):
        print("\n\n".join(map(describe, of_search)))
        return 0
    if kinds := _kinds_of_connectivity(arguments):
        print("\n\n".join(map(describe_connectivity, kinds)))
        return 0
    found = find(arguments)
    if not found.ranked:
        _print_sections(found.keys)
    else:
        print(f"{found.says}\n\n" if found.says else "", end="")
        _print_ranked(found.keys)
    if len(arguments) == 1 and len(found.keys) == 1 and not found.ranked:
        related = [name for name in SCHEMA if _relates(name, found.keys[0].name)]
        print(f"\nsee also: {', '.join(related)}" if related else "", end="\n" if related else "")
    return 0


def describe(key: Key) -> str:
    """Return the documentation of one key."""
    lines = [key.name, *_wrapped(key.meaning)]
    lines += _wrapped(f"allowed: {key.allowed()}")
    lines += _wrapped(f"default: {_defaults(key)}")
    if key.active_if:
        lines += _wrapped(f"has an effect if {' or '.join(map(str, key.active_if))}")
    if key.changeable:
        lines += _wrapped(f"may be changed in: snnrun {', snnrun '.join(key.changeable)}")
    if key.name in OTHERWISE:
        lines += _wrapped(f"other than in {REFERENCE}: {OTHERWISE[key.name]}")
    return "\n".join(lines)


def _of_a_search(words: Sequence[str]) -> list[Key]:
    """Return the keys of searches that one word names; all of them for the group."""
    if len(words) != 1 or not words[0].startswith(GROUP):
        return []
    glob = f"{GROUP}.*" if words[0] == GROUP else words[0]
    return [key for name, key in SEARCH.items() if fnmatchcase(name, glob)]


def _kinds_of_connectivity(words: Sequence[str]) -> list[str]:
    """Return the kinds of connectivity that one word names; all of them for the word itself."""
    word = words[0].lower() if len(words) == 1 else ""
    return [kind for kind in CONNECTIVITIES if word in ("connectivity", kind)]


def describe_connectivity(name: str) -> str:
    """Return the documentation of a kind of connectivity and its options."""
    kind = read_kind(name, "connectivity")
    head = [f"connectivity: {name}", *_wrapped(f"{kind.meaning[0].upper()}{kind.meaning[1:]}.")]
    options = (describe(replace(key, name=f"{name}, {key.name}")) for key in kind.options)
    return "\n".join(["\n".join(head), *options])


def _print_ranked(keys: Sequence[Key]) -> None:
    """Print what a search found: the first keys in full, a line each of the others."""
    full = FEW if len(keys) <= MANY else 0
    print("\n\n".join(map(describe, keys[:full])), end="\n\n" if full else "")
    if keys[full:]:
        print(f"{'further ' if full else ''}keys; snnrun keys NAME says more:")
        print("\n".join(map(_in_short, keys[full:])))


def _print_sections(chosen: Sequence[Key]) -> None:
    """Print keys in the order of the table, below the headings of its sections."""
    names = {key.name for key in chosen}
    blocks = []
    for section in SECTIONS:
        keys = [key for key in section if key.name in names]
        if keys:
            blocks += [f"{section[0].section}\n{'-' * len(section[0].section)}"]
            blocks += [describe(key) for key in keys]
    print("\n\n".join(blocks))


def _in_short(key: Key) -> str:
    """Return name and the beginning of the meaning of a key as one line."""
    room = max(20, text_width() - 26)
    return f"  {key.name:<23} {textwrap.shorten(key.meaning, room, placeholder=' ...')}"


def _wrapped(text: str) -> list[str]:
    return wrapped(text, text_width(), "    ", "      ")


def _defaults(key: Key) -> str:
    """Return the default of every data set, those with the same value together."""
    by_value: dict[str, list[str]] = {}
    for name in (*DATASETS, BASE):
        by_value.setdefault(shown(key.default_of(name)), []).append(name)
    if len(by_value) == 1:
        return next(iter(by_value))
    parts = [
        f"{value} ({', '.join('your own' if n == BASE else n for n in names)})"
        for value, names in by_value.items()
    ]
    return ", ".join(parts)


def _relates(name: str, other: str) -> bool:
    """Return whether two names share a part, as ETA and ETA_DECAY do."""
    separator = "." if name.split(".")[0] in GROUP_NAMES else "_"
    return name != other and bool(_parts(name, separator) & _parts(other, separator))


def _parts(name: str, separator: str) -> set[str]:
    common: Iterable[str] = ("N", "MIN", "TRAIN", "NAME", "name", "HIDDEN", "DATA", "SEED", "TRIAL")
    return set(name.split(separator)) - set(common)


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
    known = not as_written and (plain_word(phrase) in of_words() or phrase.lower() in UNITS)
    if all(named) and not known:
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
