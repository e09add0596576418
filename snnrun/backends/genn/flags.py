"""Flags on the device that say which tensors are of no use any more, so that the host need not
fetch the tensors to see it. Updates raise them; all that raise one write the same number.
"""

from __future__ import annotations

import numpy as np

from snnrun.backends.genn.description import Shared, Table
from snnrun.backends.genn.device import Device

NAME = "exploded"


def flag_table(count: int) -> list[Table]:
    """Return the table of ``count`` flags; the output population has it."""
    return [Table(name=NAME, type="int", values=np.zeros(count, np.int32))] if count else []


def flags_of(owner: str) -> Shared:
    """Return what an update refers to the flags of a population with."""
    return Shared(name=NAME, owner=owner, table=NAME, type="int")


def raise_unless(condition: str, number: int) -> str:
    """Return code that raises a flag; with NaN no ``condition`` holds."""
    return f"if (!({condition})) {NAME}[{number}] = 1;"


def raised(device: Device, owner: str) -> np.ndarray:
    """Return the numbers of the raised flags, and lower them."""
    flags = device.table(owner, NAME)
    if flags.any():
        device.table_memory(owner, NAME)[:] = 0
        device.push(owner, NAME)
    return np.flatnonzero(flags)
