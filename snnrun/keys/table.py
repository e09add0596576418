"""Short ways to write the rows of the key tables."""

from __future__ import annotations

from typing import Any

from snnrun.keys.key import Key
from snnrun.keys.kinds import BOOL, EPOCH_TRIALS, FLOAT, INT, TEXT

Row = dict[str, Any]


def table(section: str, *rows: Row) -> tuple[Key, ...]:
    """Return the keys of one section."""
    return tuple(Key(section=section, **row) for row in rows)


def row(name: str, default: Any, meaning: str, **more: Any) -> Row:
    """Return a row whose ``kind`` is among ``more``."""
    return {"name": name, "default": default, "meaning": meaning, **more}


def number(name: str, default: float, meaning: str, **more: Any) -> Row:
    """Return a row for a real number."""
    return row(name, default, meaning, kind=FLOAT, **more)


def whole(name: str, default: int | None, meaning: str, **more: Any) -> Row:
    """Return a row for a whole number."""
    return row(name, default, meaning, kind=INT, **more)


def switch(name: str, default: bool, meaning: str, **more: Any) -> Row:
    """Return a row for true or false."""
    return row(name, default, meaning, kind=BOOL, **more)


def text(name: str, default: str | None, meaning: str, **more: Any) -> Row:
    """Return a row for a text or, with ``choices``, for one of several words."""
    return row(name, default, meaning, kind=TEXT, **more)


def when_recorded(name: str, what: str, **more: Any) -> Row:
    """Return a row for a list of [epoch, trial] pairs at which ``what`` is recorded."""
    meaning = (
        f"The [epoch, trial] pairs at which {what}. Both count from 0; a negative epoch counts "
        "from the "
        "end of the training, so [-1, 0] is the first mini-batch of the last epoch. Evaluation "
        "batches are counted after the training batches of their epoch."
    )
    return row(name, [], meaning, kind=EPOCH_TRIALS, **more)
