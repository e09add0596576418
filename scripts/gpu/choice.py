"""What a check is made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Choice:
    """The device of backend=genn, and whether networks and data are small."""

    device: str
    small: bool

    def words(self) -> Sequence[str]:
        """Return the words of a command that runs on the device."""
        return ["backend=genn", f"backend.device={self.device}"]
