"""What a run noticed: a line in the terminal, run.log and run.h5 that its user would act on."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Notice:
    """Something that does not stop a run, but that a person at the screen would act on.

    Args:
        what: A short name that stays the same from run to run: "silent layer".
        message: One line: what was seen, and what to do. The epoch is put before it.
        epoch: The epoch in which it was seen, from 0; None before the first one.
        share: How much of the whole is concerned, 0 to 1; None where that has no meaning.
        where: The part of the network or of the data that it is about, if there are several.
    """

    what: str
    message: str
    epoch: int | None = None
    share: float | None = None
    where: str = ""

    @property
    def kind(self) -> tuple[str, str]:
        """What tells one notice from another: in each epoch there is one of a kind at most."""
        return self.what, self.where
