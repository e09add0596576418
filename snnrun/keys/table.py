"""Short ways to write the rows of the key tables; their defaults are in the files of conf/."""

from __future__ import annotations

from functools import partial
from typing import Any

from snnrun.keys.files import GENERAL, defaults_of, having
from snnrun.keys.key import Condition, Key, when
from snnrun.keys.kinds import BOOL, FLOAT, INT, TEXT, Kind

Row = dict[str, Any]


def table(section: str, *rows: Row, **all_: Any) -> tuple[Key, ...]:
    """Return keys of one section, with the defaults that the files have.

    ``all_`` is what the rows have in common.
    """
    keys = []
    for given in rows:
        name = given["name"]
        usual = {"default": GENERAL[name], "datasets": defaults_of(name)}
        keys.append(Key(**usual | all_ | given, section=section))
    return tuple(keys)


def row(name: str, meaning: str, kind: Kind, **more: Any) -> Row:
    """Return a row; ``more``: what else Key has."""
    return {"name": name, "meaning": meaning, "kind": kind, **more}


number = partial(row, kind=FLOAT)
whole = partial(row, kind=INT)
switch = partial(row, kind=BOOL)
text = partial(row, kind=TEXT)  # with choices one of several words


def with_option(name: str) -> tuple[Condition, ...]:
    """Return the condition that the data set uses the option ``dataset.name``."""
    return (when("dataset.name", *having(f"dataset.{name}")),)
