"""Short ways to write the rows of the key tables; their defaults are in the files of conf/."""

from __future__ import annotations

from functools import partial
from typing import Any

from snnrun.keys.files import GENERAL, defaults_of
from snnrun.keys.key import Key
from snnrun.keys.kinds import BOOL, EPOCH_TRIALS, FLOAT, INT, TEXT, Kind

Row = dict[str, Any]


def table(section: str, *rows: Row) -> tuple[Key, ...]:
    """Return the keys of one section, with the defaults that the files have."""
    return tuple(
        Key(
            **{"default": GENERAL[row["name"]], "datasets": defaults_of(row["name"]), **row},
            section=section,
        )
        for row in rows
    )


def row(name: str, meaning: str, kind: Kind, **more: Any) -> Row:
    """Return a row; ``more``: what else Key has."""
    return {"name": name, "meaning": meaning, "kind": kind, **more}


number = partial(row, kind=FLOAT)
whole = partial(row, kind=INT)
switch = partial(row, kind=BOOL)
text = partial(row, kind=TEXT)  # with choices one of several words


def when_recorded(name: str, what: str, **more: Any) -> Row:
    """Return a row for a list of [epoch, trial] pairs at which ``what`` is recorded."""
    meaning = (
        f"The [epoch, trial] pairs at which {what}. Both count from 0; a negative epoch counts "
        "from the "
        "end of the training, so [-1, 0] is the first mini-batch of the last epoch. Evaluation "
        "batches are counted after the training batches of their epoch."
    )
    return row(name, meaning, kind=EPOCH_TRIALS, **more)
