"""`snnrun keys`: what every key of the configuration means."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase

from snnrun.errors import ConfigError
from snnrun.schema import ALIASES, BASE, DATASETS, GROUP_NAMES, SCHEMA, SECTIONS, Key, unknown_key
from snnrun.schema.kinds import shown
from snnrun.shell import text_width, wrapped

HELP = """\
usage: snnrun keys [PATTERN ...]

Prints meaning, unit, allowed values and defaults of the keys whose names match: a full name, a part
of one, or a pattern with * and ?. Without a pattern: of all keys.

examples:
  snnrun keys ETA
  snnrun keys TAU
  snnrun keys 'REC_*'
  snnrun keys backend
"""


def help_text() -> str:
    """Return what `snnrun keys --help` prints."""
    return HELP


def run(arguments: Sequence[str]) -> int:
    """Carry out `snnrun keys`."""
    chosen = [key for pattern in arguments for key in matching(pattern)] or list(SCHEMA.values())
    names = {key.name for key in chosen}
    blocks = []
    for section in SECTIONS:
        keys = [key for key in section if key.name in names]
        if keys:
            blocks += [f"{section[0].section}\n{'-' * len(section[0].section)}"]
            blocks += [describe(key) for key in keys]
    print("\n\n".join(blocks))
    if len(arguments) == 1 and len(chosen) == 1:
        related = [name for name in SCHEMA if _relates(name, chosen[0].name)]
        print(f"\nsee also: {', '.join(related)}" if related else "", end="\n" if related else "")
    return 0


def matching(pattern: str) -> list[Key]:
    """Return the keys that ``pattern`` names: one by its full name, else all that contain it.

    Raises:
        ConfigError: There is none.
    """
    word = pattern.upper()
    full = {name.upper(): key for name, key in SCHEMA.items()}
    exact = full.get(ALIASES.get(word, word))
    if exact is not None:
        return [exact]
    glob = word if any(c in word for c in "*?[") else f"*{word}*"
    found = [key for name, key in full.items() if fnmatchcase(name, glob)]
    if not found:
        raise ConfigError(unknown_key(pattern))
    return found


def describe(key: Key) -> str:
    """Return the documentation of one key."""
    lines = [key.name, *_wrapped(key.meaning)]
    lines += _wrapped(f"allowed: {key.allowed()}")
    lines += _wrapped(f"default: {_defaults(key)}")
    if key.active_if:
        lines += _wrapped(f"has an effect if {' or '.join(map(str, key.active_if))}")
    if key.changeable:
        lines += _wrapped(f"may be changed in: snnrun {', snnrun '.join(key.changeable)}")
    return "\n".join(lines)


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
