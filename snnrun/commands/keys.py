"""`snnrun keys`: what every key of the configuration means, found by name, meaning or unit."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence

from snnrun.commands.search import find
from snnrun.keys.kinds import shown
from snnrun.schema import BASE, DATASETS, GROUP_NAMES, SCHEMA, SECTIONS, Key
from snnrun.schema.reference import OTHERWISE, REFERENCE
from snnrun.shell import text_width, wrapped

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
"""


def run(arguments: Sequence[str]) -> int:
    """Carry out `snnrun keys`."""
    if not arguments:
        _print_sections(list(SCHEMA.values()))
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
