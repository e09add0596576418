"""How a run says what it noticed: in a line when it begins, and again when it lasts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from snnrun.notice import Notice
from snnrun.record.notices import Notices


def enter(noticed: Iterable[Notice], record: Notices) -> list[str]:
    """Enter notices into the record of a run, and return a line for each one that is news.

    What lasts is news in its first epoch and when it has lasted for 10, 100, ... epochs, so that it
    neither floods the screen nor is forgotten; the record has a row for each epoch.
    """
    lasted = [(notice, record.add(notice)) for notice in noticed]
    return [_line(notice, epochs) for notice, epochs in lasted if _is_news(epochs)]


def counted(notices: Notices) -> list[str]:
    """Return a line for each kind that was noticed: how often, and when; nothing if none was."""
    return [
        f"{what}{f' ({where})' if where else ''}: {_when(epochs)}"
        for (what, where), epochs in notices.epochs_of_kinds().items()
    ]


def _is_news(epochs: int) -> bool:
    return epochs == 10 ** (len(str(epochs)) - 1)


def _line(notice: Notice, lasted: int) -> str:
    if notice.epoch is None:
        return notice.message
    since = f"s {notice.epoch - lasted + 1} to" if lasted > 1 else ""
    return f"epoch{since} {notice.epoch}: {notice.message}"


def _when(epochs: Sequence[int | None]) -> str:
    counts = [epoch for epoch in epochs if epoch is not None]
    if not counts:
        return "before the first epoch"
    if len(counts) == 1:
        return f"in epoch {counts[0]}"
    return f"in {len(counts)} epochs, from {counts[0]} to {counts[-1]}"
